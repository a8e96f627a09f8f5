-- What a logical event has from another raw event than the one that decides: two sources may tell of
-- one act, and only one of them the actor.
ALTER TABLE logical_events ADD COLUMN media_type ANY;
ALTER TABLE logical_events ADD COLUMN actor TEXT;
ALTER TABLE logical_events ADD COLUMN user_agent TEXT;

-- Ids of events that are known by the time they were received, which is another when they
-- are delivered again. Others are known by their id and their own time, which is the key of
-- `raw_events`: an index of all ids took as much of a commit as the events themselves.
CREATE TABLE received_ids (
    repository INTEGER NOT NULL,
    id         ANY NOT NULL,
    PRIMARY KEY (repository, id)
) STRICT, WITHOUT ROWID;
INSERT INTO received_ids SELECT repository, id FROM raw_events WHERE time_source = 1;
DROP INDEX raw_events_by_id;

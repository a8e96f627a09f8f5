-- What is kept of a registry, known also after a restart and when its object is gone.

-- Seconds; absent until the operator has told it.
ALTER TABLE registries ADD COLUMN retention INTEGER;
-- Most raw events; absent where there is no bound.
ALTER TABLE registries ADD COLUMN quota INTEGER;
-- When its object was found to be gone.
ALTER TABLE registries ADD COLUMN released INTEGER;

-- Raw events that are there, so that nobody has to count them.
ALTER TABLE sources ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;
UPDATE sources SET kept = counted.events
    FROM (SELECT source, count(*) AS events FROM raw_events GROUP BY source) AS counted
    WHERE counted.source = sources.id;

-- How far the logs of polled sources have been read: what a log had from `since` to `until` is kept.
CREATE TABLE cursors (
    source BIGINT NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    log    TEXT COLLATE "C" NOT NULL,
    since  BIGINT NOT NULL,
    until  BIGINT NOT NULL,
    PRIMARY KEY (source, log)
);

-- How far the logs of polled sources have been read: what a log had from `since` to `until` is kept.
CREATE TABLE cursors (
    source INTEGER NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    log    TEXT NOT NULL,
    since  INTEGER NOT NULL,
    until  INTEGER NOT NULL,
    PRIMARY KEY (source, log)
) STRICT, WITHOUT ROWID;

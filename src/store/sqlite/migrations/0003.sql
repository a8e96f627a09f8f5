-- Sums of stretches of time that are over, so that questions need not read their events.
-- Levels and scopes are numbered in sqlite/values.rs, the layout of sums is that of
-- store/rollup.rs.

-- Buckets whose sums are kept. They count where `whole` is 1: all scopes are there, and no
-- event of the bucket has changed since.
CREATE TABLE sealed (
    id         INTEGER PRIMARY KEY,
    repository INTEGER NOT NULL,
    level      INTEGER NOT NULL,
    start      INTEGER NOT NULL,
    whole      INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX sealed_whole ON sealed (repository, level, start) WHERE whole = 1;
-- Those to sweep away: they were begun and not finished, or opened again.
CREATE INDEX sealed_in_part ON sealed (id) WHERE whole = 0;

-- A key is a tag's name or a digest, empty in the scope of all. What is not there is 0.
CREATE TABLE rollups (
    bucket   INTEGER NOT NULL,
    scope    INTEGER NOT NULL,
    key      ANY NOT NULL,
    category INTEGER NOT NULL,
    sums     BLOB NOT NULL
) STRICT;
-- Apart from the sums, which are long: a tree of them would be deep.
CREATE UNIQUE INDEX rollups_by_key ON rollups (bucket, scope, key, category);

-- Buckets of which an event changed since they were looked at; none of them is sealed.
CREATE TABLE open_buckets (
    level      INTEGER NOT NULL,
    start      INTEGER NOT NULL,
    repository INTEGER NOT NULL,
    PRIMARY KEY (level, start, repository)
) STRICT, WITHOUT ROWID;

-- What is there already is to be looked at. Widths in nanoseconds; time is bucketed from 1970 to
-- the last whole day of the column.
WITH quarters (repository, start) AS (
    SELECT DISTINCT repository, time - time % 900000000000 FROM logical_events
    WHERE time >= 0 AND time < 9223286400000000000
),
levels (level, width) AS (VALUES (1, 900000000000), (2, 3600000000000), (3, 86400000000000))
INSERT INTO open_buckets (level, start, repository)
SELECT DISTINCT level, start - start % width, repository FROM quarters, levels;

-- Times are nanoseconds since 1970-01-01T00:00:00Z. Digests are the bare hash (32 bytes
-- sha256, 64 bytes sha512), addresses 4 or 16 bytes in network order. Columns of type ANY
-- hold a text, or something shorter that stands for it: ids that are UUIDs their 16
-- bytes, common media types a number. The numbers of these and of categories, targets and
-- sources of a value are those of sqlite/values.rs.
--
-- A repository's id belongs to one registry, so that a key which begins with it begins
-- with registry and repository: a store that shards hashes the same pair.

CREATE TABLE registries (
    id        INTEGER PRIMARY KEY,
    namespace TEXT NOT NULL,
    name      TEXT NOT NULL,
    uid       TEXT NOT NULL,
    UNIQUE (namespace, name, uid)
) STRICT;

CREATE TABLE repositories (
    id       INTEGER PRIMARY KEY,
    registry INTEGER NOT NULL REFERENCES registries (id),
    path     TEXT NOT NULL,
    UNIQUE (registry, path)
) STRICT;

CREATE TABLE sources (
    id            INTEGER PRIMARY KEY,
    registry      INTEGER NOT NULL REFERENCES registries (id),
    name          TEXT NOT NULL,
    since         INTEGER NOT NULL,
    last_delivery INTEGER NOT NULL,
    last_event    INTEGER,
    stored        INTEGER NOT NULL,
    duplicates    INTEGER NOT NULL,
    ignored       INTEGER NOT NULL,
    quarantined   INTEGER NOT NULL,
    UNIQUE (registry, name)
) STRICT;

-- The registry processes that reported through a source.
CREATE TABLE instances (
    source INTEGER NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    id     ANY NOT NULL,
    first  INTEGER NOT NULL,
    last   INTEGER NOT NULL,
    PRIMARY KEY (source, id)
) STRICT, WITHOUT ROWID;

-- Stretches of time whose events may be lost: [start, end).
CREATE TABLE gaps (
    id     INTEGER PRIMARY KEY,
    source INTEGER NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    reason TEXT NOT NULL,
    start  INTEGER NOT NULL,
    end    INTEGER NOT NULL
) STRICT;
CREATE INDEX gaps_by_source ON gaps (source, start);

-- A ring: the oldest leave when it is full.
CREATE TABLE quarantine (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    source   INTEGER NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    received INTEGER NOT NULL,
    reason   TEXT NOT NULL,
    body     BLOB NOT NULL
) STRICT;
CREATE INDEX quarantine_by_source ON quarantine (source);

-- What sources said: append-only. Clustered by time, the order the linker reads in.
CREATE TABLE raw_events (
    repository      INTEGER NOT NULL,
    time            INTEGER NOT NULL,
    id              ANY NOT NULL,
    received        INTEGER NOT NULL,
    time_source     INTEGER NOT NULL,
    -- The event's own time where it is not `time`.
    stated_time     INTEGER,
    source          INTEGER NOT NULL,
    category        INTEGER NOT NULL,
    target          INTEGER,
    tag             TEXT,
    digest          BLOB,
    media_type      ANY,
    method          TEXT,
    address         BLOB,
    address_source  INTEGER,
    forwarded_chain TEXT,
    actor           TEXT,
    user_agent      TEXT,
    request_id      ANY,
    instance_id     ANY,
    PRIMARY KEY (repository, time, id)
) STRICT, WITHOUT ROWID;
-- The same event again is no event: an id counts once in its repository.
CREATE UNIQUE INDEX raw_events_by_id ON raw_events (repository, id);
-- Deletes: few, and looked up when their digest turns out to be a manifest, and by the
-- request they belong to.
CREATE INDEX raw_deletes_by_digest ON raw_events (repository, digest)
    WHERE category = 3 AND digest IS NOT NULL;
CREATE INDEX raw_deletes_by_request ON raw_events (repository, request_id)
    WHERE category = 3 AND request_id IS NOT NULL;

-- Stretches [start, end] of raw events that wait for the linker; written with the raw
-- events, removed with the logical ones, so that a crash between the two loses nothing.
CREATE TABLE unlinked (
    repository INTEGER NOT NULL,
    start      INTEGER NOT NULL,
    end        INTEGER NOT NULL,
    PRIMARY KEY (repository, start, end)
) STRICT, WITHOUT ROWID;

-- What clients did, made of raw events by the linker. Each has the id and the time of the
-- raw event that decides, and the rest of it from there: raw events go later.
CREATE TABLE logical_events (
    repository     INTEGER NOT NULL,
    category       INTEGER NOT NULL,
    time           INTEGER NOT NULL,
    id             ANY NOT NULL,
    target         INTEGER,
    -- A JSON array; absent where there is none.
    tags           TEXT,
    tagged         INTEGER NOT NULL,
    digest         BLOB,
    address        BLOB,
    address_source INTEGER,
    raw_count      INTEGER NOT NULL,
    PRIMARY KEY (repository, category, time, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX logical_events_by_digest
    ON logical_events (repository, digest, tagged, category, time, id)
    WHERE digest IS NOT NULL;
-- Deletes of a whole repository, among all the others.
CREATE INDEX logical_events_of_repository
    ON logical_events (repository, category, time, id)
    WHERE target = 3;

CREATE TABLE logical_tags (
    repository INTEGER NOT NULL,
    tag        TEXT NOT NULL,
    category   INTEGER NOT NULL,
    time       INTEGER NOT NULL,
    id         ANY NOT NULL,
    PRIMARY KEY (repository, tag, category, time, id)
) STRICT, WITHOUT ROWID;

-- Facts: they outlive the events that taught them.

-- When a tag was seen to point at a digest: what changed its pointer, and little more.
CREATE TABLE tag_facts (
    repository INTEGER NOT NULL,
    tag        TEXT NOT NULL,
    time       INTEGER NOT NULL,
    digest     BLOB NOT NULL,
    PRIMARY KEY (repository, tag, time, digest)
) STRICT, WITHOUT ROWID;

-- When pointers ended: of a tag, of all tags of a digest, or (neither) of the repository.
CREATE TABLE tag_ends (
    repository INTEGER NOT NULL,
    time       INTEGER NOT NULL,
    tag        TEXT NOT NULL,
    digest     BLOB NOT NULL,
    PRIMARY KEY (repository, tag, digest, time)
) STRICT, WITHOUT ROWID;

-- Digests known to be manifests, and when that was learnt.
CREATE TABLE manifests (
    repository INTEGER NOT NULL,
    digest     BLOB NOT NULL,
    media_type ANY,
    learnt     INTEGER NOT NULL,
    PRIMARY KEY (repository, digest)
) STRICT, WITHOUT ROWID;

-- First and last time of what retention has removed, per tag and category; an empty tag
-- for events that name none. What is still there answers for itself.
CREATE TABLE category_facts (
    repository INTEGER NOT NULL,
    tag        TEXT NOT NULL,
    category   INTEGER NOT NULL,
    first      INTEGER NOT NULL,
    last       INTEGER NOT NULL,
    PRIMARY KEY (repository, tag, category)
) STRICT, WITHOUT ROWID;

-- What authorised clusters were last seen to run, for when they cannot be read.

-- ClusterAuthorizations, and when what is kept of their clusters was current.
CREATE TABLE usage_clusters (
    id    INTEGER PRIMARY KEY,
    uid   TEXT NOT NULL UNIQUE,
    as_of INTEGER NOT NULL
) STRICT;

-- The uses of one repository (host/path) in one cluster, as a JSON list.
CREATE TABLE last_uses (
    cluster    INTEGER NOT NULL REFERENCES usage_clusters (id) ON DELETE CASCADE,
    repository TEXT NOT NULL,
    uses       TEXT NOT NULL,
    PRIMARY KEY (cluster, repository)
) STRICT, WITHOUT ROWID;

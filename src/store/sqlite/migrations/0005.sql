-- Since when and until when workloads of a cluster ran what. `what` says which container of which workload ran what, as
-- JSON text; a span without an end had none when the cluster was last read.
CREATE TABLE usage_spans (
    cluster    INTEGER NOT NULL REFERENCES usage_clusters (id) ON DELETE CASCADE,
    repository TEXT NOT NULL,
    what       TEXT NOT NULL,
    start      INTEGER NOT NULL,
    end        INTEGER,
    PRIMARY KEY (cluster, repository, what, start)
) STRICT, WITHOUT ROWID;

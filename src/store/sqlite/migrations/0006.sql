-- When the first event of each category was received that a source brought.
CREATE TABLE reported (
    source   INTEGER NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    category INTEGER NOT NULL,
    first    INTEGER NOT NULL,
    PRIMARY KEY (source, category)
) STRICT, WITHOUT ROWID;
INSERT INTO reported SELECT source, category, min(received) FROM raw_events GROUP BY source, category;

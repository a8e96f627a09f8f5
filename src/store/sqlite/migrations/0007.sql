-- When webhook servers listened: [since, until]. What lies between two of them is not told as gaps yet.
CREATE TABLE listening (
    since INTEGER NOT NULL,
    until INTEGER NOT NULL
) STRICT;

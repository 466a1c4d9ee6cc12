-- Recorded before they are logged, and deleted again if they never are. What a file of before holds
-- is asked about like the rest.
CREATE TABLE unlogged (
    disclosure BLOB PRIMARY KEY REFERENCES disclosures (id), -- not known to stand in the log
    since INTEGER NOT NULL                                   -- seconds since 1970, UTC
) STRICT, WITHOUT ROWID;
INSERT INTO unlogged (disclosure, since) SELECT id, 0 FROM disclosures;

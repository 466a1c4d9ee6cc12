CREATE TABLE batches_seen (
    only INTEGER PRIMARY KEY CHECK (only = 1),              -- the table has at most one row
    size INTEGER NOT NULL CHECK (size >= 0)                 -- entries of the log whose batches this file knows
) STRICT;

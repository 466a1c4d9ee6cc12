-- Notes handed over to agencies. As with headers, rows are only ever appended, and forgotten in place.
CREATE TABLE notes (
    id INTEGER PRIMARY KEY,                                 -- ascending
    disclosure BLOB NOT NULL UNIQUE REFERENCES disclosures (id), -- whose note it is
    at INTEGER NOT NULL,                                    -- seconds since 1970, UTC
    forgotten INTEGER NOT NULL CHECK (forgotten IN (0, 1)), -- 1 once the note is deleted
    note BLOB NOT NULL                                      -- an age file; zeros if forgotten
) STRICT;
CREATE INDEX notes_kept ON notes (at) WHERE forgotten = 0;

-- Batches in the log that this file does not know and whose lists no folder has. They are looked for until found.
CREATE TABLE lost_lists (
    batch BLOB PRIMARY KEY CHECK (length(batch) = 32),      -- statement id
    log_index INTEGER NOT NULL CHECK (log_index >= 0)       -- its entry
) STRICT, WITHOUT ROWID;
-- Commitments that may be in such a batch: they join no other one while a list is lost.
CREATE TABLE held_commitments (
    commitment BLOB PRIMARY KEY CHECK (length(commitment) = 32) -- as it enters the log
) STRICT, WITHOUT ROWID;

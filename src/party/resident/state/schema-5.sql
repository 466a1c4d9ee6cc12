ALTER TABLE clips ADD COLUMN to_enter INTEGER NOT NULL DEFAULT 0 CHECK (to_enter IN (0, 1)); -- 1 while the server has not confirmed a later set in upload
CREATE INDEX clips_to_enter ON clips (number) WHERE to_enter;

-- A clip has four commitments, and four for each later set.
CREATE TABLE more_commitments (
    clip INTEGER NOT NULL REFERENCES clips (number) ON DELETE CASCADE, -- whose commitment it is
    place INTEGER NOT NULL CHECK (place BETWEEN 0 AND 15),  -- the number in its salt's name
    commitment BLOB NOT NULL UNIQUE CHECK (length(commitment) = 32), -- as it enters the log
    batch BLOB CHECK (length(batch) = 32),                  -- statement id of its batch; NULL until it is known
    batch_index INTEGER CHECK (batch_index >= 0),           -- place in the batch, from 0; NULL as batch is
    path BLOB CHECK (length(path) % 32 = 0),                -- hashes to the batch's root, 32 bytes each; NULL as batch is
    PRIMARY KEY (clip, place),
    CHECK ((batch IS NULL) = (batch_index IS NULL) AND (batch IS NULL) = (path IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO more_commitments SELECT * FROM commitments;
DROP TABLE commitments;
ALTER TABLE more_commitments RENAME TO commitments;
CREATE INDEX commitments_unanchored ON commitments (clip, place) WHERE batch IS NULL;

-- Parts of clips that arrive in pieces, over several calls.
CREATE TABLE uploads (
    vault BLOB NOT NULL REFERENCES vaults (id),             -- whose clip it is
    clip BLOB NOT NULL CHECK (length(clip) = 16),           -- its id
    part INTEGER NOT NULL CHECK (part IN (0, 1, 2)),        -- 0 header, 1 body, 2 metadata
    length INTEGER NOT NULL CHECK (length > 0),             -- bytes that the part will have
    arrived INTEGER NOT NULL CHECK (arrived BETWEEN 0 AND length), -- bytes that are durable, in whole pieces
    PRIMARY KEY (vault, clip, part)
) STRICT, WITHOUT ROWID;

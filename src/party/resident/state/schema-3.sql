ALTER TABLE clips ADD COLUMN why TEXT;                      -- why it was not stored when that was tried last; NULL if it was not tried, or is stored
ALTER TABLE clips ADD COLUMN given_up INTEGER NOT NULL DEFAULT 0 CHECK (given_up IN (0, 1)); -- 1 once the owner gave up a clip that the server lost

CREATE TABLE unfetched (
    clip BLOB PRIMARY KEY CHECK (length(clip) = 16)         -- id of a clip that the vault lists and a restore could not fetch
) STRICT, WITHOUT ROWID;

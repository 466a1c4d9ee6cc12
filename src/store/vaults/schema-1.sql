CREATE TABLE vaults (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),            -- random
    key BLOB NOT NULL UNIQUE CHECK (length(key) = 32),      -- Ed25519 public key of the owner's calls
    quota_bytes INTEGER NOT NULL CHECK (quota_bytes >= 0),  -- stored bytes allowed
    quota_clips INTEGER NOT NULL CHECK (quota_clips >= 0)   -- clips allowed
) STRICT, WITHOUT ROWID;

CREATE TABLE codes (
    sha256 BLOB PRIMARY KEY CHECK (length(sha256) = 32),    -- SHA-256 of the enrolment code
    quota_bytes INTEGER NOT NULL CHECK (quota_bytes >= 0),  -- stored bytes of the vault it opens
    quota_clips INTEGER NOT NULL CHECK (quota_clips >= 0),  -- clips of the vault it opens
    expires INTEGER NOT NULL,                               -- seconds since 1970, UTC
    vault BLOB REFERENCES vaults (id)                       -- the vault it opened; NULL while unused
) STRICT, WITHOUT ROWID;

CREATE TABLE clips (
    vault BLOB NOT NULL REFERENCES vaults (id),             -- whose clip it is
    id BLOB NOT NULL CHECK (length(id) = 16),               -- random, the device's
    header_size INTEGER NOT NULL CHECK (header_size >= 0),  -- bytes stored
    body_size INTEGER NOT NULL CHECK (body_size >= 0),      -- bytes stored, with padding
    meta_size INTEGER NOT NULL CHECK (meta_size >= 0),      -- bytes stored, with padding
    body_sha256 BLOB NOT NULL CHECK (length(body_sha256) = 32), -- SHA-256 of the body as stored
    PRIMARY KEY (vault, id)
) STRICT, WITHOUT ROWID;

-- Kept for good, so that a clip sent twice does not enter its commitments twice. Nothing here, nor
-- the order of the rows, leads from a commitment to its vault.
CREATE TABLE commitments (
    commitment BLOB PRIMARY KEY CHECK (length(commitment) = 32), -- as it enters the log
    state INTEGER NOT NULL CHECK (state IN (0, 1, 2))       -- 0 waiting, 1 in the prepared batch, 2 logged
) STRICT, WITHOUT ROWID;
CREATE INDEX commitments_under_way ON commitments (state) WHERE state < 2;

CREATE TABLE prepared_batch (
    only INTEGER PRIMARY KEY CHECK (only = 1),              -- the table has at most one row
    id BLOB NOT NULL CHECK (length(id) = 32),               -- statement id
    statement BLOB NOT NULL,                                -- the signed statement, ready to submit
    commitments BLOB NOT NULL CHECK (length(commitments) % 32 = 0) -- all leaves in order, 32 bytes each
) STRICT;

CREATE TABLE disclosures (
    id BLOB PRIMARY KEY CHECK (length(id) = 32),            -- statement id
    vault BLOB NOT NULL REFERENCES vaults (id)              -- whose clips are disclosed
) STRICT, WITHOUT ROWID;

CREATE TABLE shown_clips (
    disclosure BLOB NOT NULL REFERENCES disclosures (id),   -- the disclosure that names it
    n INTEGER NOT NULL CHECK (n >= 0),                      -- its place there, from 0
    clip BLOB NOT NULL CHECK (length(clip) = 16),           -- id in the vault; may be removed since
    opening TEXT NOT NULL,                                  -- SD-JWT disclosure that opens its commitment
    body_length INTEGER NOT NULL CHECK (body_length >= 0),  -- bytes of the body without padding
    PRIMARY KEY (disclosure, n)
) STRICT, WITHOUT ROWID;

-- Rows are only ever appended, and forgotten in place: SQLite leaves remains of rows that it moves
-- from page to page, `secure_delete` or not.
CREATE TABLE handed_over (
    id INTEGER PRIMARY KEY,                                 -- ascending
    disclosure BLOB NOT NULL,                               -- under which disclosure
    n INTEGER NOT NULL,                                     -- the clip's place there, from 0
    at INTEGER NOT NULL,                                    -- seconds since 1970, UTC
    forgotten INTEGER NOT NULL CHECK (forgotten IN (0, 1)), -- 1 once the header is deleted
    header BLOB NOT NULL,                                   -- re-wrapped age header; zeros if forgotten
    UNIQUE (disclosure, n),
    FOREIGN KEY (disclosure, n) REFERENCES shown_clips (disclosure, n)
) STRICT;
CREATE INDEX handed_over_kept ON handed_over (at) WHERE forgotten = 0;

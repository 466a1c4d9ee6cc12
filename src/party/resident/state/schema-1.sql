CREATE TABLE device (
    only INTEGER PRIMARY KEY CHECK (only = 1),              -- the table has one row
    server TEXT NOT NULL,                                   -- the server's address
    jurisdiction TEXT NOT NULL,                             -- ISO 3166 code of where the cameras are
    vault BLOB NOT NULL CHECK (length(vault) = 16),         -- id of the vault, the server's
    scanned INTEGER NOT NULL CHECK (scanned >= 0),          -- entries of the own copy of the log looked at
    restoring INTEGER NOT NULL CHECK (restoring IN (0, 1)), -- 1 until a restored device has found everything
    recipient_sent INTEGER NOT NULL CHECK (recipient_sent IN (0, 1)) -- 1 once the operator has the notice key
) STRICT;

CREATE TABLE cameras (
    number INTEGER PRIMARY KEY,                             -- ascending, in the order of adding
    name TEXT NOT NULL,                                     -- the owner's word for it
    position TEXT NOT NULL,                                 -- latitude,longitude in degrees, 5 decimals
    UNIQUE (name, position)
) STRICT;

CREATE TABLE clips (
    number INTEGER PRIMARY KEY,                             -- ascending, in the order of adding
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),        -- random, the device's
    camera TEXT NOT NULL,                                   -- name of the camera that filmed it
    position TEXT NOT NULL,                                 -- where the camera was, as in cameras
    begins INTEGER NOT NULL,                                -- seconds since 1970, UTC
    ends INTEGER NOT NULL,                                  -- seconds since 1970, UTC
    body_sha256 BLOB NOT NULL CHECK (length(body_sha256) = 32), -- of the sealed body without padding
    body_length INTEGER NOT NULL CHECK (body_length >= 0),  -- bytes of the sealed body without padding
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),       -- of the film as it was added
    size INTEGER NOT NULL CHECK (size >= 0),                -- bytes of the film as it was added
    upload BLOB CHECK (length(upload) = 256),               -- 8 commitments of its upload, 32 bytes each; NULL on a restored device
    stored INTEGER NOT NULL CHECK (stored IN (0, 1)),       -- 1 once the vault has it
    CHECK (stored OR upload IS NOT NULL)
) STRICT;
CREATE INDEX clips_by_end ON clips (ends, begins);
CREATE INDEX clips_to_store ON clips (number) WHERE NOT stored;

CREATE TABLE commitments (
    clip INTEGER NOT NULL REFERENCES clips (number) ON DELETE CASCADE, -- whose commitment it is
    place INTEGER NOT NULL CHECK (place BETWEEN 0 AND 3),   -- the number in its salt's name
    commitment BLOB NOT NULL UNIQUE CHECK (length(commitment) = 32), -- as it enters the log
    batch BLOB CHECK (length(batch) = 32),                  -- statement id of its batch; NULL until it is known
    batch_index INTEGER CHECK (batch_index >= 0),           -- place in the batch, from 0; NULL as batch is
    path BLOB CHECK (length(path) % 32 = 0),                -- hashes to the batch's root, 32 bytes each; NULL as batch is
    PRIMARY KEY (clip, place),
    CHECK ((batch IS NULL) = (batch_index IS NULL) AND (batch IS NULL) = (path IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX commitments_unanchored ON commitments (clip, place) WHERE batch IS NULL;

CREATE TABLE refusals (
    number INTEGER PRIMARY KEY,                             -- ascending, in the order of refusing
    request BLOB NOT NULL UNIQUE CHECK (length(request) = 32), -- statement id
    envelope TEXT NOT NULL,                                 -- the signed decision, JSON
    commitment BLOB NOT NULL UNIQUE CHECK (length(commitment) = 32), -- as it enters the log
    carried_by BLOB CHECK (length(carried_by) = 16),        -- id of the clip whose upload carries it
    batch BLOB CHECK (length(batch) = 32),                  -- as in commitments
    batch_index INTEGER CHECK (batch_index >= 0),           -- as in commitments
    path BLOB CHECK (length(path) % 32 = 0),                -- as in commitments
    CHECK ((batch IS NULL) = (batch_index IS NULL) AND (batch IS NULL) = (path IS NULL))
) STRICT;
CREATE INDEX refusals_to_carry ON refusals (number) WHERE carried_by IS NULL AND batch IS NULL;

CREATE TABLE gifts (
    number INTEGER PRIMARY KEY,                             -- ascending, in the order of giving
    disclosure BLOB NOT NULL UNIQUE CHECK (length(disclosure) = 32), -- statement id
    request BLOB CHECK (length(request) = 32),              -- statement id; NULL for what is given to the public
    envelope TEXT NOT NULL,                                 -- the signed disclosure, JSON
    log_index INTEGER CHECK (log_index >= 0),               -- its entry in the own copy of the log; NULL until it is there
    handed_over INTEGER                                     -- seconds since 1970, UTC; NULL until all headers were
) STRICT;
CREATE INDEX gifts_by_request ON gifts (request) WHERE request IS NOT NULL;
CREATE INDEX gifts_to_hand_over ON gifts (number) WHERE log_index IS NOT NULL AND handed_over IS NULL;

CREATE TABLE given_clips (
    gift INTEGER NOT NULL REFERENCES gifts (number) ON DELETE CASCADE, -- the gift that it is part of
    place INTEGER NOT NULL CHECK (place >= 0),              -- its place in the disclosure, from 0
    clip BLOB CHECK (length(clip) = 16),                    -- id; NULL for a clip that this device does not have
    header BLOB,                                            -- re-wrapped, until it is handed over; else NULL
    PRIMARY KEY (gift, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX given_by_clip ON given_clips (clip) WHERE clip IS NOT NULL;

CREATE TABLE open_requests (
    log_index INTEGER PRIMARY KEY CHECK (log_index >= 0),   -- entry of an access request of the jurisdiction
    forbidden TEXT                                          -- why the log's rules forbid it; NULL if they do not
) STRICT;

CREATE TABLE seen_requests (
    number INTEGER PRIMARY KEY,                             -- ascending, in the order of seeing
    request BLOB NOT NULL UNIQUE CHECK (length(request) = 32), -- statement id
    log_index INTEGER NOT NULL CHECK (log_index >= 0),      -- its entry
    agency TEXT NOT NULL,                                   -- party id
    deadline INTEGER NOT NULL                               -- seconds since 1970, UTC
) STRICT;

CREATE TABLE asked_clips (
    request INTEGER NOT NULL REFERENCES seen_requests (number) ON DELETE CASCADE, -- who asks
    clip BLOB NOT NULL CHECK (length(clip) = 16),           -- id of a clip that it asks about
    PRIMARY KEY (request, clip)
) STRICT, WITHOUT ROWID;
CREATE INDEX asked_by_clip ON asked_clips (clip);

CREATE TABLE attacks (
    number INTEGER PRIMARY KEY,                             -- ascending, in the order of the log
    log_index INTEGER NOT NULL CHECK (log_index >= 0),      -- entry of the forged disclosure
    disclosure BLOB NOT NULL CHECK (length(disclosure) = 32), -- its statement id
    clip BLOB NOT NULL CHECK (length(clip) = 16),           -- id of the own clip
    why TEXT NOT NULL                                       -- the fault, for its owner
) STRICT;
CREATE INDEX attacks_by_clip ON attacks (clip);

CREATE TABLE batches_due (
    number INTEGER PRIMARY KEY,                             -- ascending, in the order of the log
    batch BLOB NOT NULL UNIQUE CHECK (length(batch) = 32)   -- statement id of a batch not fetched yet
) STRICT;

CREATE TABLE maybe_refused (
    request BLOB PRIMARY KEY CHECK (length(request) = 32)   -- statement id of a request that a lost device may have refused
) STRICT, WITHOUT ROWID;

CREATE TABLE compelled (
    log_index INTEGER PRIMARY KEY CHECK (log_index >= 0)    -- entry of a notice, a demand response or a delay order
) STRICT;

CREATE TABLE notices_due (
    log_index INTEGER PRIMARY KEY CHECK (log_index >= 0),   -- entry of a notice whose messages were not all tried
    notice BLOB NOT NULL CHECK (length(notice) = 32),       -- its statement id
    forbidden TEXT,                                         -- why the log's rules forbid it; NULL if they do not
    why TEXT                                                -- what failed when its messages were asked for last
) STRICT;

CREATE TABLE tried_messages (
    log_index INTEGER NOT NULL REFERENCES notices_due (log_index) ON DELETE CASCADE, -- the notice's entry
    message INTEGER NOT NULL CHECK (message >= 0),          -- place of a message that was tried, from 0
    PRIMARY KEY (log_index, message)
) STRICT, WITHOUT ROWID;

CREATE TABLE notices (
    log_index INTEGER NOT NULL CHECK (log_index >= 0),      -- the notice's entry
    message INTEGER NOT NULL CHECK (message >= 0),          -- place of the message for this resident, from 0
    forbidden TEXT,                                         -- why the log's rules forbid it; NULL if they do not
    plain BLOB,                                             -- what the message says; NULL if it does not open
    broken TEXT CHECK ((plain IS NULL) <> (broken IS NULL)), -- why the message does not open; NULL if it does
    PRIMARY KEY (log_index, message)
) STRICT, WITHOUT ROWID;

CREATE TABLE lost_messages (
    log_index INTEGER NOT NULL CHECK (log_index >= 0),      -- the notice's entry
    message INTEGER NOT NULL CHECK (message >= 0),          -- place of a message destroyed before it was tried, from 0
    notice BLOB NOT NULL CHECK (length(notice) = 32),       -- statement id
    erased INTEGER NOT NULL CHECK (erased >= 0),            -- entry of the erasure
    PRIMARY KEY (log_index, message)
) STRICT, WITHOUT ROWID;

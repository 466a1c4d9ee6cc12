-- The salt of a refusal's commitment names the clip whose upload carries it. A refusal of before is carried again.
CREATE TABLE carried_refusals (
    number INTEGER PRIMARY KEY,                             -- ascending, in the order of refusing
    request BLOB NOT NULL UNIQUE CHECK (length(request) = 32), -- statement id
    envelope TEXT NOT NULL,                                 -- the signed decision, JSON
    carried_by BLOB CHECK (length(carried_by) = 16),        -- id of the clip whose upload carries it; NULL until one does
    commitment BLOB UNIQUE CHECK (length(commitment) = 32), -- as it enters the log; NULL as carried_by is
    batch BLOB CHECK (length(batch) = 32),                  -- as in commitments
    batch_index INTEGER CHECK (batch_index >= 0),           -- as in commitments
    path BLOB CHECK (length(path) % 32 = 0),                -- as in commitments
    CHECK ((carried_by IS NULL) = (commitment IS NULL) AND (batch IS NULL OR commitment IS NOT NULL)),
    CHECK ((batch IS NULL) = (batch_index IS NULL) AND (batch IS NULL) = (path IS NULL))
) STRICT;
INSERT INTO carried_refusals (number, request, envelope) SELECT number, request, envelope FROM refusals;
DROP TABLE refusals;
ALTER TABLE carried_refusals RENAME TO refusals;
CREATE INDEX refusals_to_carry ON refusals (number) WHERE carried_by IS NULL;

DROP TABLE maybe_refused;
CREATE TABLE maybe_refused (
    log_index INTEGER PRIMARY KEY CHECK (log_index >= 0),   -- entry of a request that a lost device may have refused
    request BLOB NOT NULL UNIQUE CHECK (length(request) = 32), -- its statement id
    deadline INTEGER NOT NULL                               -- seconds since 1970, UTC
) STRICT;

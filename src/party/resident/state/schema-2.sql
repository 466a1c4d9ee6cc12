-- Entries of the log that had been looked at when the clip was added: no batch among them has its commitments.
ALTER TABLE clips ADD COLUMN scanned INTEGER NOT NULL DEFAULT 0 CHECK (scanned >= 0);

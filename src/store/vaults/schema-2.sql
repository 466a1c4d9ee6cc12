ALTER TABLE vaults ADD COLUMN notice_recipient TEXT;           -- age recipient of notices to its owner; NULL until given

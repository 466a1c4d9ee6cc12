ALTER TABLE disclosures ADD COLUMN until INTEGER;           -- given to the public until then, seconds since 1970, UTC; NULL: to an agency
ALTER TABLE vaults ADD COLUMN notice_recipient TEXT;           -- age recipient of notices to its owner; NULL until given

-- What the note tells, JSON, until it is handed over or taken back; NULL if there is none, or not any more.
ALTER TABLE gifts ADD COLUMN note_text BLOB;
-- The note, an age file; NULL as note_text is.
ALTER TABLE gifts ADD COLUMN note BLOB CHECK ((note IS NULL) = (note_text IS NULL));

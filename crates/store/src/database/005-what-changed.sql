-- The entry that last said something of a record: its own, or that of its
-- outcome. Whoever follows the records goes on from such a number.
ALTER TABLE records ADD COLUMN changed INTEGER;

-- Rows of before have none; nobody follows from there.
CREATE INDEX records_changed ON records (changed) WHERE changed IS NOT NULL;

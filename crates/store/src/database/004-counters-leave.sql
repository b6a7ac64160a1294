-- Counters are in checkpoints beside the journal now. What is here is of an
-- older format: as of this entry, until the first checkpoint is written.
CREATE TABLE counters_at AS SELECT segment, offset, number, mac, steady FROM folded;

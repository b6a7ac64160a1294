-- Whose entries rows stand for: a node, and which of its timelines. What was
-- folded before headers said it is of the first, this data directory's own.
CREATE TABLE timelines (
    id    INTEGER PRIMARY KEY,
    node  TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    UNIQUE (node, epoch)
) STRICT;

-- `n` alone is unique here, where there is one chain; elsewhere rows are told
-- apart by node, epoch and `n`.
ALTER TABLE records ADD COLUMN timeline INTEGER NOT NULL DEFAULT 1;
ALTER TABLE acts ADD COLUMN timeline INTEGER NOT NULL DEFAULT 1;

-- The grant whose policy refused, where it is not the call's own.
ALTER TABLE records ADD COLUMN policy_grant TEXT;

-- Who the agent's client says it is. Entries of before do not have it.
ALTER TABLE records ADD COLUMN client TEXT;

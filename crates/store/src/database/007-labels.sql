-- A live grant by its label alone: people name no server where one is enough.
CREATE INDEX live_labels_anywhere ON grants (label) WHERE revoked IS NULL;

-- Times are unix time in microseconds, costs millionths of a dollar.

-- The last number given to each kind of thing. A number is never given twice.
CREATE TABLE numbers (
    what TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One for each grant of a person that ever started an instance: the root of a
-- tree. What is summed up here counts everything in it, whatever became of it.
CREATE TABLE trees (
    root   TEXT PRIMARY KEY,
    made   INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    micros INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- `lineage` is the numbers from the top down, its own included, each with a
-- slash after it: what is below an instance is one range of it. `made_below`,
-- `tokens` and `micros` count all that ever was below it, the last two itself too.
CREATE TABLE instances (
    number      INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    root        TEXT NOT NULL REFERENCES trees (root),
    parent      TEXT REFERENCES instances (id),
    lineage     TEXT NOT NULL,
    role        TEXT NOT NULL,
    grant_id    TEXT UNIQUE,
    agent       TEXT NOT NULL,
    work_dir    TEXT NOT NULL,
    project     TEXT NOT NULL,
    context     TEXT NOT NULL,
    workspace   TEXT NOT NULL,
    state       TEXT NOT NULL,
    created     INTEGER NOT NULL,
    started     INTEGER,
    ended       INTEGER,
    exit_code   INTEGER,
    exit_signal INTEGER,
    why         TEXT,
    made_below  INTEGER NOT NULL,
    tokens      INTEGER NOT NULL,
    micros      INTEGER NOT NULL
) STRICT;

-- A list reads these two, which hold nothing of what was terminated or has ended.
CREATE INDEX listed ON instances (root, lineage) WHERE state <> 'terminated';
CREATE INDEX living ON instances (root, lineage) WHERE ended IS NULL;
CREATE INDEX made ON instances (root, created);

-- `copy_of` names the instance a message was meant for where this row is the
-- copy of a subscriber. Priority 0 comes first.
CREATE TABLE messages (
    number      INTEGER PRIMARY KEY,
    receiver    TEXT NOT NULL REFERENCES instances (id),
    sender_kind TEXT NOT NULL,
    sender      TEXT NOT NULL,
    text        TEXT NOT NULL,
    priority    INTEGER NOT NULL,
    copy_of     TEXT,
    state       TEXT NOT NULL,
    reason      TEXT,
    created     INTEGER NOT NULL,
    delivered   INTEGER,
    settled     INTEGER
) STRICT;

CREATE INDEX queued ON messages (receiver, priority, number) WHERE state = 'queued';
CREATE INDEX on_the_way ON messages (receiver, number) WHERE state = 'delivered';
CREATE INDEX settled ON messages (receiver, number) WHERE settled IS NOT NULL;
CREATE INDEX mailboxes ON messages (receiver, number);

CREATE TABLE tasks (
    number      INTEGER PRIMARY KEY,
    instance    TEXT NOT NULL REFERENCES instances (id),
    name        TEXT NOT NULL,
    instruction TEXT NOT NULL,
    schema      TEXT,
    state       TEXT NOT NULL,
    attempts    INTEGER NOT NULL,
    result      TEXT,
    reason      TEXT,
    tokens      INTEGER NOT NULL,
    micros      INTEGER NOT NULL,
    created     INTEGER NOT NULL,
    started     INTEGER,
    ended       INTEGER
) STRICT;

CREATE INDEX tasks_of ON tasks (instance, number);
CREATE INDEX open_tasks ON tasks (instance, number) WHERE ended IS NULL;

CREATE TABLE subscriptions (
    subscriber TEXT NOT NULL REFERENCES instances (id),
    pattern    TEXT NOT NULL,
    PRIMARY KEY (subscriber, pattern)
) STRICT, WITHOUT ROWID;

-- Times are unix time in microseconds. Nothing secret stands in clear text:
-- whatever is, is a row of `secrets`.

-- Single values: `revision`, and the kept line of the clock.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE servers (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    transport   TEXT NOT NULL,
    description TEXT,
    created     INTEGER NOT NULL
) STRICT;

-- Everything sealed: headers and environment of servers, tokens of grants.
CREATE TABLE secrets (
    owner  TEXT NOT NULL,
    field  TEXT NOT NULL,
    name   TEXT NOT NULL,
    place  INTEGER NOT NULL,
    sealed TEXT NOT NULL,
    PRIMARY KEY (owner, field, name)
) STRICT, WITHOUT ROWID;

-- A deleted policy keeps its row, so that a version number never means two texts.
CREATE TABLE policies (
    id      INTEGER PRIMARY KEY,
    server  TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    name    TEXT NOT NULL,
    current INTEGER NOT NULL,
    deleted INTEGER,
    UNIQUE (server, name)
) STRICT;

CREATE TABLE policy_versions (
    policy      INTEGER NOT NULL REFERENCES policies (id) ON DELETE CASCADE,
    version     INTEGER NOT NULL,
    text        TEXT NOT NULL,
    description TEXT,
    created     INTEGER NOT NULL,
    by          TEXT NOT NULL,
    PRIMARY KEY (policy, version)
) STRICT, WITHOUT ROWID;

-- `server` is no reference: a revoked grant outlives its server.
CREATE TABLE grants (
    id          TEXT PRIMARY KEY,
    server      TEXT NOT NULL,
    server_name TEXT NOT NULL,
    label       TEXT NOT NULL,
    token       BLOB NOT NULL UNIQUE,
    policy      INTEGER REFERENCES policies (id) ON DELETE SET NULL,
    shadow      INTEGER REFERENCES policies (id) ON DELETE SET NULL,
    parent      TEXT REFERENCES grants (id),
    expires     INTEGER,
    created     INTEGER NOT NULL,
    revoked     INTEGER
) STRICT;

CREATE UNIQUE INDEX live_labels ON grants (server, label) WHERE revoked IS NULL;
CREATE INDEX grants_below ON grants (parent) WHERE parent IS NOT NULL;

-- From here on: folded from the journal; the journal is the truth.

-- `n` is the number of the call's first entry, so rows are only ever added at
-- the end. There are few indexes because each costs every call.
CREATE TABLE records (
    n           INTEGER PRIMARY KEY,
    call        BLOB NOT NULL,
    at          INTEGER NOT NULL,
    grant_id    TEXT NOT NULL,
    label       TEXT NOT NULL,
    server      TEXT NOT NULL,
    method      TEXT NOT NULL,
    tool        TEXT,
    policy      TEXT,
    version     INTEGER,
    decision    TEXT NOT NULL,
    rule        TEXT,
    message     TEXT,
    keys        TEXT,
    retry       INTEGER,
    status      TEXT,
    http        INTEGER,
    latency     INTEGER,
    shadow      TEXT
) STRICT;

CREATE INDEX open_calls ON records (call) WHERE status IS NULL AND decision = 'allow';

CREATE TABLE acts (
    n        INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    who      TEXT NOT NULL,
    what     TEXT NOT NULL,
    target   TEXT NOT NULL,
    detail   TEXT,
    revision INTEGER
) STRICT;

CREATE TABLE counters (
    id    TEXT PRIMARY KEY,
    state TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- How far the journal is folded.
CREATE TABLE folded (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    segment INTEGER NOT NULL,
    offset  INTEGER NOT NULL,
    number  INTEGER NOT NULL,
    mac     BLOB NOT NULL,
    steady  INTEGER NOT NULL
) STRICT;

-- Rows of other tables are not touched while these are rebuilt: foreign keys
-- are looked at once, when all steps are done.

-- What people ask for: one grant's calls, one server's, those of a time.
CREATE INDEX records_of_grant ON records (grant_id);
CREATE INDEX records_of_label ON records (label);
CREATE INDEX records_of_server ON records (server);
CREATE INDEX records_of_time ON records (at);

-- What stands in front of `/mcp/`: servers, and what bundles several of them,
-- share one namespace.
CREATE TABLE names (
    name TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('server', 'bundle')),
    id   TEXT NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;

INSERT INTO names (name, kind, id) SELECT name, 'server', id FROM servers;

CREATE TABLE new_servers (
    id          TEXT PRIMARY KEY REFERENCES names (id) ON DELETE CASCADE,
    transport   TEXT NOT NULL,
    description TEXT,
    created     INTEGER NOT NULL
) STRICT;

INSERT INTO new_servers (id, transport, description, created)
    SELECT id, transport, description, created FROM servers;

-- Servers that `provost run` brought, and when a run last used them. Kept
-- beside the journal: it decides nothing but what is cleared.
CREATE TABLE runs (
    server TEXT PRIMARY KEY REFERENCES servers (id) ON DELETE CASCADE,
    used   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- People cannot write descriptions: only a run's begins like this.
INSERT INTO runs (server, used)
    SELECT s.id, max(s.created, coalesce((SELECT max(r.at) FROM records r WHERE r.server = s.name), 0))
    FROM servers s WHERE s.description LIKE 'provost run --policy %';

DROP TABLE servers;
ALTER TABLE new_servers RENAME TO servers;

-- `opens` is no reference: a revoked grant outlives what it opened.
CREATE TABLE new_grants (
    id         TEXT PRIMARY KEY,
    opens      TEXT NOT NULL,
    opens_name TEXT NOT NULL,
    label      TEXT NOT NULL,
    token      BLOB NOT NULL UNIQUE,
    parent     TEXT REFERENCES grants (id),
    expires    INTEGER,
    created    INTEGER NOT NULL,
    revoked    INTEGER
) STRICT;

INSERT INTO new_grants (id, opens, opens_name, label, token, parent, expires, created, revoked)
    SELECT id, server, server_name, label, token, parent, expires, created, revoked FROM grants;

-- What a grant may do on each server it opens: one row on one server, as many
-- as the bundle has on a bundle.
CREATE TABLE grant_servers (
    grant_id TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    server   TEXT NOT NULL,
    policy   INTEGER REFERENCES policies (id) ON DELETE SET NULL,
    shadow   INTEGER REFERENCES policies (id) ON DELETE SET NULL,
    PRIMARY KEY (grant_id, server)
) STRICT, WITHOUT ROWID;

INSERT INTO grant_servers (grant_id, server, policy, shadow)
    SELECT id, server, policy, shadow FROM grants;

DROP TABLE grants;
ALTER TABLE new_grants RENAME TO grants;

CREATE UNIQUE INDEX live_labels ON grants (opens, label) WHERE revoked IS NULL;
CREATE INDEX grants_below ON grants (parent) WHERE parent IS NOT NULL;
CREATE INDEX grants_revoked ON grants (revoked) WHERE revoked IS NOT NULL;
CREATE INDEX grants_enforcing ON grant_servers (policy) WHERE policy IS NOT NULL;
CREATE INDEX grants_watching ON grant_servers (shadow) WHERE shadow IS NOT NULL;

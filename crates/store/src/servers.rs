//! Servers: add, set, remove, list, show.

use provost_policy::Text;
use rusqlite::{Connection, Row, Transaction};

use crate::change::Change;
use crate::database::{int, to_json, uint};
use crate::ids::random_name;
use crate::keys::Keyring;
use crate::names::{name_taken, require_server_id};
use crate::sealed::{self, ENV, HEADER, QUERY};
use crate::{
    Act, Actor, ChangeError, GrantId, Processes, SealedPairs, Secret, Server, ServerId, Store,
    StoreError, Transport, Unreadable, grants,
};

/// Names that are built in.
const RESERVED: [&str; 3] = ["fleet", "native", "catalog"];

/// A server to add.
#[derive(Debug, Clone)]
pub struct NewServer {
    /// Its name: `[a-z0-9-]`, not reserved.
    pub name: String,
    /// How it is reached.
    pub transport: Transport,
    /// Headers sent with every request (HTTP).
    pub headers: SealedPairs,
    /// What is added to the URL's query (HTTP).
    pub query: SealedPairs,
    /// Variables of its environment (child process).
    pub env: SealedPairs,
    /// What people say it is.
    pub description: Option<String>,
}

/// What to change of a server; `None` stays.
#[derive(Debug, Clone, Default)]
pub struct ServerChange {
    /// How it is reached.
    pub transport: Option<Transport>,
    /// Headers, all of them.
    pub headers: Option<SealedPairs>,
    /// Parts of the query, all of them.
    pub query: Option<SealedPairs>,
    /// Environment, all of it.
    pub env: Option<SealedPairs>,
    /// The description; `Some(None)` removes it.
    pub description: Option<Option<String>>,
}

/// What went with a removed server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedServer {
    /// The grants that were revoked.
    pub grants: Vec<GrantId>,
}

// === impl Store ===

impl Store {
    /// Makes sure that a server that is built in can have grants and policies;
    /// `name` is one of the reserved ones.
    pub fn furnish_builtin(&self, who: &Actor, name: &str) -> Result<Server, ChangeError> {
        if !RESERVED.contains(&name) {
            return Err(ChangeError::NoServer {
                name: name.to_owned(),
            });
        }
        match self.server(name) {
            Err(ChangeError::NoServer { .. }) => {}
            found => return found,
        }
        let added = self.add(
            who,
            NewServer {
                name: name.to_owned(),
                transport: Transport::Builtin,
                headers: Vec::new(),
                query: Vec::new(),
                env: Vec::new(),
                description: None,
            },
        );
        match added {
            // Somebody was quicker.
            Err(ChangeError::ServerExists { .. }) => self.server(name),
            added => added,
        }
    }

    /// Adds a server.
    pub fn add_server(&self, who: &Actor, server: NewServer) -> Result<Server, ChangeError> {
        check_name(&server.name)?;
        self.add(who, server)
    }

    fn add(&self, who: &Actor, server: NewServer) -> Result<Server, ChangeError> {
        check_names(&server.headers)?;
        check_names(&server.query)?;
        check_names(&server.env)?;
        self.change(who, Act::ServerAdd, |tx, now| {
            if name_taken(tx, &server.name)? {
                return Err(ChangeError::ServerExists {
                    name: server.name.clone(),
                });
            }
            let id = ServerId(random_name("s-")?);
            let transport = to_json(&server.transport)?;
            tx.execute(
                "INSERT INTO names (name, kind, id) VALUES (?1, 'server', ?2)",
                (&server.name, id.as_str()),
            )?;
            tx.execute(
                "INSERT INTO servers (id, transport, description, created) VALUES (?1, ?2, ?3, ?4)",
                (id.as_str(), transport, &server.description, int(now)),
            )?;
            sealed::put_all(tx, &self.0.keys, id.as_str(), HEADER, &server.headers)?;
            sealed::put_all(tx, &self.0.keys, id.as_str(), QUERY, &server.query)?;
            sealed::put_all(tx, &self.0.keys, id.as_str(), ENV, &server.env)?;
            let added = self.require_server(tx, &server.name)?;
            Ok(Change::detailed(
                added,
                &server.name,
                describe(&server.transport),
            ))
        })
    }

    /// Changes a server.
    pub fn set_server(
        &self,
        who: &Actor,
        name: &str,
        change: ServerChange,
    ) -> Result<Server, ChangeError> {
        refuse_builtin(name)?;
        check_names(change.headers.as_deref().unwrap_or_default())?;
        check_names(change.query.as_deref().unwrap_or_default())?;
        check_names(change.env.as_deref().unwrap_or_default())?;
        self.change(who, Act::ServerSet, |tx, _| {
            let id = require_server_id(tx, name)?;
            let mut parts = Vec::new();
            if let Some(transport) = &change.transport {
                tx.execute(
                    "UPDATE servers SET transport = ?2 WHERE id = ?1",
                    (id.as_str(), to_json(transport)?),
                )?;
                parts.push(describe(transport));
            }
            if let Some(description) = &change.description {
                tx.execute(
                    "UPDATE servers SET description = ?2 WHERE id = ?1",
                    (id.as_str(), description),
                )?;
                parts.push("description".to_owned());
            }
            let sealed = [
                (HEADER, &change.headers),
                (QUERY, &change.query),
                (ENV, &change.env),
            ];
            for (field, pairs) in sealed {
                if let Some(pairs) = pairs {
                    sealed::put_all(tx, &self.0.keys, id.as_str(), field, pairs)?;
                    let names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
                    parts.push(format!("{field}: {}", names.join(", ")));
                }
            }
            let server = self.require_server(tx, name)?;
            if parts.is_empty() {
                return Ok(Change::Already(server));
            }
            Ok(Change::detailed(server, name, parts.join("; ")))
        })
    }

    /// Removes a server with its policies, and revokes its grants.
    pub fn remove_server(&self, who: &Actor, name: &str) -> Result<RemovedServer, ChangeError> {
        refuse_builtin(name)?;
        self.change(who, Act::ServerRemove, |tx, now| {
            let id = require_server_id(tx, name)?;
            let grants = forget(tx, &id, now)?;
            let detail = format!("{} grants revoked", grants.len());
            Ok(Change::detailed(RemovedServer { grants }, name, detail))
        })
    }

    /// All servers, by name.
    pub fn servers(&self) -> Result<Vec<Server>, StoreError> {
        load_servers(&self.0.database.reading(), &self.0.keys, None)
    }

    /// One server.
    pub fn server(&self, name: &str) -> Result<Server, ChangeError> {
        self.require_server(&self.0.database.reading(), name)
    }

    fn require_server(&self, connection: &Connection, name: &str) -> Result<Server, ChangeError> {
        let found = load_servers(connection, &self.0.keys, Some(name))?;
        found
            .into_iter()
            .next()
            .ok_or_else(|| ChangeError::NoServer {
                name: name.to_owned(),
            })
    }
}

/// Removes a server with its policies and secrets, and revokes its grants.
pub(crate) fn forget(
    tx: &Transaction<'_>,
    id: &ServerId,
    now: u64,
) -> Result<Vec<GrantId>, StoreError> {
    let grants = grants::revoke_of_server(tx, id, now)?;
    sealed::forget(tx, id.as_str())?;
    // With it go its row and its policies.
    tx.execute("DELETE FROM names WHERE id = ?1", [id.as_str()])?;
    Ok(grants)
}

/// Reads servers, all or the one with this name.
pub(crate) fn load_servers(
    connection: &Connection,
    keys: &Keyring,
    name: Option<&str>,
) -> Result<Vec<Server>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT s.id, n.name, s.transport, s.description, s.created FROM servers s
         JOIN names n ON n.id = s.id WHERE ?1 IS NULL OR n.name = ?1 ORDER BY n.name",
    )?;
    let mut rows = statement.query([name])?;
    let mut servers = Vec::new();
    while let Some(row) = rows.next()? {
        servers.push(server_from(connection, keys, row)?);
    }
    Ok(servers)
}

/// What of a server does not open stays its own fault: others are read on.
fn server_from(
    connection: &Connection,
    keys: &Keyring,
    row: &Row<'_>,
) -> Result<Server, StoreError> {
    let id: String = row.get(0)?;
    let mut unreadable = Vec::new();
    let transport: String = row.get(2)?;
    let transport = serde_json::from_str(&transport)
        .map_err(|error| {
            let reason = error.to_string();
            unreadable.push(Unreadable::Transport { reason });
        })
        .ok();
    let mut opened = |kind: &'static str| {
        let (pairs, closed) = sealed::get_all(connection, keys, &id, kind)?;
        unreadable.extend(closed.into_iter().map(|(name, why)| Unreadable::Sealed {
            kind,
            name,
            reason: why.0,
        }));
        Ok::<_, StoreError>(pairs)
    };
    Ok(Server {
        headers: opened(HEADER)?,
        query: opened(QUERY)?,
        env: opened(ENV)?,
        id: ServerId(Text::from(id)),
        name: Text::from(row.get::<_, String>(1)?),
        transport,
        description: row.get(3)?,
        created: uint(row.get(4)?),
        unreadable,
    })
}

/// Nobody changes or removes what is a part of the daemon.
fn refuse_builtin(name: &str) -> Result<(), ChangeError> {
    match RESERVED.contains(&name) {
        true => Err(ChangeError::Builtin {
            name: name.to_owned(),
        }),
        false => Ok(()),
    }
}

/// Names of servers: lower case, digits and hyphens.
fn check_name(name: &str) -> Result<(), ChangeError> {
    let refused = |reason| Err(ChangeError::name(name, reason));
    if name.is_empty() || name.len() > 64 {
        return refused("it must have 1 to 64 characters");
    }
    if !name
        .bytes()
        .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    {
        return refused("only `a` to `z`, digits and `-` are allowed");
    }
    if name.starts_with('-') || name.ends_with('-') {
        return refused("it must begin and end with a letter or digit");
    }
    if RESERVED.contains(&name) {
        return refused("the name is reserved");
    }
    Ok(())
}

/// Names of headers and variables: no two alike, nothing that breaks a line.
fn check_names(pairs: &[(String, Secret)]) -> Result<(), ChangeError> {
    for (index, (name, _)) in pairs.iter().enumerate() {
        let refused = |reason| Err(ChangeError::name(name, reason));
        if name.is_empty()
            || name.contains(['=', ':'])
            || name.chars().any(|c| c.is_control() || c.is_whitespace())
        {
            return refused("it is not a valid name of a header or a variable");
        }
        if pairs.iter().take(index).any(|(other, _)| other == name) {
            return refused("it is given twice");
        }
    }
    Ok(())
}

/// What is recorded of a transport: a URL or arguments may carry secrets.
fn describe(transport: &Transport) -> String {
    match transport {
        Transport::Http { url } => {
            let place = url.split(['?', '#']).next().unwrap_or_default();
            // Without user and password.
            let (scheme, rest) = place.split_once("://").unwrap_or(("", place));
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("http {scheme}://{host}/{path}")
        }
        Transport::Stdio {
            command, processes, ..
        } => match processes {
            Processes::Session => format!("stdio {command}"),
            Processes::Grant => format!("stdio {command}, a process per grant"),
            Processes::Shared => format!("stdio {command}, shared"),
        },
        Transport::Builtin => "built in".to_owned(),
    }
}

//! Policies: named and versioned, on a server.

use std::collections::HashMap;
use std::sync::Arc;

use provost_policy::Text;
use provost_policy::document::Policy;
use rusqlite::{Connection, OptionalExtension, Row, Transaction};

use crate::change::Change;
use crate::database::{int, uint};
use crate::guard::read;
use crate::names::require_server_id;
use crate::{Act, Actor, ChangeError, PolicyVersion, ServerId, Store, StoreError};

/// Whether a policy in use may be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// Refused while a live grant uses it.
    IfUnused,
    /// Taken from grants that use it. Whoever it was enforced for is left
    /// with nothing and denied everything: a draft that observes goes too,
    /// since alone it would let every call pass.
    EvenIfUsed,
}

/// What putting a policy did.
#[derive(Debug, Clone)]
pub struct PolicyPut {
    /// The version that is current now.
    pub current: Arc<PolicyVersion>,
    /// Whether it is new; the same text again makes no version.
    pub new: bool,
}

/// Current versions by the number of their policy, each read once and only
/// if somebody asks for it.
pub(crate) struct CurrentPolicies<'a> {
    connection: &'a Connection,
    read: HashMap<i64, Option<Arc<PolicyVersion>>>,
}

const COLUMNS: &str = "p.server, n.name, p.name, v.version, v.text, v.description, v.created, v.by";
/// Policies, with the names of their servers and all their versions.
const TABLES: &str =
    "policies p JOIN names n ON n.id = p.server JOIN policy_versions v ON v.policy = p.id";

// === impl Store ===

impl Store {
    /// Puts a policy: a new name, a new version, or nothing when the text is
    /// that of the current version. The text is checked whole first.
    pub fn put_policy(
        &self,
        who: &Actor,
        server: &str,
        name: &str,
        text: &str,
        description: Option<&str>,
    ) -> Result<PolicyPut, ChangeError> {
        check_name(name)?;
        check_text(name, text)?;
        self.change(who, Act::PolicyPut, |tx, now| {
            let put = NewVersion {
                name,
                text,
                description,
                by: &who.0,
                now,
            };
            let current = put.insert(tx, server)?;
            Ok(describe(current, server, name))
        })
    }

    /// Makes a new version with the text of an old one.
    pub fn rollback_policy(
        &self,
        who: &Actor,
        server: &str,
        name: &str,
        version: u32,
    ) -> Result<PolicyPut, ChangeError> {
        self.change(who, Act::PolicyRollback, |tx, now| {
            let old = one_version(tx, server, name, Some(version))?;
            let (id, _) = require_policy(tx, server, name)?;
            // Its text is copied, so it must be the one that was put.
            let row = format!("policy_versions[{id},{version}]");
            if read(&self.0.distrust).has_row(&row) {
                return Err(ChangeError::Differs { row });
            }
            let description = format!("version {version} again");
            let put = NewVersion {
                name,
                text: &old.text,
                description: Some(&description),
                by: &who.0,
                now,
            };
            let current = put.insert(tx, server)?;
            Ok(describe(current, server, name))
        })
    }

    /// Deletes a policy. Put again, it goes on with the next version.
    pub fn delete_policy(
        &self,
        who: &Actor,
        server: &str,
        name: &str,
        how: Deletion,
    ) -> Result<(), ChangeError> {
        self.change(who, Act::PolicyDelete, |tx, now| {
            let (id, _) = require_policy(tx, server, name)?;
            let used_by = users(tx, id)?;
            if how == Deletion::IfUnused && !used_by.is_empty() {
                let labels = used_by.iter().map(|label| format!("`{label}`")).collect();
                return Err(ChangeError::PolicyInUse {
                    server: server.to_owned(),
                    name: name.to_owned(),
                    labels,
                });
            }
            tx.execute(
                "UPDATE grant_servers SET policy = NULL, shadow = NULL WHERE policy = ?1",
                [id],
            )?;
            tx.execute(
                "UPDATE grant_servers SET shadow = NULL WHERE shadow = ?1",
                [id],
            )?;
            tx.execute(
                "UPDATE policies SET deleted = ?2 WHERE id = ?1",
                (id, int(now)),
            )?;
            let detail = match used_by.len() {
                0 => "no grant used it".to_owned(),
                count => format!("taken from {count} grants"),
            };
            Ok(Change::detailed((), format!("{server}/{name}"), detail))
        })
    }

    /// The current version of each policy, of one server or of all.
    pub fn policies(&self, server: Option<&str>) -> Result<Vec<Arc<PolicyVersion>>, ChangeError> {
        let connection = self.0.database.reading();
        let server = server
            .map(|name| require_server_id(&connection, name))
            .transpose()?;
        let mut statement = connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM {TABLES} WHERE v.version = p.current AND p.deleted IS NULL
                 AND (?1 IS NULL OR p.server = ?1) ORDER BY n.name, p.name"
        ))?;
        let policies =
            statement.query_map([server.as_ref().map(ServerId::as_str)], version_from)?;
        Ok(policies.collect::<Result<_, _>>()?)
    }

    /// One policy in one version, or in its current one.
    pub fn policy(
        &self,
        server: &str,
        name: &str,
        version: Option<u32>,
    ) -> Result<Arc<PolicyVersion>, ChangeError> {
        one_version(&self.0.database.reading(), server, name, version)
    }

    /// All versions of a policy, newest first.
    pub fn policy_history(
        &self,
        server: &str,
        name: &str,
    ) -> Result<Vec<Arc<PolicyVersion>>, ChangeError> {
        let connection = self.0.database.reading();
        let (id, _) = require_policy(&connection, server, name)?;
        let mut statement = connection.prepare(&format!(
            "SELECT {COLUMNS} FROM {TABLES} WHERE p.id = ?1 ORDER BY v.version DESC"
        ))?;
        let versions = statement.query_map([id], version_from)?;
        Ok(versions.collect::<Result<_, _>>()?)
    }
}

/// A version about to be written.
struct NewVersion<'a> {
    name: &'a str,
    text: &'a str,
    description: Option<&'a str>,
    by: &'a str,
    now: u64,
}

// === impl NewVersion ===

impl NewVersion<'_> {
    fn insert(&self, tx: &Transaction<'_>, server_name: &str) -> Result<PolicyPut, ChangeError> {
        let server = require_server_id(tx, server_name)?;
        let found: Option<(i64, u32, Option<i64>)> = tx
            .query_row(
                "SELECT id, current, deleted FROM policies WHERE server = ?1 AND name = ?2",
                (server.as_str(), self.name),
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .optional()?;
        if let Some((_, version, None)) = found {
            let current = one_version(tx, server_name, self.name, Some(version))?;
            if *current.text == *self.text {
                return Ok(PolicyPut {
                    current,
                    new: false,
                });
            }
        }
        let (id, version) = match found {
            Some((id, current, _)) => {
                tx.execute(
                    "UPDATE policies SET current = ?2, deleted = NULL WHERE id = ?1",
                    (id, current + 1),
                )?;
                (id, current + 1)
            }
            None => {
                tx.execute(
                    "INSERT INTO policies (server, name, current) VALUES (?1, ?2, 1)",
                    (server.as_str(), self.name),
                )?;
                (tx.last_insert_rowid(), 1)
            }
        };
        tx.execute(
            "INSERT INTO policy_versions (policy, version, text, description, created, by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (
                id,
                version,
                self.text,
                self.description,
                int(self.now),
                self.by,
            ),
        )?;
        let current = one_version(tx, server_name, self.name, Some(version))?;
        Ok(PolicyPut { current, new: true })
    }
}

// === impl CurrentPolicies ===

impl<'a> CurrentPolicies<'a> {
    pub(crate) fn new(connection: &'a Connection) -> Self {
        Self {
            connection,
            read: HashMap::new(),
        }
    }

    /// The current version of a policy, if it was not deleted.
    pub(crate) fn get(&mut self, id: i64) -> Result<Option<Arc<PolicyVersion>>, StoreError> {
        if let Some(known) = self.read.get(&id) {
            return Ok(known.clone());
        }
        let found = self
            .connection
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM {TABLES}
                 WHERE p.id = ?1 AND v.version = p.current AND p.deleted IS NULL"
            ))?
            .query_row([id], version_from)
            .optional()?;
        self.read.insert(id, found.clone());
        Ok(found)
    }
}

/// The number and current version of a policy that was not deleted.
pub(crate) fn require_policy(
    connection: &Connection,
    server: &str,
    name: &str,
) -> Result<(i64, u32), ChangeError> {
    let id = require_server_id(connection, server)?;
    let found = connection
        .query_row(
            "SELECT id, current FROM policies WHERE server = ?1 AND name = ?2 AND deleted IS NULL",
            (id.as_str(), name),
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    found.ok_or_else(|| ChangeError::NoPolicy {
        server: server.to_owned(),
        name: name.to_owned(),
    })
}

fn one_version(
    connection: &Connection,
    server: &str,
    name: &str,
    version: Option<u32>,
) -> Result<Arc<PolicyVersion>, ChangeError> {
    let (id, current) = require_policy(connection, server, name)?;
    let version = version.unwrap_or(current);
    let found = connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM {TABLES} WHERE p.id = ?1 AND v.version = ?2"
        ))?
        .query_row((id, version), version_from)
        .optional()?;
    found.ok_or_else(|| ChangeError::NoVersion {
        server: server.to_owned(),
        name: name.to_owned(),
        version,
    })
}

fn version_from(row: &Row<'_>) -> rusqlite::Result<Arc<PolicyVersion>> {
    let text = |index| Ok::<_, rusqlite::Error>(Text::from(row.get::<_, String>(index)?));
    Ok(Arc::new(PolicyVersion {
        server: ServerId(text(0)?),
        server_name: text(1)?,
        name: text(2)?,
        version: row.get(3)?,
        text: row.get::<_, String>(4)?.into(),
        description: row.get(5)?,
        created: uint(row.get(6)?),
        by: row.get(7)?,
    }))
}

/// Labels of live grants that use a policy.
fn users(tx: &Transaction<'_>, policy: i64) -> rusqlite::Result<Vec<String>> {
    let mut statement = tx.prepare(
        "SELECT DISTINCT label FROM grants g JOIN grant_servers s ON s.grant_id = g.id
         WHERE (s.policy = ?1 OR s.shadow = ?1) AND g.revoked IS NULL ORDER BY label",
    )?;
    statement.query_map([policy], |row| row.get(0))?.collect()
}

fn describe(put: PolicyPut, server: &str, name: &str) -> Change<PolicyPut> {
    if !put.new {
        return Change::Already(put);
    }
    let version = put.current.version;
    Change::detailed(
        put,
        format!("{server}/{name}"),
        format!("version {version}"),
    )
}

/// Names of policies: what can stand in a rule's path and on a command line.
fn check_name(name: &str) -> Result<(), ChangeError> {
    let refused = |reason| Err(ChangeError::name(name, reason));
    if name.is_empty() || name.len() > 128 {
        return refused("it must have 1 to 128 bytes");
    }
    if name.starts_with('-') {
        return refused("it must not begin with `-`");
    }
    if name
        .chars()
        .any(|c| c.is_control() || c.is_whitespace() || c == '/')
    {
        return refused("blanks, `/` and control characters are not allowed");
    }
    Ok(())
}

/// A policy is stored only if the gateway will be able to enforce it.
fn check_text(name: &str, text: &str) -> Result<(), ChangeError> {
    match Policy::parse(text) {
        Ok(_) => Ok(()),
        Err(problems) => {
            let problems = problems.iter().map(ToString::to_string).collect();
            Err(ChangeError::PolicyRefused {
                name: name.to_owned(),
                problems,
            })
        }
    }
}

//! What is not in force, because its rows are not what the journal says.

use std::collections::{BTreeSet, HashSet};

use rusqlite::{Connection, OptionalExtension};
use serde_json::Value;

use super::table::Table;
use super::{Expected, Found};
use crate::StoreError;
use crate::journal::{RowKey, Rows};

/// The text that stands for one that cannot be believed.
pub(crate) const DENIES_ALL: &str = r#"{"version":"1","default":"deny","hide":"*","description":"its text is not what the journal says"}"#;

/// Grants, servers and policies that are refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Distrust {
    keys: HashSet<RowKey>,
    grants: HashSet<String>,
    /// By id and by name.
    servers: HashSet<String>,
    /// By the server's id and the policy's name.
    policies: HashSet<(String, String)>,
    /// What to tell people.
    named: BTreeSet<String>,
}

// === impl Distrust ===

impl Distrust {
    /// Holds the rows of a database against the journal.
    pub(crate) fn find(
        connection: &Connection,
        rows: &Found,
        expected: &Expected,
    ) -> Result<Self, StoreError> {
        let mut found = Self::default();
        for key in expected.differing(rows) {
            found.add(connection, &key)?;
            found.keys.insert(key);
        }
        Ok(found)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Each thing that is refused, in words.
    pub(crate) fn named(&self) -> impl Iterator<Item = &str> {
        self.named.iter().map(String::as_str)
    }

    pub(crate) fn has_row(&self, key: &str) -> bool {
        self.keys.contains(key)
    }

    pub(crate) fn has_grant(&self, id: &str) -> bool {
        self.grants.contains(id)
    }

    pub(crate) fn has_server(&self, id: &str, name: &str) -> bool {
        self.servers.contains(id) || self.servers.contains(name)
    }

    pub(crate) fn has_policy(&self, server: &str, name: &str) -> bool {
        !self.policies.is_empty()
            && self
                .policies
                .contains(&(server.to_owned(), name.to_owned()))
    }

    /// A row among these that would stay in force, although it differs: what
    /// is done to it would be taken for the whole of it.
    pub(crate) fn kept_by(
        &self,
        connection: &Connection,
        rows: &Rows,
    ) -> Result<Option<RowKey>, StoreError> {
        for (key, digest) in rows {
            // Sealed values are only ever replaced whole.
            let is_replaced = key.starts_with("secrets[");
            if digest.is_none() || is_replaced || !self.keys.contains(key) {
                continue;
            }
            let Some((table, parts)) = Table::of(key) else {
                return Ok(Some(key.clone()));
            };
            // What it may do goes with it.
            let is_revoked = matches!(table, Table::Grants | Table::GrantServers)
                && connection
                    .query_row(
                        "SELECT revoked IS NOT NULL FROM grants WHERE id = ?1",
                        [text(&parts, 0)],
                        |row| row.get(0),
                    )
                    .optional()?
                    .unwrap_or(false);
            if !is_revoked {
                return Ok(Some(key.clone()));
            }
        }
        Ok(None)
    }

    fn add(&mut self, connection: &Connection, key: &str) -> Result<(), StoreError> {
        // Only rows of these tables are looked at.
        let Some((table, parts)) = Table::of(key) else {
            self.named.insert(format!("row `{key}`"));
            return Ok(());
        };
        let first = text(&parts, 0);
        match table {
            Table::Names | Table::Servers => {
                self.named.insert(format!("server `{first}`"));
                self.servers.insert(first);
            }
            Table::Secrets => {
                self.named.insert(format!("secret of `{first}`"));
                self.servers.insert(first.clone());
                self.grants.insert(first);
            }
            Table::Policies => self.add_policy(connection, &parts, None)?,
            Table::PolicyVersions => {
                let version = parts.get(1).and_then(Value::as_i64);
                self.add_policy(connection, &parts, version)?;
            }
            Table::Grants | Table::GrantServers => {
                self.named.insert(format!("grant `{first}`"));
                self.grants.insert(first);
            }
        }
        Ok(())
    }

    fn add_policy(
        &mut self,
        connection: &Connection,
        parts: &[Value],
        version: Option<i64>,
    ) -> Result<(), StoreError> {
        let id = parts.first().and_then(Value::as_i64).unwrap_or_default();
        let found: Option<(String, String, i64)> = connection
            .query_row(
                "SELECT p.server, p.name, p.current FROM policies p
                 JOIN policy_versions v ON v.policy = p.id AND v.version = p.current
                 WHERE p.id = ?1",
                [id],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .optional()?;
        let Some((server, name, current)) = found else {
            return self.add_users(connection, id);
        };
        let server_name: Option<String> = connection
            .query_row("SELECT name FROM names WHERE id = ?1", [&server], |row| {
                row.get(0)
            })
            .optional()?;
        let shown = format!("{}/{name}", server_name.as_deref().unwrap_or(&server));
        self.named.insert(match version {
            Some(version) => format!("policy `{shown}` version {version}"),
            None => format!("policy `{shown}`"),
        });
        // An old version decides nothing before somebody goes back to it.
        if version.is_none_or(|version| version == current) {
            self.policies.insert((server, name));
        }
        Ok(())
    }

    /// A policy is not there: who used it must not be left with less.
    fn add_users(&mut self, connection: &Connection, policy: i64) -> Result<(), StoreError> {
        self.named.insert(format!("policy number {policy}"));
        let mut users = connection
            .prepare("SELECT grant_id FROM grant_servers WHERE policy = ?1 OR shadow = ?1")?;
        for grant in users.query_map([policy], |row| row.get::<_, String>(0))? {
            let grant = grant?;
            self.named.insert(format!("grant `{grant}`"));
            self.grants.insert(grant);
        }
        Ok(())
    }
}

fn text(parts: &[Value], place: usize) -> String {
    match parts.get(place) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

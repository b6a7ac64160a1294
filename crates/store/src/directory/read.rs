//! Reading the directory: whole, or what a change reaches.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use provost_policy::Text;
use rusqlite::Connection;
use serde_json::Value;

use super::{Directory, Kept, Touched};
use crate::control::{FEW, Table};
use crate::grants::{self, GrantRow, Which};
use crate::guard::{lock, read};
use crate::journal::Rows;
use crate::names::name_of;
use crate::policies::CurrentPolicies;
use crate::servers::load_servers;
use crate::{GrantId, ServerId, Store, StoreError};

// === impl Store ===

impl Store {
    /// A consistent snapshot of servers, grants and policies. Cheap: it is kept.
    pub fn directory(&self) -> Result<Directory, StoreError> {
        Ok(self.directory_since(None)?.0)
    }

    /// [`Store::directory`], and what in it is other than it was in a generation.
    pub fn directory_since(
        &self,
        generation: Option<u64>,
    ) -> Result<(Directory, Touched), StoreError> {
        let known = |kept: &Kept| {
            let directory = kept.directory.clone()?;
            Some((directory, kept.touched_since(generation)))
        };
        if let Some(known) = known(&lock(&self.0.kept)) {
            return Ok(known);
        }
        // Nothing is changed while it is read, so it is of one moment.
        let _changing = lock(&self.0.changing);
        let mut kept = lock(&self.0.kept);
        if kept.directory.is_none() {
            self.read_whole(&mut kept)?;
        }
        known(&kept).ok_or_else(|| StoreError::Unexpected("no directory".to_owned()))
    }

    /// A change was committed that left these rows behind. What it reaches is
    /// other from here on. To be called while changes wait.
    pub(crate) fn follow_change(&self, connection: &Connection, rows: &Rows) {
        let mut kept = lock(&self.0.kept);
        let generation = self.0.generation.fetch_add(1, Ordering::AcqRel) + 1;
        let touched = match kept.directory.is_some() {
            true => self.read_again(connection, rows, &mut kept),
            false => Ok(Touched::All),
        };
        let touched = touched.unwrap_or_else(|error| {
            // Whoever asks for it next reads it whole, or hears why not.
            tracing::error!(error = %error, "a change could not be read back from the database");
            Touched::All
        });
        match &mut kept.directory {
            Some(directory) if touched != Touched::All => directory.generation = generation,
            directory => *directory = None,
        }
        kept.note(generation, touched);
    }

    /// Something else is in force than before, and it is not known what.
    pub(crate) fn forget_directory(&self) {
        let mut kept = lock(&self.0.kept);
        let generation = self.0.generation.fetch_add(1, Ordering::AcqRel) + 1;
        kept.directory = None;
        kept.note(generation, Touched::All);
    }

    fn read_whole(&self, kept: &mut Kept) -> Result<(), StoreError> {
        let distrust = read(&self.0.distrust);
        let mut connection = self.0.database.reading();
        let snapshot = connection.transaction()?;
        let servers = load_servers(&snapshot, &self.0.keys, None)?;
        let grants = grants::load(&snapshot, Which::Live)?;
        kept.directory = Some(Directory {
            generation: self.generation(),
            ..Directory::default()
        });
        for server in servers {
            kept.put_server(server, &distrust);
        }
        for GrantRow { grant, .. } in grants {
            kept.put_grant(grant, &distrust);
        }
        Ok(())
    }

    /// Reads again what a change reaches.
    fn read_again(
        &self,
        connection: &Connection,
        rows: &Rows,
        kept: &mut Kept,
    ) -> Result<Touched, StoreError> {
        let (servers, grants) = self.reached(connection, rows, kept)?;
        if grants.len() > FEW {
            return Ok(Touched::All);
        }
        let distrust = read(&self.0.distrust);
        for id in &servers {
            if let Some(directory) = &mut kept.directory {
                directory.forget_server(id);
            }
            let name = name_of(connection, id.as_str())?;
            let found = match &name {
                Some(name) => load_servers(connection, &self.0.keys, Some(name))?,
                None => Vec::new(),
            };
            for server in found {
                kept.put_server(server, &distrust);
            }
        }
        // All old tokens go before the first new one comes.
        if let Some(directory) = &mut kept.directory {
            grants.iter().for_each(|id| directory.forget_grant(id));
        }
        let mut policies = CurrentPolicies::new(connection);
        for id in &grants {
            for row in grants::load_with(connection, Which::One(id), &mut policies)? {
                if row.revoked.is_none() {
                    kept.put_grant(row.grant, &distrust);
                }
            }
        }
        Ok(Touched::These { servers, grants })
    }

    /// Which servers and grants depend on these rows.
    pub(crate) fn reached(
        &self,
        connection: &Connection,
        rows: &Rows,
        kept: &Kept,
    ) -> Result<(BTreeSet<ServerId>, BTreeSet<GrantId>), StoreError> {
        let (mut servers, mut grants) = (BTreeSet::new(), BTreeSet::new());
        let mut policies = BTreeSet::new();
        for key in rows.keys() {
            let Some((table, parts)) = Table::of(key) else {
                continue;
            };
            let first = parts.first();
            let text = || first.and_then(Value::as_str).map(Text::from);
            match table {
                // Its row in `servers` is touched with it.
                Table::Names => {}
                Table::Servers => servers.extend(text().map(ServerId)),
                // Of a server or a grant. What is sealed of a grant is not here.
                Table::Secrets => {
                    let id = text().map(ServerId);
                    let is_server = |id: &ServerId| {
                        let known = kept.directory.as_ref();
                        known.is_some_and(|directory| directory.servers.contains_key(id))
                    };
                    servers.extend(id.filter(is_server));
                }
                Table::Policies | Table::PolicyVersions => {
                    policies.extend(first.and_then(Value::as_i64));
                }
                Table::Grants | Table::GrantServers => grants.extend(text().map(GrantId)),
            }
        }
        for policy in policies {
            grants.extend(grants::users_of(connection, policy)?);
        }
        for server in &servers {
            grants.extend(grants::live_on(connection, server)?);
        }
        let tops: Vec<_> = grants.iter().cloned().collect();
        for top in tops {
            grants.extend(grants::below(connection, &top)?);
        }
        Ok((servers, grants))
    }
}

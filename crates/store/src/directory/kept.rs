//! The directory that is kept: a change reads again what it reaches, and nothing
//! else.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use provost_policy::Text;
use rusqlite::Connection;
use serde_json::Value;

use super::{Directory, Unreadable};
use crate::control::{Distrust, Rows, key_parts};
use crate::grants::{self, GrantRow, Which};
use crate::guard::{lock, read};
use crate::policies::CurrentPolicies;
use crate::servers::{load_servers, name_of};
use crate::{Grant, GrantId, PolicyVersion, Server, ServerId, Store, StoreError};

/// So many changes are remembered one by one.
const REMEMBERED: usize = 256;

/// A change that reaches more grants than this is not followed one by one: all
/// is read again, which is quicker.
const FEW: usize = 1_000;

/// Servers and grants that are others than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touched {
    /// Nobody knows which.
    All,
    /// These, whether they are still there or not. What a grant may do depends on
    /// its server, its policies and the grants above it: when these change, it is
    /// among them.
    These {
        /// The servers.
        servers: BTreeSet<ServerId>,
        /// The grants.
        grants: BTreeSet<GrantId>,
    },
}

/// What is kept of the control plane.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// None when it has to be read whole.
    directory: Option<Directory>,
    /// The last changes, the newest last, each with its generation.
    changes: VecDeque<(u64, Touched)>,
    /// Texts that grants hold, so that all that have one share it.
    texts: HashMap<(ServerId, Text), Weak<PolicyVersion>>,
}

// === impl Touched ===

impl Touched {
    fn none() -> Self {
        Self::These {
            servers: BTreeSet::new(),
            grants: BTreeSet::new(),
        }
    }

    fn and(self, other: &Self) -> Self {
        match (self, other) {
            (
                Self::These {
                    mut servers,
                    mut grants,
                },
                Self::These {
                    servers: more_servers,
                    grants: more_grants,
                },
            ) => {
                servers.extend(more_servers.iter().cloned());
                grants.extend(more_grants.iter().cloned());
                Self::These { servers, grants }
            }
            (Self::All, _) | (_, Self::All) => Self::All,
        }
    }
}

// === impl Kept ===

impl Kept {
    /// What became other after a generation.
    fn touched_since(&self, generation: Option<u64>) -> Touched {
        let Some((before, newest)) = generation.zip(self.directory.as_ref()) else {
            return Touched::All;
        };
        let later: Vec<_> = self
            .changes
            .iter()
            .filter(|(changed, _)| *changed > before)
            .collect();
        // One of them may be forgotten.
        if newest.generation.checked_sub(before) != Some(later.len() as u64) {
            return Touched::All;
        }
        let all = later.into_iter().map(|(_, touched)| touched);
        all.fold(Touched::none(), Touched::and)
    }

    fn note(&mut self, generation: u64, touched: Touched) {
        if self.changes.len() == REMEMBERED {
            self.changes.pop_front();
        }
        self.changes.push_back((generation, touched));
    }

    /// The same text once, however many grants have it.
    fn share(&mut self, policy: &mut Arc<PolicyVersion>) {
        let place = (policy.server.clone(), policy.name.clone());
        match self.texts.get(&place).and_then(Weak::upgrade) {
            Some(known) if known == *policy => *policy = known,
            Some(_) | None => drop(self.texts.insert(place, Arc::downgrade(policy))),
        }
    }

    fn put_grant(&mut self, mut grant: Grant, distrust: &Distrust) {
        if distrust.has_grant(grant.id.as_str()) {
            return;
        }
        for policy in [&mut grant.policy, &mut grant.shadow].into_iter().flatten() {
            if distrust.has_policy(policy.server.as_str(), &policy.name) {
                *policy = Arc::new(policy.denying());
            }
            self.share(policy);
        }
        if let Some(directory) = &mut self.directory {
            directory.put_grant(grant);
        }
    }

    fn put_server(&mut self, mut server: Server, distrust: &Distrust) {
        let differs = distrust.has_server(server.id.as_str(), &server.name);
        if differs && server.unreadable.is_empty() {
            server.unreadable.push(Unreadable::Differs);
        }
        if let Some(directory) = &mut self.directory {
            directory.put_server(server);
        }
    }
}

// === impl Directory ===

impl Directory {
    fn put_grant(&mut self, grant: Grant) {
        if let Some(token) = grant.token {
            self.tokens.insert_mut(token, grant.id.clone());
        }
        self.grants.insert_mut(grant.id.clone(), Arc::new(grant));
    }

    fn put_server(&mut self, server: Server) {
        self.server_names
            .insert_mut(server.name.clone(), server.id.clone());
        self.servers.insert_mut(server.id.clone(), Arc::new(server));
    }

    fn forget_grant(&mut self, id: &GrantId) {
        if let Some(token) = self.grants.get(id).and_then(|grant| grant.token) {
            self.tokens.remove_mut(&token);
        }
        self.grants.remove_mut(id);
    }

    fn forget_server(&mut self, id: &ServerId) {
        let name = self.servers.get(id).map(|server| server.name.clone());
        // Another one may have the name by now.
        if let Some(name) = name.filter(|name| self.server_names.get(name) == Some(id)) {
            self.server_names.remove_mut(&name);
        }
        self.servers.remove_mut(id);
    }
}

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
            tracing::error!(error = %error, "what was changed could not be read again");
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
    fn reached(
        &self,
        connection: &Connection,
        rows: &Rows,
        kept: &Kept,
    ) -> Result<(BTreeSet<ServerId>, BTreeSet<GrantId>), StoreError> {
        let (mut servers, mut grants) = (BTreeSet::new(), BTreeSet::new());
        let mut policies = BTreeSet::new();
        for key in rows.keys() {
            let (table, parts) = key_parts(key);
            let first = parts.first();
            let text = || first.and_then(Value::as_str).map(Text::from);
            match table {
                // Its row in `servers` is touched with it.
                "names" => {}
                "servers" => servers.extend(text().map(ServerId)),
                // Of a server or a grant. What is sealed of a grant is not here.
                "secrets" => {
                    let id = text().map(ServerId);
                    let is_server = |id: &ServerId| {
                        let known = kept.directory.as_ref();
                        known.is_some_and(|directory| directory.servers.contains_key(id))
                    };
                    servers.extend(id.filter(is_server));
                }
                "policies" | "policy_versions" => {
                    policies.extend(first.and_then(Value::as_i64));
                }
                // `grants` and `grant_servers`.
                _ => grants.extend(text().map(GrantId)),
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

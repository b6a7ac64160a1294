//! Policies: named and versioned, on a server.

use std::sync::Arc;

use crate::{Actor, ChangeError, PolicyVersion, Store, StoreError};

/// Whether a policy in use may be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// Refused while a live grant uses it.
    IfUnused,
    /// Grants left with neither policy nor shadow deny everything.
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
        let _ = (who, server, name, text, description);
        todo!()
    }

    /// Makes a new version with the text of an old one.
    pub fn rollback_policy(
        &self,
        who: &Actor,
        server: &str,
        name: &str,
        version: u32,
    ) -> Result<PolicyPut, ChangeError> {
        let _ = (who, server, name, version);
        todo!()
    }

    /// Deletes a policy; its versions stay readable in records only.
    pub fn delete_policy(
        &self,
        who: &Actor,
        server: &str,
        name: &str,
        how: Deletion,
    ) -> Result<(), ChangeError> {
        let _ = (who, server, name, how);
        todo!()
    }

    /// The current version of each policy, of one server or of all.
    pub fn policies(&self, server: Option<&str>) -> Result<Vec<Arc<PolicyVersion>>, ChangeError> {
        let _ = server;
        todo!()
    }

    /// One policy in one version, or in its current one.
    pub fn policy(
        &self,
        server: &str,
        name: &str,
        version: Option<u32>,
    ) -> Result<Arc<PolicyVersion>, ChangeError> {
        let _ = (server, name, version);
        todo!()
    }

    /// All versions of a policy, newest first.
    pub fn policy_history(
        &self,
        server: &str,
        name: &str,
    ) -> Result<Vec<Arc<PolicyVersion>>, ChangeError> {
        let _ = (server, name);
        todo!()
    }

    /// How many policies there are.
    pub fn policy_count(&self) -> Result<u64, StoreError> {
        todo!()
    }
}

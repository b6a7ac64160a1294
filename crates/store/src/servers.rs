//! Servers: add, set, remove, list, show.

use crate::{Actor, ChangeError, GrantId, Secret, Server, Store, StoreError, Transport};

/// Names with secret values: headers, or variables of an environment.
pub type SealedPairs = Vec<(String, Secret)>;

/// A server to add.
#[derive(Debug, Clone)]
pub struct NewServer {
    /// Its name: `[a-z0-9-]`, not reserved.
    pub name: String,
    /// How it is reached.
    pub transport: Transport,
    /// Headers sent with every request (HTTP).
    pub headers: SealedPairs,
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
    /// Adds a server.
    pub fn add_server(&self, who: &Actor, server: NewServer) -> Result<Server, ChangeError> {
        let _ = (who, server);
        todo!()
    }

    /// Changes a server.
    pub fn set_server(
        &self,
        who: &Actor,
        name: &str,
        change: ServerChange,
    ) -> Result<Server, ChangeError> {
        let _ = (who, name, change);
        todo!()
    }

    /// Removes a server with its policies, and revokes its grants.
    pub fn remove_server(&self, who: &Actor, name: &str) -> Result<RemovedServer, ChangeError> {
        let _ = (who, name);
        todo!()
    }

    /// All servers, by name.
    pub fn servers(&self) -> Result<Vec<Server>, StoreError> {
        todo!()
    }

    /// One server.
    pub fn server(&self, name: &str) -> Result<Server, ChangeError> {
        let _ = name;
        todo!()
    }
}

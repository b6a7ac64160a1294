//! Grants: mint, rotate, reveal, attach, revoke, list.

use std::sync::Arc;

use crate::{Actor, ChangeError, Grant, GrantId, Secret, Store};

/// A grant to mint.
#[derive(Debug, Clone, Default)]
pub struct NewGrant {
    /// The server's name.
    pub server: String,
    /// What people will call it; unique among the server's live grants.
    pub label: String,
    /// What is enforced and what is only watched.
    pub attachment: Attachment,
    /// The grant to mint it below; revoked with it.
    pub parent: Option<GrantId>,
    /// When it ends, unix time in microseconds.
    pub expires: Option<u64>,
}

/// Which policies of its server a grant has, by name.
///
/// With neither, the grant denies everything. With a shadow only (`--observe`)
/// everything is let through and judged on paper.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attachment {
    /// The enforced policy.
    pub policy: Option<String>,
    /// The draft that is judged and recorded only.
    pub shadow: Option<String>,
}

/// A grant and its token. The token is shown once.
#[derive(Debug, Clone)]
pub struct Minted {
    /// The grant.
    pub grant: Arc<Grant>,
    /// The token.
    pub token: Secret,
}

/// A grant as lists show it, revoked ones too.
#[derive(Debug, Clone)]
pub struct GrantView {
    /// The grant.
    pub grant: Arc<Grant>,
    /// When it was revoked, unix time in microseconds.
    pub revoked: Option<u64>,
}

// === impl Store ===

impl Store {
    /// Mints a grant.
    pub fn mint_grant(&self, who: &Actor, grant: NewGrant) -> Result<Minted, ChangeError> {
        let _ = (who, grant);
        todo!()
    }

    /// Gives a grant a new token; the old one ends at once.
    pub fn rotate_grant(&self, who: &Actor, id: &GrantId) -> Result<Minted, ChangeError> {
        let _ = (who, id);
        todo!()
    }

    /// Shows a grant's token again. Recorded.
    pub fn reveal_grant(&self, who: &Actor, id: &GrantId) -> Result<Secret, ChangeError> {
        let _ = (who, id);
        todo!()
    }

    /// Revokes a grant and all that were minted below it; returns them all,
    /// itself first.
    pub fn revoke_grant(&self, who: &Actor, id: &GrantId) -> Result<Vec<GrantId>, ChangeError> {
        let _ = (who, id);
        todo!()
    }

    /// Replaces a grant's policies.
    pub fn attach_policy(
        &self,
        who: &Actor,
        id: &GrantId,
        attachment: Attachment,
    ) -> Result<Arc<Grant>, ChangeError> {
        let _ = (who, id, attachment);
        todo!()
    }

    /// Sets or removes a grant's end.
    pub fn expire_grant(
        &self,
        who: &Actor,
        id: &GrantId,
        expires: Option<u64>,
    ) -> Result<Arc<Grant>, ChangeError> {
        let _ = (who, id, expires);
        todo!()
    }

    /// Grants of one server or of all, oldest first; revoked ones last.
    pub fn grants(&self, server: Option<&str>) -> Result<Vec<GrantView>, ChangeError> {
        let _ = server;
        todo!()
    }

    /// The live grant with this id, or with this label on this server.
    pub fn find_grant(
        &self,
        server: Option<&str>,
        id_or_label: &str,
    ) -> Result<Arc<Grant>, ChangeError> {
        let _ = (server, id_or_label);
        todo!()
    }
}

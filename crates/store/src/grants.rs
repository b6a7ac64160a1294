//! Grants: mint, rotate, reveal, attach, revoke, list.

mod purge;
mod rows;

use std::sync::Arc;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use rusqlite::Transaction;
use zeroize::Zeroizing;

use crate::change::Change;
use crate::database::int;
use crate::directory::hash_token;
use crate::ids::{random, random_name};
use crate::names::require_server_id;
use crate::policies::require_policy;
use crate::seal::Place;
use crate::sealed::{self, TOKEN};
use crate::{Act, Actor, ChangeError, Grant, GrantId, Secret, ServerId, Store, StoreError};
pub(crate) use rows::{GrantRow, Which, below, live_on, load, load_with, users_of};

/// What a token begins with.
const PREFIX: &str = "pv_";

/// A label has at most so many characters.
const LONGEST_LABEL: usize = 100;

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
    pub fn mint_grant(&self, who: &Actor, new: NewGrant) -> Result<Minted, ChangeError> {
        check_label(&new.label)?;
        let token = new_token()?;
        let grant = self.change(who, Act::GrantMint, |tx, now| {
            let server = require_server_id(tx, &new.server)?;
            if new.expires.is_some_and(|end| end <= now) {
                return Err(ChangeError::Expired);
            }
            if let Some(parent) = &new.parent {
                require_live(tx, parent)?;
            }
            free_label(tx, &new, &server, now)?;
            let id = GrantId(random_name("g-")?);
            let (policy, shadow) = attached(tx, &new.server, &new.attachment)?;
            tx.execute(
                "INSERT INTO grants (id, opens, opens_name, label, token, parent, expires, created)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                (
                    id.as_str(),
                    server.as_str(),
                    &new.server,
                    &new.label,
                    hash_token(token.expose()),
                    new.parent.as_ref().map(GrantId::as_str),
                    new.expires.map(int),
                    int(now),
                ),
            )?;
            tx.execute(
                "INSERT INTO grant_servers (grant_id, server, policy, shadow) VALUES (?1, ?2, ?3, ?4)",
                (id.as_str(), server.as_str(), policy, shadow),
            )?;
            sealed::put(tx, &self.0.keys, token_place(&id), 0, &token)?;
            let grant = require_live(tx, &id)?;
            let target = target(&grant);
            Ok(Change::detailed(grant, target, describe(&new.attachment)))
        })?;
        Ok(Minted { grant, token })
    }

    /// Gives a grant a new token; the old one ends at once.
    pub fn rotate_grant(&self, who: &Actor, id: &GrantId) -> Result<Minted, ChangeError> {
        let token = new_token()?;
        let grant = self.change(who, Act::GrantRotate, |tx, _| {
            let grant = require_live(tx, id)?;
            tx.execute(
                "UPDATE grants SET token = ?2 WHERE id = ?1",
                (id.as_str(), hash_token(token.expose())),
            )?;
            sealed::put(tx, &self.0.keys, token_place(id), 0, &token)?;
            let target = target(&grant);
            Ok(Change::made(grant, target))
        })?;
        Ok(Minted { grant, token })
    }

    /// Shows a grant's token again. Recorded before it is shown.
    pub fn reveal_grant(&self, who: &Actor, id: &GrantId) -> Result<Secret, ChangeError> {
        let grant = require_live(&self.0.database.reading(), id)?;
        self.record_act(who, Act::GrantReveal, &target(&grant), None)?;
        let token = sealed::get(&self.0.database.reading(), &self.0.keys, token_place(id))?;
        token.ok_or_else(|| {
            StoreError::Sealed(format!("the token of grant `{id}` is missing")).into()
        })
    }

    /// Revokes a grant and all that were minted below it; returns them all,
    /// itself first.
    pub fn revoke_grant(&self, who: &Actor, id: &GrantId) -> Result<Vec<GrantId>, ChangeError> {
        self.change(who, Act::GrantRevoke, |tx, now| {
            let grant = require_live(tx, id)?;
            let revoked = rows::revoke_tree(tx, id, now)?;
            let detail = format!("{} below it", revoked.len().saturating_sub(1));
            Ok(Change::detailed(revoked, target(&grant), detail))
        })
    }

    /// Replaces a grant's policies.
    pub fn attach_policy(
        &self,
        who: &Actor,
        id: &GrantId,
        attachment: Attachment,
    ) -> Result<Arc<Grant>, ChangeError> {
        self.change(who, Act::GrantAttach, |tx, _| {
            let grant = require_live(tx, id)?;
            let (policy, shadow) = attached(tx, &grant.server_name, &attachment)?;
            tx.execute(
                "UPDATE grant_servers SET policy = ?3, shadow = ?4 WHERE grant_id = ?1 AND server = ?2",
                (id.as_str(), grant.server.as_str(), policy, shadow),
            )?;
            let target = target(&grant);
            Ok(Change::detailed(
                require_live(tx, id)?,
                target,
                describe(&attachment),
            ))
        })
    }

    /// Sets or removes a grant's end.
    pub fn expire_grant(
        &self,
        who: &Actor,
        id: &GrantId,
        expires: Option<u64>,
    ) -> Result<Arc<Grant>, ChangeError> {
        self.change(who, Act::GrantExpire, |tx, now| {
            let grant = require_live(tx, id)?;
            if expires.is_some_and(|end| end <= now) {
                return Err(ChangeError::Expired);
            }
            tx.execute(
                "UPDATE grants SET expires = ?2 WHERE id = ?1",
                (id.as_str(), expires.map(int)),
            )?;
            let target = target(&grant);
            Ok(Change::made(require_live(tx, id)?, target))
        })
    }

    /// Grants of one server or of all, oldest first; revoked ones last.
    pub fn grants(&self, server: Option<&str>) -> Result<Vec<GrantView>, ChangeError> {
        let connection = self.0.database.reading();
        let server = server
            .map(|name| require_server_id(&connection, name))
            .transpose()?;
        let rows = load(&connection, server.as_ref().map_or(Which::All, Which::On))?;
        Ok(rows.into_iter().map(GrantView::from).collect())
    }

    /// These grants, revoked ones too, in the order they are asked for. What it
    /// costs depends on how many these are, not on how many there are.
    pub fn grants_by_id(&self, ids: &[GrantId]) -> Result<Vec<GrantView>, StoreError> {
        let connection = self.0.database.reading();
        let mut found = Vec::new();
        for id in ids {
            let rows = load(&connection, Which::One(id))?;
            found.extend(rows.into_iter().map(GrantView::from));
        }
        Ok(found)
    }

    /// The live grant with this id, or with this label on this server. A
    /// label that several servers have needs the server.
    pub fn find_grant(
        &self,
        server: Option<&str>,
        id_or_label: &str,
    ) -> Result<Arc<Grant>, ChangeError> {
        let connection = self.0.database.reading();
        let server = server
            .map(|name| require_server_id(&connection, name))
            .transpose()?;
        let found = rows::find_live(&connection, server.as_ref(), id_or_label)?;
        match found.as_slice() {
            [id] => require_live(&connection, id),
            [] => Err(ChangeError::NoGrant {
                name: id_or_label.to_owned(),
            }),
            _ => Err(ChangeError::GrantUnclear {
                label: id_or_label.to_owned(),
            }),
        }
    }
}

impl From<GrantRow> for GrantView {
    fn from(GrantRow { grant, revoked }: GrantRow) -> Self {
        Self {
            grant: Arc::new(grant),
            revoked,
        }
    }
}

/// Revokes all grants of a server and what was minted below them.
pub(crate) fn revoke_of_server(
    tx: &Transaction<'_>,
    server: &ServerId,
    now: u64,
) -> Result<Vec<GrantId>, StoreError> {
    let mut revoked = Vec::new();
    for id in rows::live_on(tx, server)? {
        revoked.extend(rows::revoke_tree(tx, &id, now)?);
    }
    Ok(revoked)
}

fn new_token() -> Result<Secret, StoreError> {
    let bytes = Zeroizing::new(random::<32>()?);
    Ok(Secret::new(format!(
        "{PREFIX}{}",
        BASE64_URL_SAFE_NO_PAD.encode(bytes.as_slice())
    )))
}

fn token_place(id: &GrantId) -> Place<'_> {
    Place {
        owner: id.as_str(),
        field: TOKEN,
        name: "",
    }
}

fn require_live(
    connection: &rusqlite::Connection,
    id: &GrantId,
) -> Result<Arc<Grant>, ChangeError> {
    let rows = load(connection, Which::One(id))?;
    let row = rows.into_iter().find(|row| row.revoked.is_none());
    row.map(|row| Arc::new(row.grant))
        .ok_or_else(|| ChangeError::NoGrant {
            name: id.to_string(),
        })
}

/// A label is free when no live grant of the server has it; one that has
/// expired makes room.
fn free_label(
    tx: &Transaction<'_>,
    new: &NewGrant,
    server: &ServerId,
    now: u64,
) -> Result<(), ChangeError> {
    let Some(id) = rows::labelled(tx, server, &new.label)? else {
        return Ok(());
    };
    if require_live(tx, &id)?.live(now) {
        return Err(ChangeError::GrantExists {
            server: new.server.clone(),
            label: new.label.clone(),
        });
    }
    rows::revoke_tree(tx, &id, now)?;
    Ok(())
}

fn attached(
    tx: &Transaction<'_>,
    server: &str,
    attachment: &Attachment,
) -> Result<(Option<i64>, Option<i64>), ChangeError> {
    let number = |name: &Option<String>| {
        name.as_ref()
            .map(|name| require_policy(tx, server, name).map(|(id, _)| id))
            .transpose()
    };
    Ok((number(&attachment.policy)?, number(&attachment.shadow)?))
}

fn target(grant: &Grant) -> String {
    format!("{}/{}", grant.server_name, grant.label)
}

fn describe(attachment: &Attachment) -> String {
    match (&attachment.policy, &attachment.shadow) {
        (None, None) => "no policy".to_owned(),
        (Some(policy), None) => format!("policy {policy}"),
        (None, Some(shadow)) => format!("observing with {shadow}"),
        (Some(policy), Some(shadow)) => format!("policy {policy}, shadow {shadow}"),
    }
}

fn check_label(label: &str) -> Result<(), ChangeError> {
    if label.trim().is_empty() || label.chars().count() > LONGEST_LABEL {
        return Err(ChangeError::LabelLength {
            most: LONGEST_LABEL,
        });
    }
    let refused = |reason| Err(ChangeError::name(label, reason));
    if label.starts_with('-') {
        return refused("it must not begin with `-`");
    }
    if label.chars().any(char::is_control) || label.trim() != label {
        return refused("control characters, and blanks at its ends, are not allowed");
    }
    Ok(())
}

#[cfg(test)]
mod tests;

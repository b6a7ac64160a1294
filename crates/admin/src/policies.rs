//! Policies: put, list, show, history, roll back, delete.

use provost_store::{Deletion, GrantView, PolicyVersion, Store};
use serde::{Deserialize, Serialize};

use crate::servers::furnish;
use crate::{Actor, Administration, Failure, Outcome, Page, Paging, Time};

/// A new version of a policy.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyPut {
    /// Its server.
    pub server: String,
    /// Its name.
    pub name: String,
    /// The document.
    pub text: String,
    /// What it is for.
    pub description: Option<String>,
}

/// All policies, or those of one server, by server and name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyList {
    /// Only those of this server.
    pub server: Option<String>,
    /// Which part.
    #[serde(default)]
    pub page: Paging,
}

/// The text of a policy, in its current or another version.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyShow {
    /// Its server.
    pub server: String,
    /// Its name.
    pub name: String,
    /// Which version; the current one, otherwise.
    pub version: Option<u32>,
}

/// The versions of a policy, newest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyHistory {
    /// Its server.
    pub server: String,
    /// Its name.
    pub name: String,
    /// Which part.
    #[serde(default)]
    pub page: Paging,
}

/// Makes an older version the current one, as a new version.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyRollback {
    /// Its server.
    pub server: String,
    /// Its name.
    pub name: String,
    /// Which version; the one before the current one, otherwise.
    pub version: Option<u32>,
}

/// Deletes a policy that no grant uses.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyDelete {
    /// Its server.
    pub server: String,
    /// Its name.
    pub name: String,
}

/// A policy as administration sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PolicyView {
    /// Its server.
    pub server: String,
    /// Its name.
    pub name: String,
    /// The version this is.
    pub version: u32,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Labels of the grants it is enforced on.
    pub enforced_on: Vec<String>,
    /// Labels of the grants it is a draft on.
    pub draft_on: Vec<String>,
    /// Whether a put or rollback made a new version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<bool>,
    /// The document, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// One version of a policy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VersionView {
    /// Its number.
    pub version: u32,
    /// When it was put.
    pub at: Time,
    /// Who put it.
    pub by: String,
    /// Whether it is the current one.
    pub current: bool,
    /// Its size.
    pub bytes: usize,
}

pub(crate) fn put(wish: PolicyPut, to: &Administration<'_>, who: &Actor) -> Outcome<PolicyView> {
    furnish(to.store, &wish.server, who)?;
    let put = to.store.put_policy(
        &who.recorded(),
        &wish.server,
        &wish.name,
        &wish.text,
        wish.description.as_deref(),
    );
    changed(to.store, &put?)
}

pub(crate) fn list(
    wish: PolicyList,
    to: &Administration<'_>,
    _: &Actor,
) -> Outcome<Page<PolicyView>> {
    let server = wish.server.as_deref();
    let page = wish.page.cut(
        to.store.policies(server)?,
        |policy| (policy.server_name.to_string(), policy.name.to_string()),
        |cursor| {
            let (server, name) = cursor.split_once('/')?;
            Some((server.to_owned(), name.to_owned()))
        },
        |policy| format!("{}/{}", policy.server_name, policy.name),
    )?;
    let grants = to.store.grants(server)?;
    Ok(page.map(|policy| view(&policy, &grants)))
}

pub(crate) fn show(wish: PolicyShow, to: &Administration<'_>, _: &Actor) -> Outcome<PolicyView> {
    let policy = to.store.policy(&wish.server, &wish.name, wish.version);
    let policy = policy?;
    let grants = to.store.grants(Some(&wish.server))?;
    Ok(PolicyView {
        text: Some(policy.text.to_string()),
        ..view(&policy, &grants)
    })
}

pub(crate) fn history(
    wish: PolicyHistory,
    to: &Administration<'_>,
    _: &Actor,
) -> Outcome<Page<VersionView>> {
    let versions = to.store.policy_history(&wish.server, &wish.name);
    let versions = versions?;
    let newest = versions.first().map(|version| version.version);
    let page = wish.page.cut(
        versions,
        |version| std::cmp::Reverse(version.version),
        |cursor| cursor.parse().ok().map(std::cmp::Reverse),
        |version| version.version.to_string(),
    )?;
    Ok(page.map(|version| VersionView {
        version: version.version,
        at: Time(version.created),
        by: version.by.clone(),
        current: Some(version.version) == newest,
        bytes: version.text.len(),
    }))
}

pub(crate) fn roll_back(
    wish: PolicyRollback,
    to: &Administration<'_>,
    who: &Actor,
) -> Outcome<PolicyView> {
    let PolicyRollback {
        server,
        name,
        version,
    } = wish;
    let version = match version {
        Some(version) => version,
        None => {
            let current = to.store.policy(&server, &name, None);
            let before = current?.version.checked_sub(1);
            before.filter(|version| *version > 0).ok_or_else(|| {
                Failure::not_found(format!(
                    "policy `{name}` on server `{server}` has no earlier version"
                ))
                .hint("`provost policy history` shows the versions")
            })?
        }
    };
    let put = to
        .store
        .rollback_policy(&who.recorded(), &server, &name, version);
    changed(to.store, &put?)
}

pub(crate) fn delete(wish: PolicyDelete, to: &Administration<'_>, who: &Actor) -> Outcome {
    // Never while a grant uses it: a grant left with only a draft would let everything through.
    let deleted = to.store.delete_policy(
        &who.recorded(),
        &wish.server,
        &wish.name,
        Deletion::IfUnused,
    );
    deleted.map(drop).map_err(Failure::from)
}

fn changed(store: &Store, put: &provost_store::PolicyPut) -> Outcome<PolicyView> {
    let grants = store.grants(Some(put.current.server_name.as_str()))?;
    Ok(PolicyView {
        changed: Some(put.new),
        ..view(&put.current, &grants)
    })
}

fn view(policy: &PolicyVersion, grants: &[GrantView]) -> PolicyView {
    let is_this = |other: &Option<std::sync::Arc<PolicyVersion>>| {
        other
            .as_ref()
            .is_some_and(|other| other.server == policy.server && other.name == policy.name)
    };
    let live = || {
        grants
            .iter()
            .filter(|grant| grant.revoked.is_none())
            .map(|grant| &grant.grant)
    };
    PolicyView {
        server: policy.server_name.to_string(),
        name: policy.name.to_string(),
        version: policy.version,
        description: policy.description.clone(),
        enforced_on: live()
            .filter(|grant| is_this(&grant.policy))
            .map(|grant| grant.label.to_string())
            .collect(),
        draft_on: live()
            .filter(|grant| is_this(&grant.shadow))
            .map(|grant| grant.label.to_string())
            .collect(),
        changed: None,
        text: None,
    }
}

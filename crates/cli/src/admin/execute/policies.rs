//! Policies: put, list, show, history, roll back, delete.

use provost_store::{Actor, Deletion, GrantView, PolicyPut, PolicyVersion, Store};

use super::change_failure;
use crate::admin::{PolicyView, Response, VersionView};
use crate::failure::{Failure, Outcome};
use crate::when::Time;

pub(super) fn put(
    store: &Store,
    who: &Actor,
    server: &str,
    name: &str,
    text: &str,
    description: Option<&str>,
) -> Outcome<Response> {
    changed(
        store,
        &store
            .put_policy(who, server, name, text, description)
            .map_err(change_failure)?,
    )
}

pub(super) fn list(store: &Store, server: Option<&str>) -> Outcome<Response> {
    let policies = store.policies(server).map_err(change_failure)?;
    let grants = store.grants(server).map_err(change_failure)?;
    Ok(Response::Policies(
        policies
            .iter()
            .map(|policy| view(policy, &grants))
            .collect(),
    ))
}

pub(super) fn show(
    store: &Store,
    server: &str,
    name: &str,
    version: Option<u32>,
) -> Outcome<Response> {
    let policy = store
        .policy(server, name, version)
        .map_err(change_failure)?;
    let grants = store.grants(Some(server)).map_err(change_failure)?;
    Ok(Response::Policy(PolicyView {
        text: Some(policy.text.to_string()),
        ..view(&policy, &grants)
    }))
}

pub(super) fn history(store: &Store, server: &str, name: &str) -> Outcome<Response> {
    let versions = store.policy_history(server, name).map_err(change_failure)?;
    let newest = versions.first().map(|version| version.version);
    Ok(Response::Versions(
        versions
            .iter()
            .map(|version| VersionView {
                version: version.version,
                at: Time(version.created),
                by: version.by.clone(),
                current: Some(version.version) == newest,
                bytes: version.text.len(),
            })
            .collect(),
    ))
}

/// Without a version: the one before the current one.
pub(super) fn roll_back(
    store: &Store,
    who: &Actor,
    server: &str,
    name: &str,
    version: Option<u32>,
) -> Outcome<Response> {
    let version = match version {
        Some(version) => version,
        None => {
            let current = store
                .policy(server, name, None)
                .map_err(change_failure)?
                .version;
            current
                .checked_sub(1)
                .filter(|version| *version > 0)
                .ok_or_else(|| {
                    Failure::not_found(format!(
                        "policy `{name}` on server `{server}` has no earlier version"
                    ))
                    .hint("`provost policy history` shows the versions")
                })?
        }
    };
    changed(
        store,
        &store
            .rollback_policy(who, server, name, version)
            .map_err(change_failure)?,
    )
}

pub(super) fn delete(store: &Store, who: &Actor, server: &str, name: &str) -> Outcome<Response> {
    // Never while a grant uses it: a grant left with only a draft would let everything through.
    store
        .delete_policy(who, server, name, Deletion::IfUnused)
        .map_err(change_failure)?;
    Ok(Response::Done)
}

fn changed(store: &Store, put: &PolicyPut) -> Outcome<Response> {
    let grants = store
        .grants(Some(put.current.server_name.as_str()))
        .map_err(change_failure)?;
    Ok(Response::Policy(PolicyView {
        changed: Some(put.new),
        ..view(&put.current, &grants)
    }))
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

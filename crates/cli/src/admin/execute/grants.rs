//! Grants: mint, list, rotate, reveal, revoke; which policy they have.

use std::sync::Arc;

use provost_store::{Actor, Attachment, Grant, NewGrant, Store};

use super::change_failure;
use crate::admin::{
    GrantName, GrantState, GrantView, Minted, Observe, Response, Shadow, WireSecret,
};
use crate::failure::{Failure, Outcome};
use crate::when::{Micros, Time};

/// What to mint.
pub(super) struct Wish {
    pub(super) server: String,
    pub(super) label: String,
    pub(super) policy: Option<String>,
    pub(super) shadow: Shadow,
    pub(super) lifetime: Option<Micros>,
}

pub(super) fn mint(store: &Store, who: &Actor, wish: Wish) -> Outcome<Response> {
    if wish.label.trim().is_empty() || wish.label.chars().count() > 100 {
        return Err(Failure::usage("a label has 1 to 100 characters")
            .hint("name who or what will use the grant, for example `alice-laptop` or `ci`"));
    }
    let attachment = match wish.shadow {
        Shadow::Enforced => Attachment {
            policy: wish.policy,
            shadow: None,
        },
        Shadow::Draft => Attachment {
            policy: None,
            shadow: wish.policy,
        },
    };
    let now = store.clock().now().wall;
    let grant = NewGrant {
        server: wish.server,
        label: wish.label,
        attachment,
        parent: None,
        expires: wish.lifetime.map(|lifetime| now.saturating_add(lifetime)),
    };
    let minted = store.mint_grant(who, grant).map_err(change_failure)?;
    Ok(Response::Minted(Minted {
        token: WireSecret(minted.token),
        grant: view(&minted.grant, None, now),
    }))
}

pub(super) fn list(store: &Store, server: Option<&str>) -> Outcome<Response> {
    let now = store.clock().now().wall;
    let grants = store.grants(server).map_err(change_failure)?;
    Ok(Response::Grants(
        grants
            .iter()
            .map(|found| view(&found.grant, found.revoked, now))
            .collect(),
    ))
}

pub(super) fn rotate(store: &Store, who: &Actor, name: &GrantName) -> Outcome<Response> {
    let minted = store
        .rotate_grant(who, &find(store, name)?.id)
        .map_err(change_failure)?;
    let now = store.clock().now().wall;
    Ok(Response::Minted(Minted {
        token: WireSecret(minted.token),
        grant: view(&minted.grant, None, now),
    }))
}

pub(super) fn reveal(store: &Store, who: &Actor, name: &GrantName) -> Outcome<Response> {
    let grant = find(store, name)?;
    let token = store.reveal_grant(who, &grant.id).map_err(change_failure)?;
    Ok(Response::Minted(Minted {
        token: WireSecret(token),
        grant: view(&grant, None, store.clock().now().wall),
    }))
}

pub(super) fn revoke(store: &Store, who: &Actor, name: &GrantName) -> Outcome<Response> {
    let grant = find(store, name)?;
    let revoked = store.revoke_grant(who, &grant.id).map_err(change_failure)?;
    let now = store.clock().now().wall;
    let all = store
        .grants(Some(grant.server_name.as_str()))
        .map_err(change_failure)?;
    let ended = all.iter().filter(|found| revoked.contains(&found.grant.id));
    Ok(Response::Grants(
        ended
            .map(|found| view(&found.grant, found.revoked, now))
            .collect(),
    ))
}

pub(super) fn attach(
    store: &Store,
    who: &Actor,
    name: &GrantName,
    policy: String,
    shadow: Shadow,
    observe: Observe,
) -> Outcome<Response> {
    let grant = find(store, name)?;
    let mut attachment = attachment(&grant);
    match shadow {
        Shadow::Enforced => attachment.policy = Some(policy),
        Shadow::Draft => attachment.shadow = Some(policy),
    }
    apply(store, who, &grant, attachment, observe)
}

pub(super) fn detach(
    store: &Store,
    who: &Actor,
    name: &GrantName,
    shadow: Shadow,
    observe: Observe,
) -> Outcome<Response> {
    let grant = find(store, name)?;
    let mut attachment = attachment(&grant);
    let taken = match shadow {
        Shadow::Enforced => attachment.policy.take(),
        Shadow::Draft => attachment.shadow.take(),
    };
    if taken.is_none() {
        return Err(Failure::not_found(format!(
            "grant `{}` has no such policy attached",
            grant.label
        ))
        .hint("`provost grant list` shows what grants have"));
    }
    apply(store, who, &grant, attachment, observe)
}

/// A draft without an enforced policy lets every call through, so nobody gets there by accident.
fn apply(
    store: &Store,
    who: &Actor,
    grant: &Grant,
    attachment: Attachment,
    observe: Observe,
) -> Outcome<Response> {
    let opens = attachment.policy.is_none()
        && attachment.shadow.is_some()
        && (grant.policy.is_some() || grant.shadow.is_none());
    if opens && observe == Observe::Refused {
        return Err(Failure::refused(format!("grant `{}` would only observe: every call would pass", grant.label))
            .because("a draft is judged and recorded, never enforced, and no enforced policy would be left beside it")
            .hint("say `--observe` if that is what you want, or attach an enforced policy"));
    }
    let grant = store
        .attach_policy(who, &grant.id, attachment)
        .map_err(change_failure)?;
    Ok(Response::Grant(view(
        &grant,
        None,
        store.clock().now().wall,
    )))
}

fn attachment(grant: &Grant) -> Attachment {
    let name = |policy: &Option<Arc<provost_store::PolicyVersion>>| {
        policy.as_ref().map(|policy| policy.name.to_string())
    };
    Attachment {
        policy: name(&grant.policy),
        shadow: name(&grant.shadow),
    }
}

fn find(store: &Store, name: &GrantName) -> Outcome<Arc<Grant>> {
    store
        .find_grant(name.server.as_deref(), &name.name)
        .map_err(change_failure)
}

/// The view of a grant at `now`.
pub(super) fn view(grant: &Grant, revoked: Option<Micros>, now: Micros) -> GrantView {
    let attached = attachment(grant);
    let state = match revoked {
        Some(_) => GrantState::Revoked,
        None if !grant.live(now) => GrantState::Expired,
        None => GrantState::Active,
    };
    let warning = match (&attached.policy, &attached.shadow) {
        _ if state != GrantState::Active => None,
        (None, None) => Some("no policy: every call is denied"),
        (None, Some(_)) => Some("observes only: every call passes"),
        (Some(_), _) => None,
    };
    GrantView {
        id: grant.id.to_string(),
        label: grant.label.to_string(),
        server: grant.server_name.to_string(),
        policy: attached.policy,
        shadow: attached.shadow,
        state,
        created: Time(grant.created),
        expires: grant.expires.map(Time),
        warning: warning.map(str::to_owned),
    }
}

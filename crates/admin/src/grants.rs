//! Grants: mint, list, rotate, reveal, revoke; which policy they have.

use std::sync::Arc;

use provost_policy::document::did_you_mean;
use provost_store::{Attachment, ChangeError, Grant, NewGrant, Store};
use serde::{Deserialize, Serialize};

use crate::servers::furnish;
use crate::{Actor, Administration, Failure, Micros, Outcome, Page, Paging, Time, WireSecret};

/// A new grant.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantMint {
    /// What it opens.
    pub server: String,
    /// Who or what will use it.
    pub label: String,
    /// Its policy.
    pub policy: Option<String>,
    /// Whether that is enforced.
    pub shadow: Shadow,
    /// How long it lives; for ever, otherwise.
    pub lifetime: Option<Micros>,
}

/// All grants, or those of one server: oldest first, revoked ones last.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantList {
    /// Only those of this server.
    pub server: Option<String>,
    /// Which part.
    #[serde(default)]
    pub page: Paging,
}

/// A new token for a grant.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantRotate {
    /// Which one.
    pub grant: GrantName,
}

/// The token of a grant.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantReveal {
    /// Which one.
    pub grant: GrantName,
}

/// Ends a grant and what was minted below it; the answer is all of these.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantRevoke {
    /// Which one.
    pub grant: GrantName,
}

/// Gives a grant a policy.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyAttach {
    /// Which grant.
    pub grant: GrantName,
    /// Which policy.
    pub policy: String,
    /// Whether it is enforced.
    pub shadow: Shadow,
    /// Whether the grant may only observe afterwards.
    pub observe: Observe,
}

/// Takes a grant's policy away.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyDetach {
    /// Which grant.
    pub grant: GrantName,
    /// Which of its policies.
    pub shadow: Shadow,
    /// Whether the grant may only observe afterwards.
    pub observe: Observe,
}

/// Whether a policy is enforced or a draft beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shadow {
    /// The policy decides.
    Enforced,
    /// The policy is judged and recorded, never enforced.
    Draft,
}

/// Whether a change may leave a grant that lets everything through and only observes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observe {
    /// It may: the person said so.
    Wanted,
    /// It may not: the change is refused.
    Refused,
}

/// A grant, by id or by label; the server tells equal labels apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantName {
    /// Its id or label.
    pub name: String,
    /// Its server.
    pub server: Option<String>,
}

/// A grant as administration sees it, without its token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GrantView {
    /// Its id.
    pub id: String,
    /// Who or what uses it.
    pub label: String,
    /// What it opens.
    pub server: String,
    /// The policy that is enforced.
    pub policy: Option<String>,
    /// The draft.
    pub shadow: Option<String>,
    /// Whether it works.
    pub state: GrantState,
    /// Since when.
    pub created: Time,
    /// Until when.
    pub expires: Option<Time>,
    /// What deserves a look: observe only, no policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// Whether a grant works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantState {
    /// It does.
    Active,
    /// Its time is over.
    Expired,
    /// Somebody ended it.
    Revoked,
}

/// A grant with its token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Minted {
    /// What opens the server.
    pub token: WireSecret,
    /// The grant.
    pub grant: GrantView,
}

/// The longest a grant may live: what lies beyond it no calendar can write.
const LONGEST_LIFE: Micros = 100 * 366 * 24 * 3_600 * 1_000_000;

pub(crate) fn mint(wish: GrantMint, to: &Administration<'_>, who: &Actor) -> Outcome<Minted> {
    if wish
        .lifetime
        .is_some_and(|lifetime| lifetime > LONGEST_LIFE)
    {
        return Err(Failure::usage("a grant lives at most 100 years")
            .hint("leave the end out for a grant that lives until it is revoked"));
    }
    furnish(to.store, &wish.server, who)?;
    let (policy, shadow) = match wish.shadow {
        Shadow::Enforced => (wish.policy, None),
        Shadow::Draft => (None, wish.policy),
    };
    let now = to.store.clock().now().wall;
    let grant = NewGrant {
        server: wish.server,
        label: wish.label,
        attachment: Attachment { policy, shadow },
        parent: None,
        expires: wish.lifetime.map(|lifetime| now.saturating_add(lifetime)),
    };
    let minted = to.store.mint_grant(&who.recorded(), grant);
    let minted = minted?;
    Ok(with_token(to.store, minted.token, &minted.grant))
}

pub(crate) fn list(
    wish: GrantList,
    to: &Administration<'_>,
    _: &Actor,
) -> Outcome<Page<GrantView>> {
    let now = to.store.clock().now().wall;
    let all = to.store.grants(wish.server.as_deref());
    // A grant that is revoked between two pages is seen twice then, and none is left out.
    let page = wish.page.cut(
        all?,
        |found| {
            let grant = &found.grant;
            (found.revoked.is_some(), grant.created, grant.id.to_string())
        },
        |cursor| {
            let mut parts = cursor.splitn(3, ' ');
            let revoked = parts.next()? == "revoked";
            let created = parts.next()?.parse().ok()?;
            Some((revoked, created, parts.next()?.to_owned()))
        },
        |found| {
            let state = found.revoked.map_or("live", |_| "revoked");
            format!("{state} {} {}", found.grant.created, found.grant.id)
        },
    )?;
    Ok(page.map(|found| view(&found.grant, found.revoked, now)))
}

pub(crate) fn rotate(wish: GrantRotate, to: &Administration<'_>, who: &Actor) -> Outcome<Minted> {
    let grant = find(to.store, &wish.grant)?;
    let minted = to.store.rotate_grant(&who.recorded(), &grant.id);
    let minted = minted?;
    Ok(with_token(to.store, minted.token, &minted.grant))
}

pub(crate) fn reveal(wish: GrantReveal, to: &Administration<'_>, who: &Actor) -> Outcome<Minted> {
    let grant = find(to.store, &wish.grant)?;
    let token = to.store.reveal_grant(&who.recorded(), &grant.id);
    Ok(with_token(to.store, token?, &grant))
}

pub(crate) fn revoke(
    wish: GrantRevoke,
    to: &Administration<'_>,
    who: &Actor,
) -> Outcome<Vec<GrantView>> {
    let grant = find(to.store, &wish.grant)?;
    let revoked = to.store.revoke_grant(&who.recorded(), &grant.id);
    let revoked = revoked?;
    let now = to.store.clock().now().wall;
    let ended = to.store.grants_by_id(&revoked);
    let ended = ended?.into_iter();
    Ok(ended
        .map(|found| view(&found.grant, found.revoked, now))
        .collect())
}

pub(crate) fn attach(
    wish: PolicyAttach,
    to: &Administration<'_>,
    who: &Actor,
) -> Outcome<GrantView> {
    let grant = find(to.store, &wish.grant)?;
    let mut attachment = attachment(&grant);
    match wish.shadow {
        Shadow::Enforced => attachment.policy = Some(wish.policy),
        Shadow::Draft => attachment.shadow = Some(wish.policy),
    }
    apply(to.store, who, &grant, attachment, wish.observe)
}

pub(crate) fn detach(
    wish: PolicyDetach,
    to: &Administration<'_>,
    who: &Actor,
) -> Outcome<GrantView> {
    let grant = find(to.store, &wish.grant)?;
    let mut attachment = attachment(&grant);
    let taken = match wish.shadow {
        Shadow::Enforced => attachment.policy.take(),
        Shadow::Draft => attachment.shadow.take(),
    };
    if taken.is_none() {
        return Err(
            Failure::not_found(format!("grant `{}` has no such policy", grant.label))
                .hint("`provost grant list` shows the policies of all grants"),
        );
    }
    apply(to.store, who, &grant, attachment, wish.observe)
}

/// A draft without an enforced policy lets every call through, so nobody gets there by accident.
fn apply(
    store: &Store,
    who: &Actor,
    grant: &Grant,
    attachment: Attachment,
    observe: Observe,
) -> Outcome<GrantView> {
    let opens = attachment.policy.is_none()
        && attachment.shadow.is_some()
        && (grant.policy.is_some() || grant.shadow.is_none());
    if opens && observe == Observe::Refused {
        return Err(Failure::refused(format!("grant `{}` would only observe: every call would pass", grant.label))
            .because("a draft is judged and recorded, never enforced, and no enforced policy would be left beside it")
            .hint("say `--observe` if that is what you want, or attach an enforced policy"));
    }
    let grant = store.attach_policy(&who.recorded(), &grant.id, attachment)?;
    Ok(view(&grant, None, store.clock().now().wall))
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
    let found = store.find_grant(name.server.as_deref(), &name.name);
    found.map_err(|error| match error {
        ChangeError::NoGrant { .. } => not_live(store, name, error),
        error => Failure::from(error),
    })
}

/// No live grant has this name: one that had it was revoked, or another one was meant.
fn not_live(store: &Store, name: &GrantName, error: ChangeError) -> Failure {
    let all = store.grants(name.server.as_deref()).unwrap_or_default();
    let named = |found: &&provost_store::GrantView| {
        let grant = &found.grant;
        *grant.label == *name.name || grant.id.as_str() == name.name
    };
    let ended = all.iter().filter(named).max_by_key(|found| found.revoked);
    let ended = ended.and_then(|found| Some((found, Time(found.revoked?).timestamp()?)));
    if let Some((found, at)) = ended {
        let grant = &found.grant;
        return Failure::not_found(format!(
            "grant `{}` on `{}` was revoked at {at:.0}",
            grant.label, grant.server_name
        ))
        .hint("`provost grant mint` creates a new one");
    }
    let live = all.iter().filter(|found| found.revoked.is_none());
    let labels = live.map(|found| &*found.grant.label);
    match did_you_mean(&name.name, labels) {
        Some(meant) => Failure::from(error).hint(format!("did you mean `{meant}`?")),
        None => Failure::from(error),
    }
}

fn with_token(store: &Store, token: provost_store::Secret, grant: &Grant) -> Minted {
    Minted {
        token: WireSecret(token),
        grant: view(grant, None, store.clock().now().wall),
    }
}

/// The view of a grant at `now`.
pub(crate) fn view(grant: &Grant, revoked: Option<Micros>, now: Micros) -> GrantView {
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

//! The grant of an instance: minted below that of who leads it, kept in a file that only
//! its owner may read, revoked when nobody needs it any more.

use std::path::PathBuf;

use provost_store::fleet::{Instance, InstanceId, InstanceState, Listing, Role, Whose};
use provost_store::{Actor, Attachment, ChangeError, GrantId, NewGrant, Store};
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::fleet::{Fleet, SERVER, apart};
use crate::place;
use crate::role::tools_of;
use crate::terminal::Terminal;

/// Who the records say it was.
const ACTOR: &str = "fleet";

/// The roles that have a policy of ours.
const ROLES: [Role; 4] = [
    Role::Operator,
    Role::Executive,
    Role::Manager,
    Role::Specialist,
];

/// Makes sure that the fleet can have grants, and that there is a policy for each role;
/// one that is there stays as it is.
///
/// # Errors
/// When the store refuses.
pub fn furnish(store: &Store) -> Result<(), ChangeError> {
    let who = Actor::new(ACTOR);
    store.furnish_builtin(&who, SERVER)?;
    let there = store.policies(Some(SERVER))?;
    for role in ROLES {
        let name = policy_name(role);
        if there.iter().all(|policy| *policy.name != *name) {
            let words = format!("the tools of the role {}", role.word());
            store.put_policy(&who, SERVER, &name, &policy(role), Some(&words))?;
        }
    }
    Ok(())
}

/// What the policy of a role is called.
fn policy_name(role: Role) -> String {
    format!("role-{}", role.word())
}

/// Allows the tools of a role and nothing else.
fn policy(role: Role) -> String {
    let tools: Map<String, Value> = tools_of(role)
        .map(|tool| (tool.name().to_owned(), json!({})))
        .collect();
    json!({"version": "1", "default": "deny", "tools": tools}).to_string()
}

// === impl Fleet ===

impl<T: Terminal> Fleet<T> {
    /// The file with the token of an instance.
    pub(crate) fn grant_file(&self, id: &InstanceId) -> PathBuf {
        self.place.instance(id).join("grant")
    }

    /// Gives an instance a grant, or the one it has another token, and writes the token to
    /// its file.
    pub(crate) async fn equip(&self, it: &Instance) -> Result<(), Failure> {
        let above = match &it.parent {
            None => it.root.clone(),
            Some(id) => {
                let parent = self.rows().instance(id)?;
                let grant = parent.and_then(|parent| parent.grant);
                grant.ok_or_else(|| Failure::Inside(format!("`{id}` has no grant")))?
            }
        };
        let (store, it, file) = (self.store.clone(), it.clone(), self.grant_file(&it.id));
        apart(move || {
            let who = Actor::new(ACTOR);
            let minted = match &it.grant {
                Some(grant) => store.rotate_grant(&who, grant),
                None => store.mint_grant(
                    &who,
                    NewGrant {
                        server: SERVER.to_owned(),
                        label: it.id.to_string(),
                        attachment: Attachment {
                            policy: Some(policy_name(it.role)),
                            shadow: None,
                        },
                        parent: Some(above),
                        expires: None,
                    },
                ),
            };
            let minted = minted.map_err(inside)?;
            store.fleet().set_grant(&it.id, &minted.grant.id)?;
            place::write_file(&file, minted.token.expose().as_bytes()).map_err(inside)
        })
        .await
    }

    /// Revokes the grant of an instance that is over for good, and of those above that only
    /// stood for it: a grant takes along what was minted below it, so one with somebody
    /// below stays, and opens nothing by itself.
    pub(crate) async fn dismiss(&self, id: &InstanceId) -> Result<(), Failure> {
        // The grant opens nothing any more; the file is only in the way.
        let _ = std::fs::remove_file(self.grant_file(id));
        let mut next = Some(id.clone());
        while let Some(id) = next {
            let Some(it) = self.rows().instance(&id)? else {
                return Ok(());
            };
            let below = self
                .rows()
                .instances(Whose::Below(&id), Listing::default())?;
            if it.state != InstanceState::Terminated || !below.is_empty() {
                return Ok(());
            }
            if let Some(grant) = it.grant {
                let store = self.store.clone();
                apart(move || revoke(&store, &grant)).await?;
            }
            next = it.parent;
        }
        Ok(())
    }
}

/// Revokes a grant; one that was revoked by somebody else is fine.
fn revoke(store: &Store, grant: &GrantId) -> Result<(), Failure> {
    match store.revoke_grant(&Actor::new(ACTOR), grant) {
        Ok(_) | Err(ChangeError::NoGrant { .. }) => Ok(()),
        Err(error) => Err(inside(error)),
    }
}

fn inside(error: impl std::fmt::Display) -> Failure {
    Failure::Inside(error.to_string())
}

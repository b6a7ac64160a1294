//! What `doctor` looks at inside the store.

use provost_store::{Server, Store, Unreadable};
use serde::{Deserialize, Serialize};

use crate::audit::differing;
use crate::trouble::Trouble;
use crate::{Actor, Administration, GrantState, Outcome, grants, servers};

/// What is wrong, or deserves a look, inside the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inspect {}

/// What `doctor` looks at inside the store.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Inspection {
    /// How many servers there are.
    pub servers: usize,
    /// How many policies.
    pub policies: usize,
    /// How many grants that work.
    pub grants: usize,
    /// The number of the journal's last entry.
    pub journal_entries: u64,
    /// What was found.
    pub troubles: Vec<Trouble>,
}

pub(crate) fn inspect(_: Inspect, to: &Administration<'_>, _: &Actor) -> Outcome<Inspection> {
    let store = to.store;
    let now = store.clock().now().wall;
    let policies = store.policies(None)?;
    let all = store.grants(None)?;
    let mut troubles = journal(store)?;
    for policy in &policies {
        if let Err(problems) = provost_policy::document::Policy::parse(&policy.text) {
            let first = problems
                .first()
                .map(ToString::to_string)
                .unwrap_or_default();
            troubles.push(Trouble {
                broken: true,
                about: format!("policy {}/{}", policy.server_name, policy.name),
                message: format!(
                    "version {} cannot be used, so its grants deny everything: {first}",
                    policy.version
                ),
                hint: format!(
                    "`provost policy rollback {} {}`, or put a repaired version",
                    policy.server_name, policy.name
                ),
            });
        }
    }
    let servers = store.servers()?;
    troubles.extend(servers.iter().flat_map(of_server));
    let views = all
        .iter()
        .map(|found| grants::view(&found.grant, found.revoked, now));
    let active: Vec<_> = views
        .filter(|grant| grant.state == GrantState::Active)
        .collect();
    for grant in &active {
        if let Some(warning) = &grant.warning {
            troubles.push(Trouble {
                broken: false,
                about: format!("grant {}/{}", grant.server, grant.label),
                message: warning.clone(),
                hint: format!(
                    "`provost policy attach {} POLICY --server {}`",
                    grant.label, grant.server
                ),
            });
        }
    }
    Ok(Inspection {
        servers: servers.len(),
        policies: policies.len(),
        grants: active.len(),
        journal_entries: store.audit_head().number,
        troubles,
    })
}

fn of_server(server: &Server) -> Vec<Trouble> {
    let name = &server.name;
    let mut troubles: Vec<_> = server
        .unreadable
        .iter()
        .map(|what| Trouble {
            broken: true,
            about: format!("server {name}"),
            message: format!("its calls are refused: {what}"),
            hint: match what {
                Unreadable::Sealed { name: value, .. } => {
                    format!("give `{value}` again with `provost server set {name}`")
                }
                Unreadable::Transport { .. } => {
                    format!("`provost server set {name}` with `--url` or a command")
                }
                Unreadable::Differs => {
                    format!("`provost server remove {name}`, and add it again")
                }
            },
        })
        .collect();
    troubles.extend(servers::warning(server).map(|message| Trouble {
        broken: false,
        about: format!("server {name}"),
        message,
        hint: "whoever can read the database or a backup can read it there".to_owned(),
    }));
    troubles
}

fn journal(store: &Store) -> Outcome<Vec<Trouble>> {
    let report = store.report();
    let mut troubles: Vec<_> = report
        .damage
        .iter()
        .map(|damage| Trouble {
            broken: true,
            about: "journal".into(),
            message: damage.to_string(),
            hint: "the intact part is used; `provost audit verify` lists every damaged place; compare with a backup"
                .into(),
        })
        .collect();
    troubles.extend(store.journal().trouble().map(|error| Trouble {
        broken: true,
        about: "journal".into(),
        message: error.to_string(),
        hint: "until it can be written, calls are refused with error 1503 and nothing can be changed; is the disk full, or was its file moved? \
               make room, put it back, or restart the daemon"
            .into(),
    }));
    let differing = differing(store, &store.refused())?;
    troubles.extend(differing.into_iter().map(|message| Trouble {
        broken: true,
        about: "database".into(),
        message,
        hint: "somebody changed the database; remove or revoke it and create it again".into(),
    }));
    if report.torn_bytes > 0 {
        troubles.push(Trouble {
            broken: false,
            about: "journal".into(),
            message: format!("an unfinished last entry of {} bytes was cut off at start", report.torn_bytes),
            hint: "the machine or the process stopped while writing it; what it was about had not been confirmed to anybody".into(),
        });
    }
    Ok(troubles)
}

//! What `doctor` looks at inside the store.

use provost_store::{Server, Store, Unreadable};

use super::{change_failure, grants, servers};
use crate::admin::{GrantState, Inspection, Response, Trouble, store_failure};
use crate::failure::Outcome;

pub(super) fn inspect(store: &Store) -> Outcome<Response> {
    let now = store.clock().now().wall;
    let policies = store.policies(None).map_err(change_failure)?;
    let all = store.grants(None).map_err(change_failure)?;
    let mut troubles = journal(store);
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
    let servers = store.servers().map_err(|error| store_failure(&error))?;
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
    Ok(Response::Inspection(Inspection {
        servers: servers.len(),
        policies: policies.len(),
        grants: active.len(),
        journal_entries: store.audit_head().number,
        troubles,
    }))
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
                    format!("give `{value}` anew with `provost server set {name}`")
                }
                Unreadable::Transport { .. } => {
                    format!("`provost server set {name}` with `--url` or a command")
                }
                Unreadable::Differs => {
                    format!("`provost server remove {name}`, and add it anew")
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

fn journal(store: &Store) -> Vec<Trouble> {
    let report = store.report();
    let mut troubles: Vec<_> = report
        .damage
        .iter()
        .map(|damage| Trouble {
            broken: true,
            about: "journal".into(),
            message: damage.to_string(),
            hint: "what is intact is used; compare with a backup, `provost audit verify` tells all"
                .into(),
        })
        .collect();
    troubles.extend(store.journal().trouble().map(|error| Trouble {
        broken: true,
        about: "journal".into(),
        message: error.to_string(),
        hint: "calls are refused with 1503 and nothing is changed until it can; is the disk full, is its file where it was? \
               make room, put it back, or restart the daemon"
            .into(),
    }));
    troubles.extend(store.refused().into_iter().map(|refused| Trouble {
        broken: true,
        about: "database".into(),
        message: format!("{refused} is not what the journal says it is; it is not in force"),
        hint: "somebody changed the database; remove or revoke it and make it anew".into(),
    }));
    if report.torn_bytes > 0 {
        troubles.push(Trouble {
            broken: false,
            about: "journal".into(),
            message: format!("an unfinished last entry of {} bytes was cut off at start", report.torn_bytes),
            hint: "the machine or the process stopped while writing; nobody had been told that it was written".into(),
        });
    }
    troubles
}

//! Executes requests on the store. The daemon and a command without a daemon both end here.

mod grants;
mod inspect;
mod policies;
mod records;
mod servers;
mod url_secret;

use provost_store::{Actor, Store, WithKey};

use super::refusal::backup_failure;
use super::response::{BackupView, KeyView};
use super::{Request, Response, change_failure};
use crate::failure::Failure;

/// Executes one request.
pub(crate) fn execute(store: &Store, request: Request) -> Result<Response, Failure> {
    let who = Actor::new("admin");
    match request {
        Request::ServerAdd {
            name,
            transport,
            headers,
            query,
            environment,
        } => servers::add(
            store,
            &who,
            name,
            transport,
            servers::Sealed {
                headers,
                query,
                environment,
            },
        ),
        Request::ServerSet {
            name,
            transport,
            headers,
            query,
            environment,
            unset,
        } => servers::set(
            store,
            &who,
            &name,
            servers::Change {
                transport,
                sealed: servers::Sealed {
                    headers,
                    query,
                    environment,
                },
                unset,
            },
        ),
        Request::ServerList => servers::list(store),
        Request::ServerShow { name } => servers::show(store, &name),
        Request::ServerRemove { name } => servers::remove(store, &who, &name),
        Request::PolicyPut {
            server,
            name,
            text,
            description,
        } => policies::put(store, &who, &server, &name, &text, description.as_deref()),
        Request::PolicyList { server } => policies::list(store, server.as_deref()),
        Request::PolicyShow {
            server,
            name,
            version,
        } => policies::show(store, &server, &name, version),
        Request::PolicyHistory { server, name } => policies::history(store, &server, &name),
        Request::PolicyRollback {
            server,
            name,
            version,
        } => policies::roll_back(store, &who, &server, &name, version),
        Request::PolicyDelete { server, name } => policies::delete(store, &who, &server, &name),
        Request::PolicyAttach {
            grant,
            policy,
            shadow,
            observe,
        } => grants::attach(store, &who, &grant, policy, shadow, observe),
        Request::PolicyDetach {
            grant,
            shadow,
            observe,
        } => grants::detach(store, &who, &grant, shadow, observe),
        Request::GrantMint {
            server,
            label,
            policy,
            shadow,
            lifetime,
        } => grants::mint(
            store,
            &who,
            grants::Wish {
                server,
                label,
                policy,
                shadow,
                lifetime,
            },
        ),
        Request::GrantList { server } => grants::list(store, server.as_deref()),
        Request::GrantRotate { grant } => grants::rotate(store, &who, &grant),
        Request::GrantReveal { grant } => grants::reveal(store, &who, &grant),
        Request::GrantRevoke { grant } => grants::revoke(store, &who, &grant),
        Request::Log(query) => records::log(store, query),
        Request::AuditVerify { head } => records::verify(store, head.as_deref()),
        Request::AuditHead => Ok(records::head(store)),
        Request::Backup { archive, with_key } => {
            let key = if with_key { WithKey::Yes } else { WithKey::No };
            let report = store
                .backup(&who, &archive, key)
                .map_err(|error| backup_failure(&error))?;
            Ok(Response::Backup(BackupView {
                archive,
                bytes: report.bytes,
                with_key,
                head: report.head.to_string(),
            }))
        }
        Request::KeyRotate => Ok(Response::Key(KeyView {
            version: store.rotate_key(&who).map_err(change_failure)?,
        })),
        Request::Inspect => inspect::inspect(store),
    }
}

/// Records as a follower gets them: oldest first, after what it has.
pub(crate) use records::{PAGE, select};
pub(crate) use servers::stored_http;

//! What can be asked for: one list. Each entry is a struct with its own answer; what crosses the
//! socket, the roles and the tables in the tests come from the list.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::audit::{AuditHead, AuditVerify, AuditView};
use crate::daemon::{
    DaemonStatus, Listen, Metrics, Overview, OverviewView, Status, Stop, TestServer, Upstream,
};
use crate::grants::{
    GrantList, GrantMint, GrantReveal, GrantRevoke, GrantRotate, GrantView, Minted, PolicyAttach,
    PolicyDetach,
};
use crate::inspect::{Inspect, Inspection};
use crate::keeping::{Backup, BackupView, KeyRotate, KeyView};
use crate::policies::{
    PolicyDelete, PolicyHistory, PolicyList, PolicyPut, PolicyRollback, PolicyShow, PolicyView,
    VersionView,
};
use crate::records::{Log, Record};
use crate::restore::{Restore, Restored};
use crate::servers::{ServerAdd, ServerList, ServerRemove, ServerSet, ServerShow, ServerView};
use crate::{
    Actor, Administration, Failure, Outcome, Page, Paging, Role, audit, grants, inspect, keeping,
    policies, records, running, servers,
};

/// Something that can be asked for.
pub trait Request: Clone + Into<AnyRequest> {
    /// Which one it is.
    const KIND: RequestKind;
    /// What comes back.
    type Answer: Serialize + DeserializeOwned;

    /// Does it. Nobody but [`Administration`] calls this: it asks no role.
    #[doc(hidden)]
    fn execute(self, administration: &Administration<'_>, who: &Actor) -> Outcome<Self::Answer>;
}

macro_rules! requests {
    (
        answered { $($name:ident -> $answer:ty = $execute:path,)* }
        streamed { $($stream:ident,)* }
    ) => {
        /// A request as it crosses a wire.
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(tag = "request", rename_all = "snake_case")]
        #[allow(missing_docs, reason = "each is documented where it is defined")]
        pub enum AnyRequest {
            $($name($name),)*
        }

        /// Which request it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(missing_docs, reason = "each is documented where it is defined")]
        pub enum RequestKind {
            $($name,)*
            $($stream,)*
        }

        impl RequestKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)* $(Self::$stream,)*];

            fn words(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                    $(Self::$stream => stringify!($stream),)*
                }
            }
        }

        impl AnyRequest {
            /// Which one it is.
            #[must_use]
            pub fn kind(&self) -> RequestKind {
                match self {
                    $(Self::$name(_) => RequestKind::$name,)*
                }
            }

            pub(crate) fn answer(self, to: &Administration<'_>, who: &Actor) -> Outcome<Value> {
                match self {
                    $(Self::$name(request) => to.answer(who, request).and_then(value),)*
                }
            }
        }

        $(
            impl Request for $name {
                const KIND: RequestKind = RequestKind::$name;
                type Answer = $answer;

                fn execute(self, to: &Administration<'_>, who: &Actor) -> Outcome<$answer> {
                    $execute(self, to, who)
                }
            }

            impl From<$name> for AnyRequest {
                fn from(request: $name) -> Self {
                    Self::$name(request)
                }
            }
        )*
    };
}

// What is asked for, what comes back, and what does it.
requests! {
    answered {
        ServerAdd -> ServerView = servers::add,
        ServerSet -> ServerView = servers::set,
        ServerList -> Page<ServerView> = servers::list,
        ServerShow -> ServerView = servers::show,
        ServerRemove -> ServerView = servers::remove,
        TestServer -> Upstream = running::test_server,
        PolicyPut -> PolicyView = policies::put,
        PolicyList -> Page<PolicyView> = policies::list,
        PolicyShow -> PolicyView = policies::show,
        PolicyHistory -> Page<VersionView> = policies::history,
        PolicyRollback -> PolicyView = policies::roll_back,
        PolicyDelete -> () = policies::delete,
        PolicyAttach -> GrantView = grants::attach,
        PolicyDetach -> GrantView = grants::detach,
        GrantMint -> Minted = grants::mint,
        GrantList -> Page<GrantView> = grants::list,
        GrantRotate -> Minted = grants::rotate,
        GrantReveal -> Minted = grants::reveal,
        GrantRevoke -> Vec<GrantView> = grants::revoke,
        Log -> Page<Record> = records::log,
        AuditVerify -> AuditView = audit::verify,
        AuditHead -> String = audit::head,
        Backup -> BackupView = keeping::back_up,
        Restore -> Restored = running::restore,
        KeyRotate -> KeyView = keeping::rotate_key,
        Inspect -> Inspection = inspect::inspect,
        Status -> DaemonStatus = running::status,
        Overview -> OverviewView = running::overview,
        Metrics -> String = running::metrics,
        Listen -> DaemonStatus = running::listen,
        Stop -> DaemonStatus = running::stop,
    }
    // Their answers are streams: `Administration` has a method for each.
    streamed {
        AuditExport,
        Follow,
    }
}

/// A request that is answered in pages.
pub trait Listing: Request<Answer = Page<Self::Item>> {
    /// What is listed.
    type Item;

    /// Which part is asked for.
    fn paging(&mut self) -> &mut Paging;
}

macro_rules! listings {
    ($($request:ident of $item:ident),* $(,)?) => {
        $(impl Listing for $request {
            type Item = $item;

            fn paging(&mut self) -> &mut Paging {
                &mut self.page
            }
        })*
    };
}

listings! {
    ServerList of ServerView,
    PolicyList of PolicyView,
    PolicyHistory of VersionView,
    GrantList of GrantView,
    Log of Record,
}

/// What comes back over a wire.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply<T> {
    /// It was done.
    Ok(T),
    /// It was not.
    Error(Failure),
}

fn value(answer: impl Serialize) -> Outcome<Value> {
    serde_json::to_value(answer)
        .map_err(|error| Failure::internal("the answer cannot be written").because(error))
}

// === impl RequestKind ===

impl RequestKind {
    /// The role that may ask for it.
    #[must_use]
    pub fn role(self) -> Role {
        match self {
            Self::ServerList
            | Self::ServerShow
            | Self::PolicyList
            | Self::PolicyShow
            | Self::PolicyHistory
            | Self::GrantList
            | Self::Log
            | Self::Follow
            | Self::AuditHead
            | Self::Status
            | Self::Overview
            | Self::Metrics => Role::Viewer,
            Self::PolicyPut
            | Self::PolicyRollback
            | Self::PolicyDelete
            | Self::PolicyAttach
            | Self::PolicyDetach
            // It starts a program of the server's, and tells what a policy is written about.
            | Self::TestServer => Role::PolicyManager,
            Self::ServerAdd
            | Self::ServerSet
            | Self::ServerRemove
            // Whoever has a token can call; whoever mints one lets somebody call.
            | Self::GrantMint
            | Self::GrantRotate
            | Self::GrantReveal
            | Self::GrantRevoke
            // Both read everything there is, for minutes.
            | Self::AuditVerify
            | Self::AuditExport
            | Self::Backup
            | Self::Restore
            | Self::KeyRotate
            | Self::Inspect
            | Self::Listen
            | Self::Stop => Role::Admin,
        }
    }

    /// Whether calls may be decided differently afterwards.
    #[must_use]
    pub fn changes_calls(self) -> bool {
        match self {
            Self::ServerAdd
            | Self::ServerSet
            | Self::ServerRemove
            | Self::PolicyPut
            | Self::PolicyRollback
            | Self::PolicyDelete
            | Self::PolicyAttach
            | Self::PolicyDetach
            | Self::GrantMint
            | Self::GrantRotate
            | Self::GrantRevoke
            | Self::KeyRotate => true,
            Self::ServerList
            | Self::ServerShow
            | Self::TestServer
            | Self::PolicyList
            | Self::PolicyShow
            | Self::PolicyHistory
            | Self::GrantList
            | Self::GrantReveal
            | Self::Log
            | Self::Follow
            | Self::AuditVerify
            | Self::AuditHead
            | Self::AuditExport
            | Self::Backup
            | Self::Restore
            | Self::Inspect
            | Self::Status
            | Self::Overview
            | Self::Metrics
            | Self::Listen
            | Self::Stop => false,
        }
    }

    /// Whether it leaves an entry in the journal.
    #[must_use]
    pub fn is_recorded(self) -> bool {
        match self {
            Self::ServerAdd
            | Self::ServerSet
            | Self::ServerRemove
            | Self::PolicyPut
            | Self::PolicyRollback
            | Self::PolicyDelete
            | Self::PolicyAttach
            | Self::PolicyDetach
            | Self::GrantMint
            | Self::GrantRotate
            | Self::GrantRevoke
            | Self::KeyRotate
            | Self::GrantReveal
            | Self::Backup
            | Self::Restore
            | Self::Listen
            | Self::Stop => true,
            Self::ServerList
            | Self::ServerShow
            | Self::TestServer
            | Self::PolicyList
            | Self::PolicyShow
            | Self::PolicyHistory
            | Self::GrantList
            | Self::Log
            | Self::AuditVerify
            | Self::AuditHead
            | Self::Inspect
            | Self::Status
            | Self::Overview
            | Self::Metrics
            | Self::AuditExport
            | Self::Follow => false,
        }
    }

    /// Whether only a running daemon can do it.
    #[must_use]
    pub fn needs_daemon(self) -> bool {
        match self {
            Self::TestServer
            | Self::Restore
            | Self::Status
            | Self::Overview
            | Self::Metrics
            | Self::Listen
            | Self::Stop
            | Self::Follow => true,
            Self::ServerAdd
            | Self::ServerSet
            | Self::ServerList
            | Self::ServerShow
            | Self::ServerRemove
            | Self::PolicyPut
            | Self::PolicyList
            | Self::PolicyShow
            | Self::PolicyHistory
            | Self::PolicyRollback
            | Self::PolicyDelete
            | Self::PolicyAttach
            | Self::PolicyDetach
            | Self::GrantMint
            | Self::GrantList
            | Self::GrantRotate
            | Self::GrantReveal
            | Self::GrantRevoke
            | Self::Log
            | Self::AuditVerify
            | Self::AuditHead
            | Self::Backup
            | Self::KeyRotate
            | Self::Inspect
            | Self::AuditExport => false,
        }
    }

    /// Its name on the wire: `server_add`.
    #[must_use]
    pub fn name(self) -> String {
        let mut name = String::new();
        for letter in self.words().chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }
}

// === impl Reply ===

impl<T> From<Outcome<T>> for Reply<T> {
    fn from(result: Outcome<T>) -> Self {
        match result {
            Ok(value) => Reply::Ok(value),
            Err(failure) => Reply::Error(failure),
        }
    }
}

impl<T> Reply<T> {
    /// Back to a result.
    ///
    /// # Errors
    ///
    /// It was not done.
    pub fn into_result(self) -> Outcome<T> {
        match self {
            Reply::Ok(value) => Ok(value),
            Reply::Error(failure) => Err(failure),
        }
    }
}

#[cfg(test)]
mod tests;

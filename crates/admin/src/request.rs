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

/// What a request does.
#[derive(PartialEq, Eq)]
enum Effect {
    /// Nothing.
    Looks,
    /// It leaves an entry in the journal.
    Acts,
}

/// Who can do it.
#[derive(PartialEq, Eq)]
enum Answers {
    /// Whoever has the store open.
    Anybody,
    /// A running daemon only.
    Daemon,
}

macro_rules! requests {
    (
        answered { $($name:ident -> $answer:ty = $execute:path, $role:ident $effect:ident $who:ident;)* }
        streamed { $($stream:ident, $stream_role:ident $stream_who:ident;)* }
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

            /// The role that may ask for it.
            #[must_use]
            pub fn role(self) -> Role {
                match self {
                    $(Self::$name => Role::$role,)*
                    $(Self::$stream => Role::$stream_role,)*
                }
            }

            fn effect(self) -> Effect {
                match self {
                    $(Self::$name => Effect::$effect,)*
                    $(Self::$stream => Effect::Looks,)*
                }
            }

            fn answers(self) -> Answers {
                match self {
                    $(Self::$name => Answers::$who,)*
                    $(Self::$stream => Answers::$stream_who,)*
                }
            }

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

// What is asked for, what comes back, and what does it; the role that may ask, what it does, and who answers.
requests! {
    answered {
        ServerAdd -> ServerView = servers::add, Admin Acts Anybody;
        ServerSet -> ServerView = servers::set, Admin Acts Anybody;
        ServerList -> Page<ServerView> = servers::list, Viewer Looks Anybody;
        ServerShow -> ServerView = servers::show, Viewer Looks Anybody;
        ServerRemove -> ServerView = servers::remove, Admin Acts Anybody;
        // It starts a program of the server's, and tells what a policy is written about.
        TestServer -> Upstream = running::test_server, PolicyManager Looks Daemon;
        PolicyPut -> PolicyView = policies::put, PolicyManager Acts Anybody;
        PolicyList -> Page<PolicyView> = policies::list, Viewer Looks Anybody;
        PolicyShow -> PolicyView = policies::show, Viewer Looks Anybody;
        PolicyHistory -> Page<VersionView> = policies::history, Viewer Looks Anybody;
        PolicyRollback -> PolicyView = policies::roll_back, PolicyManager Acts Anybody;
        PolicyDelete -> () = policies::delete, PolicyManager Acts Anybody;
        PolicyAttach -> GrantView = grants::attach, PolicyManager Acts Anybody;
        PolicyDetach -> GrantView = grants::detach, PolicyManager Acts Anybody;
        // Whoever has a token can call; whoever mints one lets somebody call.
        GrantMint -> Minted = grants::mint, Admin Acts Anybody;
        GrantList -> Page<GrantView> = grants::list, Viewer Looks Anybody;
        GrantRotate -> Minted = grants::rotate, Admin Acts Anybody;
        GrantReveal -> Minted = grants::reveal, Admin Acts Anybody;
        GrantRevoke -> Vec<GrantView> = grants::revoke, Admin Acts Anybody;
        Log -> Page<Record> = records::log, Viewer Looks Anybody;
        // Both this and an export read everything there is, for minutes.
        AuditVerify -> AuditView = audit::verify, Admin Looks Anybody;
        AuditHead -> String = audit::head, Viewer Looks Anybody;
        Backup -> BackupView = keeping::back_up, Admin Acts Anybody;
        Restore -> Restored = running::restore, Admin Acts Daemon;
        KeyRotate -> KeyView = keeping::rotate_key, Admin Acts Anybody;
        Inspect -> Inspection = inspect::inspect, Admin Looks Anybody;
        Status -> DaemonStatus = running::status, Viewer Looks Daemon;
        Overview -> OverviewView = running::overview, Viewer Looks Daemon;
        Metrics -> String = running::metrics, Viewer Looks Daemon;
        Listen -> DaemonStatus = running::listen, Admin Acts Daemon;
        Stop -> DaemonStatus = running::stop, Admin Acts Daemon;
    }
    // Their answers are streams: `Administration` has a method for each.
    streamed {
        AuditExport, Admin Anybody;
        Follow, Viewer Daemon;
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
    /// Whether it leaves an entry in the journal.
    #[must_use]
    pub fn is_recorded(self) -> bool {
        self.effect() != Effect::Looks
    }

    /// Whether only a running daemon can do it.
    #[must_use]
    pub fn needs_daemon(self) -> bool {
        self.answers() == Answers::Daemon
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

//! A request of an agent on its way, as its session knows it.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::arrangements::Arrangement;
use super::room::Room;
use crate::message::call::OpenCall;
use crate::message::outgoing::Modern;
use crate::text::era::Era;
use crate::text::sse::Event;

/// A request of the agent on its way.
#[derive(Clone)]
pub(crate) struct Pending {
    /// What has to be settled and recorded at its end; none for housekeeping.
    pub(crate) open_call: Option<OpenCall>,
    /// What its answer goes through on the way back.
    pub(crate) transform: Transform,
    /// What it arranges, if its answer is good.
    pub(crate) arranges: Option<Arrangement>,
    /// What its agent can be asked in the answer; the modern era alone.
    pub(crate) modern: Option<Arc<Modern>>,
    /// Cancelled when the agent cancels the request.
    pub(crate) cancelled: CancellationToken,
    /// Tells it from a later request with the same id.
    pub(crate) number: u64,
    /// What it keeps once its agent has to fetch the answer.
    pub(crate) left: Option<Arc<Left>>,
}

/// A request whose stream broke off: it has its places until it is over, and then
/// whoever waits for its agent hears of it.
pub(crate) struct Left {
    pub(crate) _room: Room,
    pub(crate) _over: DropGuard,
}

/// One open `subscriptions/listen`.
pub(crate) struct Listening {
    /// The JSON text of its id.
    pub(crate) id: String,
    /// The stream to the agent; none over stdio, where there is one for all.
    pub(crate) to: Option<mpsc::Sender<Event>>,
}

/// What an answer goes through on its way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transform {
    /// Nothing is filtered.
    Plain,
    /// `resources/read`.
    Read,
    /// `server/discover`.
    Discover,
    /// `subscriptions/listen`: its answer comes when it is over.
    Listen,
    /// The result of `tools/call`, which may be a task.
    Call,
    /// The answer to `initialize`.
    Initialize,
    /// `tools/list`.
    Tools,
    /// A list of resources, templates or prompts: the method that asks for it,
    /// and the member of the result that holds it.
    List(&'static str, &'static str),
    /// `tasks/list`.
    Tasks,
}

// === impl Pending ===

impl Pending {
    /// The era of the request.
    pub(crate) fn era(&self) -> Era {
        match self.modern {
            Some(_) => Era::Modern,
            None => Era::Legacy,
        }
    }
}

//! The walk of a native tool: an agent's hook becomes a `tools/call` on the server
//! `native`, and takes the way of any call. Nothing is forwarded: the answer is the yes.

use std::sync::Arc;

use bytes::Bytes;
use provost_policy::json::{self, Bounds};
use tokio::sync::oneshot;

use super::{Agent, message, recorded};
use crate::exchange::responder::{Reply, Responder};
use crate::message::answer::Failure;
use crate::message::modern::{self, Claims};
use crate::state::present::Claim;
use crate::state::rights::Enforcement;
use crate::state::worker::Worker;
use crate::text::native::{HookedAgent, NativeVerdict, verdict};

/// Judges and records what a hook is about to do; says so in the words of its agent.
/// Whatever is no clear yes is a no.
pub(crate) async fn asked(
    worker: &Worker,
    claim: Claim,
    agent: HookedAgent,
    hook: Bytes,
) -> String {
    let observed = worker.shared.judging(&claim, |present| {
        matches!(present.enforcement, Enforcement::ObserveOnly)
    });
    let asked = match agent.request(&hook) {
        Ok(asked) => judged(worker, claim, asked).await,
        Err(why) => {
            let hooked = Agent {
                claim,
                session: None,
                claims: None,
            };
            let failure = Failure::invalid_request(why.clone());
            recorded(worker, &hooked, "(hook)", failure);
            NativeVerdict::Denied(why)
        }
    };
    // A yes of nobody's policy must not replace what the agent would ask its person.
    match (observed, asked) {
        (Ok(true), NativeVerdict::Allowed) => agent.answer(&NativeVerdict::Observed),
        (_, asked) => agent.answer(&asked),
    }
}

async fn judged(worker: &Worker, claim: Claim, asked: String) -> NativeVerdict {
    let asked = Bytes::from(asked);
    let headers = json::read(&asked, Bounds::default())
        .map(|parsed| modern::headers("tools/call", parsed.root().get("params"), None));
    let agent = Agent {
        claim,
        session: None,
        // What the headers of a modern request would say.
        claims: headers.ok().map(|headers| Arc::new(Claims::of(&headers))),
    };
    let (reply_to, reply) = oneshot::channel();
    message(worker, &agent, asked, Responder::Http(reply_to)).await;
    match reply.await {
        Ok(Reply::Message { body, .. }) => verdict(&body),
        Ok(Reply::Accepted | Reply::Stream(_)) | Err(_) => {
            NativeVerdict::Denied("there is no answer".to_owned())
        }
    }
}

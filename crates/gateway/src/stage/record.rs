//! Record: nothing goes upstream before its intent is in the journal, and every
//! refusal leaves a record.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use provost_policy::json::Value;
use provost_policy::judge::{Allowed, Refusal};
use provost_policy::{Moment, Text};
use provost_store::{CallId, Decision, Entry, Intent, JournalError, Refused, Shadow};
use tracing::{error, info};

use super::Stop;
use super::judge::ShadowSaid;
use crate::message::cleared::Cleared;
use crate::message::outgoing::Outgoing;
use crate::message::principal::Principal;
use crate::state::present::Present;
use crate::state::worker::GatewayState;
use crate::text::brief::{NAME, SENTENCE, brief};

/// Keys of arguments in one record; nobody reads more.
const MOST_KEYS: usize = 256;

/// What a record says of a call, whatever becomes of it.
pub(crate) struct Subject<'c> {
    pub(crate) call: CallId,
    pub(crate) principal: &'c Principal,
    /// Who the agent's client says it is.
    pub(crate) client: Option<Text>,
    pub(crate) method: &'c str,
    pub(crate) tool: Option<&'c str>,
    pub(crate) keys: Vec<Cow<'c, str>>,
    pub(crate) shadow: Option<ShadowSaid>,
}

// === impl Subject ===

impl<'c> Subject<'c> {
    /// A message of which nothing is told but its method.
    pub(crate) fn of_message(
        principal: &'c Principal,
        client: Option<Text>,
        method: &'c str,
    ) -> Result<Self, Stop> {
        Ok(Self {
            call: call_id()?,
            principal,
            client,
            method,
            tool: None,
            keys: Vec::new(),
            shadow: None,
        })
    }
}

/// Writes that an allowed call is about to go upstream: only that clears its message.
pub(super) fn intent(
    shared: &Arc<GatewayState>,
    subject: &Subject<'_>,
    allowed: &Allowed,
    present: &Present<'_>,
    message: Outgoing,
) -> Result<Cleared<Outgoing>, Stop> {
    let (judged_on, rule) = (present.judged_on(shared), allowed.rule.clone());
    let cleared = with_intent(subject, allowed, present.now, |intent| {
        Cleared::by_intent(&shared.journal, intent, rule, judged_on, message)
    });
    written(shared, cleared)
}

/// Writes that a question of a server is put to an agent.
pub(super) fn question(
    shared: &GatewayState,
    subject: &Subject<'_>,
    allowed: &Allowed,
    now: Moment,
) -> Result<(), Stop> {
    let recorded = with_intent(subject, allowed, now, |intent| {
        shared.journal.append(&Entry::Intent(intent))
    });
    written(shared, recorded).map(drop)
}

fn with_intent<R>(
    subject: &Subject<'_>,
    allowed: &Allowed,
    at: Moment,
    write: impl FnOnce(Intent<'_>) -> Result<R, JournalError>,
) -> Result<R, JournalError> {
    let principal = subject.principal;
    let tool = subject.tool.map(|tool| brief(tool, NAME));
    let written = write(Intent {
        call: subject.call,
        at,
        grant: principal.grant.as_str(),
        grant_label: &principal.label,
        client: subject.client.as_deref(),
        server: &principal.server_name,
        method: &brief(subject.method, NAME),
        tool: tool.as_deref(),
        policy: allowed.policy.as_ref().map(|policy| policy.name.as_str()),
        version: allowed.policy.as_ref().map(|policy| policy.version),
        rule: allowed.rule.as_ref().map(AsRef::as_ref),
        keys: &subject.keys,
        charges: &allowed.charges,
        shadow: subject.shadow.as_ref().map(shadow),
    })?;
    principal.counts.decided(Decision::Allow);
    Ok(written)
}

/// Writes that a call was refused.
pub(crate) fn refusal(
    shared: &GatewayState,
    subject: &Subject<'_>,
    decision: Decision,
    refusal: &Refusal,
    now: Moment,
) -> Result<(), Stop> {
    let principal = subject.principal;
    let tool = subject.tool.map(|tool| brief(tool, NAME));
    let entry = Entry::Refused(Refused {
        call: subject.call,
        at: now,
        grant: principal.grant.as_str(),
        grant_label: &principal.label,
        client: subject.client.as_deref(),
        server: &principal.server_name,
        method: &brief(subject.method, NAME),
        tool: tool.as_deref(),
        policy: refusal.policy.as_ref().map(|policy| policy.name.as_str()),
        version: refusal.policy.as_ref().map(|policy| policy.version),
        policy_grant: refusal.policy.as_ref().map(|policy| policy.grant.as_str()),
        rule: refusal.rule.as_str(),
        keys: &subject.keys,
        decision,
        message: &brief(&refusal.message, SENTENCE),
        retry_after_ms: refusal.retry_after_ms,
        shadow: subject.shadow.as_ref().map(shadow),
    });
    written(shared, shared.journal.append(&entry))?;
    principal.counts.decided(decision);
    let what = brief(subject.tool.unwrap_or(subject.method), NAME);
    let what = what.escape_debug();
    info!(server.name = %principal.server_name, grant.label = %principal.label, rule.id = %refusal.rule,
        "Refused `{what}` by rule `{}`", refusal.rule);
    Ok(())
}

fn written<R>(shared: &GatewayState, written: Result<R, JournalError>) -> Result<R, Stop> {
    written.map_err(|problem| {
        shared.metrics.unrecorded.fetch_add(1, Ordering::Relaxed);
        error!(error = %problem, "A call was refused because it cannot be recorded");
        Stop::Unrecorded
    })
}

fn shadow(said: &ShadowSaid) -> Shadow<'_> {
    Shadow {
        policy: &said.policy,
        version: said.version,
        decision: said.decision,
        rule: said.rule.as_ref().map(AsRef::as_ref),
        message: said.message.as_deref(),
        charges: &said.charges,
    }
}

/// The sorted top-level keys of the arguments; never their values.
pub(crate) fn keys<'d>(arguments: Option<Value<'d>>) -> Vec<Cow<'d, str>> {
    let Some(arguments) = arguments else {
        return Vec::new();
    };
    let mut keys: Vec<_> = arguments.members().map(|member| member.name()).collect();
    keys.sort_unstable();
    if keys.len() > MOST_KEYS {
        keys.truncate(MOST_KEYS);
        keys.push(Cow::Borrowed("…"));
    }
    for key in keys.iter_mut().filter(|key| key.len() > NAME) {
        *key = Cow::Owned(brief(key, NAME).into_owned());
    }
    keys
}

thread_local! {
    /// Random bytes drawn ahead, so that a call does not cost a system call.
    static DRAWN: RefCell<(usize, [u8; 1024])> = const { RefCell::new((usize::MAX, [0; 1024])) };
}

/// A call id nobody used before.
pub(crate) fn call_id() -> Result<CallId, Stop> {
    DRAWN.with_borrow_mut(|(used, bytes)| {
        if bytes.len() < used.saturating_add(16) {
            if getrandom::fill(bytes).is_err() {
                error!("The system gives no random numbers");
                return Err(Stop::Unrecorded);
            }
            *used = 0;
        }
        let number = bytes
            .get(*used..*used + 16)
            .and_then(|bytes| bytes.try_into().ok());
        *used += 16;
        Ok(CallId::new(number.map_or(0, u128::from_le_bytes)))
    })
}

//! Judge: what the enforced policies say, and what a shadow would have said.

use provost_policy::json::Folder;
use provost_policy::judge::{self, Allowed, Asked, Enforced, Refusal, Verdict};
use provost_policy::method::{MethodKind, method_kind};
use provost_policy::{Call, Caller, Charge, Moment, RuleId};
use provost_store::Decision;

use super::{Stop, limits};
use crate::state::present::Present;
use crate::state::rights::Enforcement;
use crate::state::worker::GatewayState;

/// What a shadow policy said.
#[derive(Debug)]
pub(crate) struct ShadowSaid {
    pub(crate) policy: String,
    pub(crate) version: u32,
    pub(crate) decision: Decision,
    pub(crate) rule: Option<RuleId>,
    pub(crate) message: Option<String>,
    pub(crate) charges: Vec<Charge>,
}

// === impl ShadowSaid ===

impl ShadowSaid {
    fn refuses(&mut self, refusal: Refusal) {
        self.decision = Decision::Deny;
        self.rule = Some(refusal.rule);
        self.message = Some(refusal.message);
        self.charges.clear();
    }
}

/// The verdict of the enforced policies.
pub(crate) fn judge(present: &Present<'_>, caller: &Caller, call: &Call<'_>) -> Verdict {
    match &present.enforcement {
        // One policy is the usual case, and needs no list.
        Enforcement::Policies(links) => match present.asked_about(links, call.tool) {
            [only] => judge::judge(&[only.enforced()], call, caller),
            links => {
                let chain: Vec<Enforced<'_>> = links.iter().map(|link| link.enforced()).collect();
                judge::judge(&chain, call, caller)
            }
        },
        Enforcement::ObserveOnly => match unsound(call) {
            Some(rule) => Verdict::Deny(Refusal::by(
                rule,
                "the method is not part of the protocol, or the arguments can be read in more than one way",
            )),
            None => Verdict::Allow(Allowed {
                rule: None,
                policy: None,
                charges: Vec::new(),
            }),
        },
        // An empty chain is denied: `(no policy)`.
        Enforcement::Nothing => judge::judge(&[], call, caller),
    }
}

/// What binds a grant that is only observed, too: a known method, and arguments
/// that mean one thing.
fn unsound(call: &Call<'_>) -> Option<RuleId> {
    if method_kind(call.method) == MethodKind::Unknown {
        return Some(RuleId::METHOD);
    }
    let distinct = call.arguments.map_or(Ok(()), |arguments| {
        Folder::default().distinct_keys(arguments)
    });
    distinct.err().map(|_| RuleId::ENVELOPE)
}

/// What the shadow says. It is never enforced, asks nobody, and counts for itself.
pub(crate) fn shadow(
    shared: &GatewayState,
    present: &Present<'_>,
    caller: &Caller,
    call: &Call<'_>,
) -> Option<ShadowSaid> {
    let link = present.shadow.as_ref()?;
    let mut said = ShadowSaid {
        policy: link.name.to_string(),
        version: link.version,
        decision: Decision::Allow,
        rule: None,
        message: None,
        charges: Vec::new(),
    };
    match judge::judge(&[link.enforced()], call, caller) {
        Verdict::Deny(refusal) => said.refuses(refusal),
        Verdict::Ask(asked) => {
            said.decision = Decision::Ask;
            said.rule = asked.rules.into_iter().next().map(|(rule, _)| rule);
            said.message = Some(asked.message);
        }
        // Only looked at: what the enforced policies refuse uses nothing up.
        Verdict::Allow(allowed) => match shared.ledger().look(&allowed.charges, present.now) {
            Ok(()) => {
                said.rule = allowed.rule;
                said.charges = allowed.charges;
            }
            Err(full) => said.refuses(limits::refusal(&allowed.charges, &full)),
        },
    }
    Some(said)
}

/// Charges the shadow's own counters for a call that goes. They may have filled
/// up since they were looked at; then the shadow would have refused.
pub(crate) fn reserve_shadow(shared: &GatewayState, said: &mut ShadowSaid, now: Moment) {
    if said.charges.is_empty() {
        return;
    }
    let reserved = shared.ledger().reserve(&said.charges, now);
    if let Err(full) = reserved {
        said.refuses(limits::refusal(&said.charges, &full));
    }
}

/// What a verdict lets through. A person is not bothered with what a limit refuses
/// anyway.
pub(crate) fn allowed(
    shared: &GatewayState,
    verdict: Verdict,
    now: Moment,
) -> Result<Allowed, Stop> {
    match verdict {
        Verdict::Allow(allowed) => Ok(allowed),
        Verdict::Deny(refusal) => Err(Stop::Refused {
            decision: Decision::Deny,
            refusal,
        }),
        Verdict::Ask(asked) => {
            limits::look(shared, &asked.charges, now)?;
            Err(hold(asked))
        }
    }
}

/// Hold: a question for a person. Nobody can be asked yet, so the answer is no,
/// and says so.
fn hold(asked: Asked) -> Stop {
    let (rule, policy) = match asked.rules.into_iter().next() {
        Some((rule, policy)) => (rule, Some(policy)),
        None => (RuleId::APPROVAL, None),
    };
    let message = format!(
        "{} (this call needs a person's approval, and approvals are not available here yet)",
        asked.message
    );
    let refusal = Refusal {
        policy,
        ..Refusal::by(rule, message)
    };
    Stop::Refused {
        decision: Decision::Ask,
        refusal,
    }
}

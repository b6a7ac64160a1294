//! Ask: the walk of what a server wants of an agent, the other way round than a
//! call: judge, reserve, record. What passes is put to the agent.

use std::sync::Arc;

use provost_policy::json::Value;
use provost_policy::judge::{Refusal, Verdict};
use provost_policy::{Call, RuleId};
use provost_store::{Decision, Status};

use super::clear::{self, Reserved};
use super::record::{self, Subject};
use super::{Stop, judge, settle};
use crate::agent::session::Session;
use crate::message::call::OpenCall;
use crate::message::cleared::Cleared;
use crate::message::modern::Declared;
use crate::message::outgoing::Outgoing;
use crate::state::present::Present;
use crate::state::worker::GatewayState;
use crate::text::asking::{self, Misasked, Question};
use crate::text::era::Era;

/// The method in the record of what asks where nothing may ask.
const MISASKED: &str = "(question)";

/// Who is asked, and in which era.
pub(crate) struct Asked<'a> {
    shared: &'a Arc<GatewayState>,
    present: &'a Present<'a>,
    pub(crate) session: &'a Session,
    era: Era,
    /// What the agent said it can be asked.
    declared: &'a Declared,
}

// === impl Asked ===

impl<'a> Asked<'a> {
    pub(crate) fn new(
        shared: &'a Arc<GatewayState>,
        present: &'a Present<'a>,
        session: &'a Session,
        era: Era,
        declared: &'a Declared,
    ) -> Self {
        Self {
            shared,
            present,
            session,
            era,
            declared,
        }
    }

    /// One question, by itself.
    pub(crate) fn one(&self, method: &str, params: Option<Value<'_>>) -> Result<OpenCall, Stop> {
        let verdict = self.judge(method, params);
        self.walk(method, verdict, |reserved| reserved.record_question())
    }

    /// All questions of a message, which passes only if all of them do: the first
    /// that may not be asked is recorded, and none of the others.
    pub(crate) fn all(&self, questions: &[Question<'_>]) -> Result<Vec<OpenCall>, Stop> {
        for question in questions {
            let verdict = self.judge(&question.method, question.params);
            if !matches!(verdict, Verdict::Allow(_)) {
                self.walk(&question.method, verdict, |reserved| {
                    reserved.record_question()
                })?;
            }
        }
        let mut open_call = Vec::new();
        for question in questions.iter().filter(|question| !self.knows(question)) {
            match self.one(&question.method, question.params) {
                Ok(one) => open_call.push(one),
                Err(stop) => {
                    // The message does not pass, so those before it do not either.
                    for open_call in &open_call {
                        settle::settle(self.shared, open_call, Status::NotSent);
                    }
                    return Err(stop);
                }
            }
        }
        // Only now can they be answered.
        let grant = &self.present.principal.grant.0;
        for question in questions {
            if let (Some(task), Some((key, whole))) = (&question.task, &question.key) {
                self.shared.questions.add(grant, task, key, whole);
            }
        }
        Ok(open_call)
    }

    /// Records that a message asks what nobody may ask there.
    pub(crate) fn misasked(&self, problem: &Misasked) -> Result<(), Stop> {
        let refusal = Refusal::by(RuleId::ENVELOPE, problem.to_string());
        let subject = self.subject(MISASKED)?;
        let now = self.present.now;
        record::refusal(self.shared, &subject, Decision::Deny, &refusal, now)
    }

    /// A task is asked about again and again; its questions are recorded once.
    fn knows(&self, question: &Question<'_>) -> bool {
        let (Some(task), Some((key, whole))) = (&question.task, &question.key) else {
            return false;
        };
        let grant = &self.present.principal.grant.0;
        self.shared.questions.knows(grant, task, key, whole)
    }

    fn subject<'s>(&'s self, method: &'s str) -> Result<Subject<'s>, Stop> {
        Subject::of_message(&self.present.principal, self.session.client(), method)
    }

    /// A question needs a method the era knows, a capability the agent declared,
    /// and a policy that lets it through.
    fn judge(&self, method: &str, params: Option<Value<'_>>) -> Verdict {
        let Some(asks) = asking::asked_with(self.era, method) else {
            return no(format!("method `{}` is not known", method.escape_debug()));
        };
        if let Some(capability) = asks.capability
            && !self.declared.covers(capability, params)
        {
            return no(format!("the agent did not declare `{capability}`"));
        }
        judge::judge(
            self.present,
            &self.present.caller(self.session),
            &call(method),
        )
    }

    /// Reserve → record, for whatever was judged.
    fn walk<R>(
        &self,
        method: &str,
        verdict: Verdict,
        record: impl FnOnce(Reserved<'_, '_>) -> Result<R, Stop>,
    ) -> Result<R, Stop> {
        let (shared, present, now) = (self.shared, self.present, self.present.now);
        let caller = present.caller(self.session);
        let mut shadow = judge::shadow(shared, present, &caller, &call(method));
        // A question of the upstream costs the shadow nothing.
        if let Some(said) = &mut shadow {
            said.charges.clear();
        }
        let mut subject = Subject {
            shadow,
            ..self.subject(method)?
        };
        let walked = judge::allowed(shared, verdict, now)
            .and_then(|allowed| clear::reserve(shared, present, &mut subject, allowed, None))
            .and_then(record);
        if let Err(Stop::Refused { decision, refusal }) = &walked {
            record::refusal(shared, &subject, *decision, refusal, now)?;
        }
        walked
    }
}

/// The walk of a subscription that is asked for again in the agent's place,
/// because its server forgot it: judged by what holds now, and recorded.
pub(crate) fn subscribe_again(
    shared: &Arc<GatewayState>,
    session: &Session,
    message: Outgoing,
) -> Option<(Cleared<Outgoing>, OpenCall)> {
    let again = |present: &Present<'_>| {
        let declared = &Declared::default();
        let asked = Asked::new(shared, present, session, Era::Legacy, declared);
        let method = "resources/subscribe";
        let verdict = judge::judge(present, &present.caller(session), &call(method));
        // What refuses it has its record.
        asked
            .walk(method, verdict, |reserved| reserved.record(message))
            .ok()
    };
    shared.present(&session.grant, again).ok().flatten()
}

fn call(method: &str) -> Call<'_> {
    Call {
        method,
        tool: None,
        arguments: None,
    }
}

fn no(message: String) -> Verdict {
    Verdict::Deny(Refusal::by(RuleId::METHOD, message))
}

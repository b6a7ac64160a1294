//! Runs cases against a policy: the same judge and the same ledger as in the
//! gateway, with simulated time.

use provost_policy::Policy;
use provost_policy::call::{Call, Caller, Moment};
use provost_policy::duration;
use provost_policy::json;
use provost_policy::judge::{Enforced, Refusal, Verdict, judge};
use provost_policy::ledger::Ledger;
use provost_policy::limit::{Charge, RefundRule, RuleId, Window};
use provost_policy::text::Text;

use super::read::{self, Approved, Case, Outcome, Suite, Target};
use super::{CaseError, CaseReport, Report, SuiteReport};
use crate::explain::Decision;

/// Midnight UTC of the day on which every suite begins: 1 January 2026.
const START: u64 = 1_767_225_600_000_000;

/// Runs a file of cases.
///
/// # Errors
///
/// Every mistake in the file; a case that does not pass is none.
pub fn run(policy: &Policy, cases: &str) -> Result<Report, Vec<CaseError>> {
    let suites = read::suites(cases)?;
    let suites = suites
        .iter()
        .map(|suite| run_suite(policy, suite))
        .collect();
    Ok(Report { suites })
}

fn run_suite(policy: &Policy, suite: &Suite) -> SuiteReport {
    let mut stage = Stage {
        policy,
        ledger: Ledger::new(),
        in_flight: Vec::new(),
        now: 0,
    };
    let cases = suite.cases.iter().map(|case| CaseReport {
        line: case.line,
        name: name_of(case),
        failure: stage.run(case),
    });
    SuiteReport {
        name: suite.name.clone(),
        cases: cases.collect(),
    }
}

/// One suite under way.
struct Stage<'p> {
    policy: &'p Policy,
    ledger: Ledger,
    in_flight: Vec<InFlight>,
    /// Microseconds since the suite began.
    now: u64,
}

/// A call that has not ended yet.
struct InFlight {
    ends: u64,
    outcome: Outcome,
    reserved: Moment,
    charges: Vec<Charge>,
}

/// What became of a call, in the words of a case.
struct Seen {
    decision: Decision,
    rules: Vec<String>,
    message: Option<String>,
    retry_after_ms: Option<u64>,
    /// To be reserved when the call goes on.
    charges: Vec<Charge>,
}

// === impl Stage ===

impl Stage<'_> {
    /// Makes the calls of a case; the first difference from what it expects.
    fn run(&mut self, case: &Case) -> Option<String> {
        self.now = case.at.unwrap_or(self.now);
        for repetition in 1..=case.times {
            if repetition > 1 {
                self.now = self.now.saturating_add(case.every);
            }
            if let Some(difference) = self.call(case) {
                let which = if case.times == 1 {
                    String::new()
                } else {
                    format!("call {repetition}: ")
                };
                // The remaining calls would be judged after a decision nobody expected.
                return Some(format!("{which}{difference}"));
            }
        }
        None
    }

    fn call(&mut self, case: &Case) -> Option<String> {
        self.end_calls();
        let seen = match self.judge(case) {
            Ok(seen) => seen,
            Err(problem) => return Some(problem),
        };
        let difference = difference(case, &seen);
        let goes_on = match seen.decision {
            Decision::Allow => true,
            Decision::Ask => case.approved == Approved::Yes,
            Decision::Deny => false,
        };
        if goes_on {
            let reserved = self.moment();
            // `look` found room at this very moment, and nobody else calls.
            let _ = self.ledger.reserve(&seen.charges, reserved);
            let ends = self.now.saturating_add(case.lasts);
            let (outcome, charges) = (case.outcome, seen.charges);
            self.in_flight.push(InFlight {
                ends,
                outcome,
                reserved,
                charges,
            });
            self.end_calls();
        }
        difference
    }

    /// Ends what is over by now: releases what was in flight, gives back what is due.
    fn end_calls(&mut self) {
        let now = self.now;
        for call in self.in_flight.extract_if(.., |call| call.ends <= now) {
            for charge in &call.charges {
                if charge.counter.window == Window::Concurrent {
                    self.ledger.release(&charge.counter, charge.amount);
                    continue;
                }
                let due = match call.outcome {
                    Outcome::Ok => false,
                    Outcome::Failed => charge.refund == RefundRule::Failed,
                    Outcome::NotSent => true,
                };
                if due {
                    self.ledger
                        .refund(&charge.counter, charge.amount, call.reserved);
                }
            }
        }
    }

    fn moment(&self) -> Moment {
        let now = START.saturating_add(self.now);
        Moment {
            steady: now,
            wall: now,
        }
    }
}

// === judging ===

impl Stage<'_> {
    /// Judges one call as the gateway would, up to the reservation.
    fn judge(&self, case: &Case) -> Result<Seen, String> {
        let arguments = match &case.args {
            Some(text) => Some(
                json::read(text.as_bytes(), json::Bounds::default())
                    .map_err(|error| format!("the arguments cannot be read: {error}"))?,
            ),
            None => None,
        };
        let (method, tool) = match &case.target {
            Target::Tool(tool) => ("tools/call", Some(tool.as_str())),
            Target::Method(method) => (method.as_str(), None),
        };
        let arguments = arguments.as_ref().map(json::Document::root);
        let call = Call {
            method,
            tool,
            arguments,
        };
        let (name, grant) = (Text::fixed("policy"), Text::from(case.grant.as_str()));
        let server = Text::fixed("server");
        let own = Enforced {
            policy: self.policy,
            name: &name,
            version: 1,
            grant: &grant,
            server: &server,
        };
        let caller = Caller {
            grant: grant.clone(),
            server: server.clone(),
            session: case.session.as_deref().map(Text::from),
        };
        Ok(self.look(judge(&[own], &call, &caller)))
    }

    /// A full limit refuses before anybody is asked.
    fn look(&self, verdict: Verdict) -> Seen {
        let (decision, rules, message, charges) = match verdict {
            Verdict::Allow(allowed) => {
                let rules = allowed.rule.iter().map(RuleId::to_string).collect();
                (Decision::Allow, rules, None, allowed.charges)
            }
            Verdict::Ask(asked) => {
                let rules = asked
                    .rules
                    .iter()
                    .map(|(rule, _)| rule.to_string())
                    .collect();
                (Decision::Ask, rules, Some(asked.message), asked.charges)
            }
            Verdict::Deny(refusal) => return Seen::refused(refusal),
        };
        if let Err(full) = self.ledger.look(&charges, self.moment())
            && let Some(refusal) = full.refusal(&charges)
        {
            return Seen::refused(refusal);
        }
        Seen {
            decision,
            rules,
            message,
            retry_after_ms: None,
            charges,
        }
    }
}

// === impl Seen ===

impl Seen {
    fn refused(refusal: Refusal) -> Self {
        Self {
            decision: Decision::Deny,
            rules: vec![refusal.rule.to_string()],
            message: Some(refusal.message),
            retry_after_ms: refusal.retry_after_ms,
            charges: Vec::new(),
        }
    }
}

// === comparing ===

/// The first thing that is not as the case says.
fn difference(case: &Case, seen: &Seen) -> Option<String> {
    if case.expect != seen.decision {
        return Some(format!(
            "expected {}, got {}",
            case.expect.word(),
            seen.describe()
        ));
    }
    if let Some(rule) = case.rule.as_ref().filter(|rule| !seen.rules.contains(rule)) {
        let by = if seen.rules.is_empty() {
            "no rule".to_owned()
        } else {
            seen.named()
        };
        return Some(format!("expected rule `{rule}`, got {by}"));
    }
    let said = seen.message.as_deref().unwrap_or_default();
    if let Some(message) = case
        .message
        .as_ref()
        .filter(|part| !said.contains(part.as_str()))
    {
        return Some(format!("expected a message with `{message}`, got `{said}`"));
    }
    if let Some(wait) = case
        .retry_after
        .filter(|wait| seen.retry_after_ms != Some(*wait))
    {
        let got = seen.retry_after_ms.map_or("none".to_owned(), in_words);
        return Some(format!(
            "expected `retry_after: {}`, got {got}",
            in_words(wait)
        ));
    }
    None
}

impl Seen {
    /// The decision with its reason, for somebody who did not expect it.
    fn describe(&self) -> String {
        let mut text = self.decision.word().to_owned();
        if !self.rules.is_empty() {
            text.push_str(&format!(" by {}", self.named()));
        }
        if let Some(message) = &self.message {
            text.push_str(&format!(": {message}"));
        }
        text
    }

    fn named(&self) -> String {
        let named: Vec<String> = self.rules.iter().map(|rule| format!("`{rule}`")).collect();
        named.join(", ")
    }
}

fn in_words(milliseconds: u64) -> String {
    duration::display(milliseconds.saturating_mul(1_000))
}

/// What a case is called in the report when it has no name.
fn name_of(case: &Case) -> String {
    if let Some(name) = &case.name {
        return name.clone();
    }
    let target = match &case.target {
        Target::Tool(tool) => tool,
        Target::Method(method) => method,
    };
    let times = if case.times == 1 {
        String::new()
    } else {
        format!(" ×{}", case.times)
    };
    format!("{} `{target}`{times}", case.expect.word())
}

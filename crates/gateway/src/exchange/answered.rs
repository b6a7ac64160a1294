//! The answer to a request, on its way back: settled, recorded and filtered, and what
//! it asks is judged.

use bytes::Bytes;
use provost_policy::json::{Document, Value};
use provost_store::Status;
use tracing::warn;

use crate::agent::pending::{Pending, Transform};
use crate::exchange::filter;
use crate::message::answer::{self, Failure};
use crate::message::continuation::Round;
use crate::stage::ask::Asked;
use crate::stage::{Stop, settle};
use crate::state::present::Present;
use crate::state::route::Route;
use crate::state::worker::Worker;
use crate::text::asking::{self, Inline, Misasked, Part, STATE};
use crate::text::envelope::{Answer, Id};
use crate::text::era::Era;
use crate::text::meta::DECISION_KEY;
use crate::text::splice::{self, Splice};

/// A message of an upstream as it came.
#[derive(Clone, Copy)]
pub(super) struct Arrived<'m, 'd> {
    pub(super) parsed: &'m Document<'d>,
    pub(super) text: &'m Bytes,
}

/// An answer as the agent gets it.
pub(crate) struct Answered {
    pub(crate) text: Bytes,
    /// The HTTP status it comes with, where it comes alone.
    pub(crate) http: u16,
}

// === impl Arrived ===

impl<'m, 'd> Arrived<'m, 'd> {
    pub(super) fn new(parsed: &'m Document<'d>, text: &'m Bytes) -> Self {
        Self { parsed, text }
    }
}

// === impl Answered ===

impl Answered {
    /// A failure in place of the answer to the request with this id.
    fn failed(failure: &Failure, id: Id<'_>) -> Self {
        Self {
            text: failure.body(Some(id.raw())),
            http: failure.http,
        }
    }

    /// Whether a stream can carry it: the status says nothing.
    pub(crate) fn is_ordinary(&self) -> bool {
        self.http == answer::OK
    }
}

/// Settles, records and filters the answer to a request.
pub(super) fn finish(
    worker: &Worker,
    route: &Route,
    present: &Present<'_>,
    pending: &Pending,
    arrived: Arrived<'_, '_>,
    id: Id<'_>,
    answer: Answer<'_>,
) -> Answered {
    let Arrived { parsed, text } = arrived;
    let failed = |result: Value<'_>| result.get("isError").and_then(Value::as_bool) == Some(true);
    let settle = |status| {
        if let Some(open_call) = &pending.open_call {
            settle::settle(&worker.shared, open_call, status);
        }
    };
    let asked = questions(worker, route, present, pending, id, answer);
    let inline = match asked {
        Ok(inline) => inline,
        Err(Unfit { status, answered }) => {
            settle(status);
            route.session.not_arranged(pending);
            return answered;
        }
    };
    let mut splices: Vec<Splice> = mark_inside(parsed, inline).into_iter().collect();
    let http = match answer {
        Answer::Error(error) => {
            settle(Status::RpcError);
            route.session.not_arranged(pending);
            let code = error.get("code").map(Value::raw);
            let era = pending.era();
            if era == Era::Modern && code.is_some_and(answer::doubts_the_era) {
                // It may be another server by now, or have other tools.
                route.backend.eras.doubt();
            }
            splices.extend(decision_mark(parsed, error.get("data")));
            answer::status_of(era, code)
        }
        Answer::Result(result) => {
            settle(if failed(result) {
                Status::ToolError
            } else {
                Status::Ok
            });
            route.session.arranged(pending);
            splices.extend(filter::result(worker, route, present, pending, result));
            splices.extend(sealed(worker, route, pending, result));
            splices.extend(decision_mark(parsed, result.get("_meta")));
            answer::OK
        }
    };
    let spliced = splice::apply(text.clone(), splices);
    let text = route.session.account().carry_copy(text, spliced);
    Answered { text, http }
}

/// Puts a seal around the state with which an agent continues its call, or
/// gives it one where the server keeps the state itself.
fn sealed(worker: &Worker, route: &Route, pending: &Pending, result: Value<'_>) -> Option<Splice> {
    let (modern, open_call) = (pending.modern.as_ref()?, pending.open_call.as_ref()?);
    let kind = result.get("resultType")?.as_str()?;
    if kind != "input_required" {
        return None;
    }
    let state = result.get(STATE);
    let wall = worker.shared.clock.now().wall;
    let (grant, raw) = (&route.session.grant, state.map(Value::raw));
    let before = modern.continued.as_ref();
    let asked = asking::answers::keys(result);
    let seals = &worker.shared.seals;
    let round = Round {
        call: open_call.id,
        before,
        state: raw,
        asked: &asked,
    };
    let seal = seals.seal(round, grant, &modern.print, wall);
    // Without a seal the agent can only begin anew.
    let seal = seal.unwrap_or_default();
    Some(match state {
        Some(state) => Splice::new(state.span(), format!("\"{seal}\"")),
        None => {
            let start = result.span().start;
            Splice::new(start..start + 1, format!("{{\"{STATE}\":\"{seal}\","))
        }
    })
}

/// A result that the agent does not get.
struct Unfit {
    status: Status,
    answered: Answered,
}

/// Judges what an answer asks; returns the end of a task that is inside of it.
fn questions<'d>(
    worker: &Worker,
    route: &Route,
    present: &Present<'_>,
    pending: &Pending,
    id: Id<'_>,
    answer: Answer<'d>,
) -> Result<Option<Inline<'d>>, Unfit> {
    let modern = pending.modern.as_ref();
    let (part, status) = match answer {
        Answer::Error(error) => (Part::Error(error), Status::RpcError),
        Answer::Result(result) => {
            let of = modern.map(|modern| modern.carries).unwrap_or_default();
            (Part::Result { of, result }, Status::Ok)
        }
    };
    let read = asking::read(pending.era(), part).and_then(|asking| match asking.is_task {
        // Whoever does not know tasks would wait for ever.
        true if !modern.is_some_and(|modern| modern.declared.takes_tasks()) => {
            Err(Misasked::Untrue)
        }
        true | false => Ok(asking),
    });
    let asking = match read {
        Ok(asking) if asking.questions.is_empty() => return Ok(asking.inline),
        other => other,
    };
    let declared = match modern {
        Some(modern) => modern.declared.clone(),
        None => route.session.state().capabilities.clone(),
    };
    let (shared, session) = (&worker.shared, &route.session);
    let asked = Asked::new(shared, present, session, pending.era(), &declared);
    let server = &route.backend.server.name;
    match asking {
        Ok(asking) => match asked.all(&asking.questions) {
            Ok(passed) => {
                // They are put to the agent with this very answer.
                for open_call in &passed {
                    settle::settle(&worker.shared, open_call, Status::Ok);
                }
                Ok(asking.inline)
            }
            Err(stop) => Err(Unfit {
                status,
                answered: refused_question(pending, id, stop),
            }),
        },
        Err(problem) => {
            warn!(server.name = %server, %problem, "Server `{server}` sent an answer that was refused");
            let failure = match problem {
                Misasked::Untrue => Failure::upstream_bad_answer(server),
                Misasked::Misplaced(_)
                | Misasked::Lookalike(_)
                | Misasked::TooMuch
                | Misasked::TooMany(_)
                | Misasked::Unreadable(_) => match asked.misasked(&problem) {
                    Ok(()) => Failure::misasked(server, &problem),
                    Err(_) => Failure::record_unavailable(),
                },
            };
            Err(Unfit {
                status: Status::BadAnswer,
                answered: Answered::failed(&failure, id),
            })
        }
    }
}

/// The answer to a request whose server asked what it may not ask.
fn refused_question(pending: &Pending, id: Id<'_>, stop: Stop) -> Answered {
    let failure = match stop {
        Stop::Refused { decision, refusal } if pending.transform == Transform::Call => {
            let kind = decision.as_str();
            let text = answer::refused_call(pending.era(), id.raw(), kind, &refusal);
            let http = answer::OK;
            return Answered { text, http };
        }
        stop => stop.failure(),
    };
    Answered::failed(&failure, id)
}

/// A decision that the upstream made up is taken out: only we make them.
fn decision_mark(parsed: &Document<'_>, place: Option<Value<'_>>) -> Option<Splice> {
    let ours = place?
        .members()
        .find(|member| member.name() == DECISION_KEY)?;
    Some(splice::without_member(
        parsed.text(),
        ours.key.span(),
        ours.value.span(),
    ))
}

/// The same of the end of a task, inside of what is said about the task.
pub(super) fn mark_inside(parsed: &Document<'_>, inline: Option<Inline<'_>>) -> Option<Splice> {
    match inline? {
        Inline::Result(result) => decision_mark(parsed, result.get("_meta")),
        Inline::Error(error) => decision_mark(parsed, error.get("data")),
    }
}

//! Who may ask whom: what a server may ask of an agent, and every place of both
//! eras in which a message of a server can carry such a question.
//!
//! Nothing else knows these places. [`read`] finds by the table what a message
//! asks; what would ask anywhere else does not pass.

pub(crate) mod answers;
pub(crate) mod print;
mod read;
pub(crate) mod subscribe;

use crate::text::era::Era;

pub(crate) use print::Print;
pub(crate) use read::{Asking, Inline, Misasked, Part, Question, created_task, read, well_formed};
pub(crate) use subscribe::{Wanted, is_part};

/// Questions that one message may carry. Each is judged and recorded, so this
/// bounds what one answer can write into the journal.
pub(crate) const MOST_QUESTIONS: usize = 32;

/// The code of an error that asks for visits to web pages first.
pub(crate) const ELICITATION_REQUIRED: &str = "-32042";

/// A method with which a server asks an agent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asks {
    pub(crate) method: &'static str,
    /// The eras in which it does. In the legacy one it is a request, in the modern
    /// one it stands in the places below.
    pub(crate) eras: &'static [Era],
    /// What the agent must have declared for it.
    pub(crate) capability: Option<&'static str>,
}

/// Everything a server may ask.
pub(crate) const ASKS: &[Asks] = &[
    asks("sampling/createMessage", BOTH, Some("sampling")),
    asks("elicitation/create", BOTH, Some("elicitation")),
    asks("roots/list", BOTH, Some("roots")),
    asks("ping", LEGACY, None),
    // About tasks that the agent made of questions.
    asks("tasks/get", LEGACY, Some("tasks")),
    asks("tasks/result", LEGACY, Some("tasks")),
    asks("tasks/list", LEGACY, Some("tasks")),
    asks("tasks/cancel", LEGACY, Some("tasks")),
];

const BOTH: &[Era] = &[Era::Legacy, Era::Modern];
const LEGACY: &[Era] = &[Era::Legacy];
const MODERN: &[Era] = &[Era::Modern];

/// A place where a message of a server carries questions, or something inside of
/// which they may stand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) eras: &'static [Era],
    pub(crate) carrier: Carrier,
    /// What members of the carrier say when it is this place: all of them.
    pub(crate) when: &'static [(&'static str, &'static str)],
    /// The way to it inside of the carrier.
    pub(crate) at: &'static [&'static str],
    pub(crate) holds: Holds,
    pub(crate) answered: Answered,
}

/// A message of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// The result of this request of an agent.
    Result(&'static str),
    /// The error of any request.
    Error,
    /// This notification: its params.
    Notification(&'static str),
}

/// What stands in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    /// A map of requests without ids, each with its method.
    Requests,
    /// A list of the params of requests of this method and mode.
    ParamsOf(&'static str, &'static str),
    /// The final result of a call, which is read as one.
    FinalResult,
    /// The error with which a call ended, which is read as one.
    Error,
}

/// With what an agent answers the questions of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answered {
    /// With the same request again, `inputResponses` and `requestState` in it.
    SameRequest,
    /// With `tasks/update`, by the keys of the questions.
    Update,
    /// With the same request again, and nothing in it.
    Again,
    /// There are none.
    Never,
}

/// Every place there is.
#[rustfmt::skip]
pub(crate) const PLACES: &[Place] = &[
    // Multi round-trips of 2026-07-28.
    asked_in(Carrier::Result("tools/call"), ROUND, Answered::SameRequest),
    asked_in(Carrier::Result("prompts/get"), ROUND, Answered::SameRequest),
    asked_in(Carrier::Result("resources/read"), ROUND, Answered::SameRequest),
    // The tasks extension: a call that became a task, the state of a task asked
    // for, and the state of a task told.
    asked_in(Carrier::Result("tools/call"), NEW_TASK, Answered::Update),
    asked_in(Carrier::Result("tasks/get"), WAITING, Answered::Update),
    asked_in(Carrier::Notification("notifications/tasks"), WAITING, Answered::Update),
    ended_in(Carrier::Result("tools/call"), NEW_DONE, Holds::FinalResult),
    ended_in(Carrier::Result("tasks/get"), DONE, Holds::FinalResult),
    ended_in(Carrier::Notification("notifications/tasks"), DONE, Holds::FinalResult),
    ended_in(Carrier::Result("tools/call"), NEW_FAILED, Holds::Error),
    ended_in(Carrier::Result("tasks/get"), FAILED, Holds::Error),
    ended_in(Carrier::Notification("notifications/tasks"), FAILED, Holds::Error),
    // Elicitation by web page, of 2025-11-25 and after it.
    Place {
        eras: BOTH,
        carrier: Carrier::Error,
        when: &[("code", ELICITATION_REQUIRED)],
        at: &["data", "elicitations"],
        holds: Holds::ParamsOf("elicitation/create", "url"),
        answered: Answered::Again,
    },
];

/// The member of `params`, and of results, with the state of a call that is
/// continued.
pub(crate) const STATE: &str = "requestState";

/// The member that says of which type a result of the modern era is.
pub(crate) const RESULT_TYPE: &str = "resultType";

const ROUND: When = &[(RESULT_TYPE, "input_required")];
const NEW_TASK: When = &[(RESULT_TYPE, "task"), ("status", "input_required")];
const NEW_DONE: When = &[(RESULT_TYPE, "task"), ("status", "completed")];
const NEW_FAILED: When = &[(RESULT_TYPE, "task"), ("status", "failed")];
const WAITING: When = &[("status", "input_required")];
const DONE: When = &[("status", "completed")];
const FAILED: When = &[("status", "failed")];

type When = &'static [(&'static str, &'static str)];

/// Names under which questions stand. Wherever the table has no questions, a
/// member of such a name does not pass.
pub(crate) const QUESTION_NAMES: [&str; 2] = ["inputRequests", "elicitations"];

/// What a server may ask with a method, in an era.
pub(crate) fn asked_with(era: Era, method: &str) -> Option<&'static Asks> {
    ASKS.iter()
        .find(|asks| asks.method == method && asks.eras.contains(&era))
}

/// The name of a request as the table has it: results of others carry nothing.
pub(crate) fn carried_by(method: &str) -> &'static str {
    let named = PLACES.iter().filter_map(|place| match place.carrier {
        Carrier::Result(of) => Some(of),
        Carrier::Error | Carrier::Notification(_) => None,
    });
    let mut named = named.filter(|of| *of == method);
    named.next().unwrap_or_default()
}

const fn asks(
    method: &'static str,
    eras: &'static [Era],
    capability: Option<&'static str>,
) -> Asks {
    Asks {
        method,
        eras,
        capability,
    }
}

const fn asked_in(carrier: Carrier, when: When, answered: Answered) -> Place {
    Place {
        eras: MODERN,
        carrier,
        when,
        at: &["inputRequests"],
        holds: Holds::Requests,
        answered,
    }
}

const fn ended_in(carrier: Carrier, when: When, holds: Holds) -> Place {
    Place {
        eras: MODERN,
        carrier,
        when,
        at: match holds {
            Holds::Error => &["error"],
            Holds::FinalResult | Holds::Requests | Holds::ParamsOf(..) => &["result"],
        },
        holds,
        answered: Answered::Never,
    }
}

#[cfg(test)]
mod tests;

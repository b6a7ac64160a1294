//! Reads what a message of a server asks, by the table and by nothing else.

use std::borrow::Cow;
use std::fmt;

use provost_policy::json::{Folder, Kind, Value};

use super::{
    Answered, Carrier, Holds, MOST_QUESTIONS, PLACES, Place, QUESTION_NAMES, RESULT_TYPE, STATE,
};
use crate::text::era::Era;

/// A part of a message of a server that may ask.
#[derive(Clone, Copy)]
pub(crate) enum Part<'m, 'd> {
    /// The result of a request of an agent, by the name that the table has for it.
    Result { of: &'static str, result: Value<'d> },
    /// The error of a request.
    Error(Value<'d>),
    /// A notification.
    Notification {
        method: &'m str,
        params: Option<Value<'d>>,
    },
    /// The final result of a task.
    Final(Value<'d>),
}

/// What a message asks, and what is inside of it.
#[derive(Debug, Default)]
pub(crate) struct Asking<'d> {
    pub(crate) questions: Vec<Question<'d>>,
    /// The end of a task, inside of what is said about the task.
    pub(crate) inline: Option<Inline<'d>>,
    /// Whether it is the result of a call that became a task.
    pub(crate) is_task: bool,
}

/// The end of a task, as it stands in a message about the task.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Inline<'d> {
    Result(Value<'d>),
    Error(Value<'d>),
}

/// One question of a server.
#[derive(Debug)]
pub(crate) struct Question<'d> {
    pub(crate) method: Cow<'d, str>,
    pub(crate) params: Option<Value<'d>>,
    /// Under which key it is asked, and the whole of it; none where there are no
    /// keys.
    pub(crate) key: Option<(Cow<'d, str>, &'d str)>,
    /// Of which task, where it is a task that asks.
    pub(crate) task: Option<Cow<'d, str>>,
}

/// Why a message does not pass: it asks, or may be read as if it asked, what the
/// protocol does not let a server ask there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Misasked {
    /// A member that holds questions, where there are none.
    Misplaced(String),
    /// A member that only looks like one that decides.
    Lookalike(String),
    /// Names that would cost too much to look at.
    TooMuch,
    /// More questions than one message may carry.
    TooMany(usize),
    /// Questions that are none.
    Unreadable(&'static str),
    /// A result that is not what it says it is; nothing is asked.
    Untrue,
}

/// Reads what a part of a message asks.
pub(crate) fn read<'d>(era: Era, part: Part<'_, 'd>) -> Result<Asking<'d>, Misasked> {
    let Some(container) = part.container() else {
        return Ok(Asking::default());
    };
    if container.kind() != Kind::Object {
        return Ok(Asking::default());
    }
    let folder = &mut Folder::default();
    check_names(folder, era, part, container)?;
    check_type(era, part, container)?;
    let mut asking = Asking {
        is_task: matches!(part, Part::Result { .. }) && era == Era::Modern && is_task(container),
        ..Asking::default()
    };
    let mut known: Vec<&Place> = Vec::new();
    for place in PLACES {
        if place.eras.contains(&era) && part.is_in(place.carrier) && place.applies(container) {
            known.push(place);
            read_place(folder, era, place, container, &mut asking)?;
        }
    }
    check_strays(folder, container, &known)?;
    Ok(asking)
}

/// Whether a request of a server says what it asks in exactly one way.
pub(crate) fn well_formed(params: Option<Value<'_>>) -> Result<(), Misasked> {
    match params {
        Some(params) => exact(&mut Folder::default(), params, &IN_PARAMS),
        None => Ok(()),
    }
}

/// Members of a question's params from which its mode is read.
const IN_PARAMS: [&str; 4] = ["mode", "tools", "toolChoice", "task"];
/// Members of a question.
const IN_QUESTION: [&str; 2] = ["method", "params"];
/// Members of an error.
const IN_ERROR: [&str; 4] = ["code", "data", "inputRequests", "elicitations"];
/// Members of a result of the modern era.
const IN_RESULT: [&str; 4] = [RESULT_TYPE, STATE, "inputRequests", "elicitations"];
/// Members of a task, or of a result that is one.
const IN_TASK: [&str; 8] = [
    RESULT_TYPE,
    STATE,
    "inputRequests",
    "elicitations",
    "taskId",
    "status",
    "result",
    "error",
];

/// Refuses a member that reads as one of these names without being it.
fn exact(folder: &mut Folder, object: Value<'_>, names: &[&str]) -> Result<(), Misasked> {
    for member in object.members() {
        let key = member.name();
        if names.contains(&key.as_ref()) {
            continue;
        }
        let reads_as = |text: &str| names.iter().any(|name| text.eq_ignore_ascii_case(name));
        let lookalike = match key.is_ascii() {
            true => reads_as(&key),
            false => reads_as(&folder.fold(&key).map_err(|_| Misasked::TooMuch)?),
        };
        // Some readers end a name at a control character.
        if lookalike || key.chars().any(char::is_control) {
            return Err(Misasked::Lookalike(key.into_owned()));
        }
    }
    Ok(())
}

fn read_place<'d>(
    folder: &mut Folder,
    era: Era,
    place: &Place,
    container: Value<'d>,
    asking: &mut Asking<'d>,
) -> Result<(), Misasked> {
    let found = place.find(container);
    match place.holds {
        Holds::Requests => {
            let state = container.get(STATE);
            let goes_on = state.is_some_and(|state| state.kind() == Kind::String);
            let asks = found.is_some_and(|questions| !questions.is_empty());
            if place.answered == Answered::SameRequest && !asks && !goes_on {
                return Err(Misasked::Untrue);
            }
            let Some(questions) = found else {
                return Ok(());
            };
            if questions.kind() != Kind::Object {
                return Err(Misasked::Unreadable("`inputRequests` is not an object"));
            }
            few_enough(questions)?;
            let task = container.get("taskId").and_then(Value::as_str);
            if place.answered == Answered::Update && task.is_none() {
                return Err(Misasked::Unreadable("the task that asks has no `taskId`"));
            }
            for member in questions.members() {
                let question = question(folder, member.value)?;
                asking.questions.push(Question {
                    key: Some((member.name(), member.value.raw())),
                    task: task.clone().filter(|_| place.answered == Answered::Update),
                    ..question
                });
            }
        }
        Holds::ParamsOf(method, mode) => {
            let Some(list) = found else { return Ok(()) };
            if list.kind() != Kind::Array {
                return Err(Misasked::Unreadable("`elicitations` is not a list"));
            }
            few_enough(list)?;
            for params in list.elements() {
                exact(folder, params, &IN_PARAMS)?;
                if !params.get("mode").is_some_and(|it| it.is_str(mode)) {
                    return Err(Misasked::Unreadable("an elicitation has the wrong `mode`"));
                }
                asking.questions.push(Question {
                    method: Cow::Borrowed(method),
                    params: Some(params),
                    key: None,
                    task: None,
                });
            }
        }
        Holds::FinalResult | Holds::Error => {
            let Some(found) = found else { return Ok(()) };
            let (part, inline) = match place.holds {
                Holds::Error => (Part::Error(found), Inline::Error(found)),
                Holds::FinalResult | Holds::Requests | Holds::ParamsOf(..) => {
                    (Part::Final(found), Inline::Result(found))
                }
            };
            if found.kind() != Kind::Object {
                return Err(Misasked::Unreadable(
                    "the result or error of a task is not an object",
                ));
            }
            asking.questions.extend(read(era, part)?.questions);
            asking.inline = Some(inline);
        }
    }
    Ok(())
}

fn question<'d>(folder: &mut Folder, question: Value<'d>) -> Result<Question<'d>, Misasked> {
    exact(folder, question, &IN_QUESTION)?;
    let method = question.get("method").and_then(Value::as_str);
    let method = method.ok_or(Misasked::Unreadable("a question has no `method`"))?;
    let params = question.get("params");
    if params.is_some_and(|params| params.kind() != Kind::Object) {
        return Err(Misasked::Unreadable(
            "`params` of a question is not an object",
        ));
    }
    if let Some(params) = params {
        exact(folder, params, &IN_PARAMS)?;
    }
    Ok(Question {
        method,
        params,
        key: None,
        task: None,
    })
}

fn few_enough(questions: Value<'_>) -> Result<(), Misasked> {
    match questions.len() {
        few if few <= MOST_QUESTIONS => Ok(()),
        many => Err(Misasked::TooMany(many)),
    }
}

/// Names that decide where questions stand must be exact.
fn check_names(
    folder: &mut Folder,
    era: Era,
    part: Part<'_, '_>,
    container: Value<'_>,
) -> Result<(), Misasked> {
    let deciding: &[&str] = match part {
        Part::Error(_) => &IN_ERROR,
        Part::Result { of, .. } if of == "tasks/get" || is_task(container) => &IN_TASK,
        Part::Result { .. } if era == Era::Modern => &IN_RESULT,
        Part::Final(_) => &IN_RESULT,
        Part::Notification {
            method: "notifications/tasks",
            ..
        } => &IN_TASK,
        Part::Result { .. } | Part::Notification { .. } => &QUESTION_NAMES,
    };
    exact(folder, container, deciding)
}

/// The task that a call became, if its result says so.
pub(crate) fn created_task(result: Value<'_>) -> Option<Value<'_>> {
    is_task(result).then_some(result)
}

fn is_task(result: Value<'_>) -> bool {
    let kind = result.get(RESULT_TYPE);
    kind.is_some_and(|kind| kind.is_str("task"))
}

/// A result of the modern era is complete, or of a type that the table has for
/// its request.
fn check_type(era: Era, part: Part<'_, '_>, container: Value<'_>) -> Result<(), Misasked> {
    let of = match part {
        Part::Result { of, .. } if era == Era::Modern => Some(of),
        Part::Final(_) => None,
        Part::Result { .. } | Part::Error(_) | Part::Notification { .. } => return Ok(()),
    };
    let Some(kind) = container.get(RESULT_TYPE) else {
        return Ok(());
    };
    let has = |place: &Place| {
        of.is_some_and(|of| place.carrier == Carrier::Result(of))
            && place
                .when
                .iter()
                .any(|(member, value)| *member == RESULT_TYPE && kind.is_str(value))
    };
    match kind.is_str("complete") || PLACES.iter().any(has) {
        true => Ok(()),
        false => Err(Misasked::Untrue),
    }
}

/// Whatever the table did not find must not look like a question: in the message
/// itself, and in what an agent reads as a part of it.
fn check_strays(
    folder: &mut Folder,
    container: Value<'_>,
    known: &[&Place],
) -> Result<(), Misasked> {
    let found = |at: &[&str]| known.iter().any(|place| place.at == at);
    for name in QUESTION_NAMES {
        if container.get(name).is_some() && !found(&[name]) {
            return Err(Misasked::Misplaced(name.to_owned()));
        }
        let Some(data) = container.get("data") else {
            continue;
        };
        if data.get(name).is_some() && !found(&["data", name]) {
            return Err(Misasked::Misplaced(name.to_owned()));
        }
    }
    if let Some(data) = container.get("data") {
        exact(folder, data, &QUESTION_NAMES)?;
    }
    for (member, within) in [("result", None), ("error", Some("data"))] {
        if found(&[member]) {
            continue;
        }
        let held = container.get(member);
        let held = match within {
            None => held,
            Some(within) => held.and_then(|held| held.get(within)),
        };
        let Some(held) = held else { continue };
        asks_nothing(folder, held)?;
    }
    let nested = container.get("task").into_iter();
    let listed = container.get("tasks");
    let listed = listed.iter().flat_map(|tasks| tasks.elements());
    for task in nested.chain(listed) {
        asks_nothing(folder, task)?;
    }
    Ok(())
}

/// Refuses questions, and what looks like them, in a part that has none.
fn asks_nothing(folder: &mut Folder, part: Value<'_>) -> Result<(), Misasked> {
    if let Some(name) = QUESTION_NAMES.iter().find(|name| part.get(name).is_some()) {
        return Err(Misasked::Misplaced((*name).to_owned()));
    }
    exact(folder, part, &QUESTION_NAMES)
}

// === impl Part ===

impl<'d> Part<'_, 'd> {
    /// The object in which its places are looked for.
    fn container(self) -> Option<Value<'d>> {
        match self {
            Self::Result { result, .. } | Self::Final(result) => Some(result),
            Self::Error(error) => Some(error),
            Self::Notification { params, .. } => params,
        }
    }

    fn is_in(self, carrier: Carrier) -> bool {
        match (self, carrier) {
            (Self::Result { of, .. }, Carrier::Result(other)) => of == other,
            (Self::Error(_), Carrier::Error) => true,
            (Self::Notification { method, .. }, Carrier::Notification(other)) => method == other,
            (
                Self::Result { .. } | Self::Error(_) | Self::Notification { .. } | Self::Final(_),
                _,
            ) => false,
        }
    }
}

// === impl Place ===

impl Place {
    /// Whether a message says that it is this place.
    fn applies(&self, container: Value<'_>) -> bool {
        self.when.iter().all(|(member, wanted)| {
            let said = container.get(member);
            said.is_some_and(|said| said.is_str(wanted) || is_number(said, wanted))
        })
    }

    /// What stands in it.
    fn find<'d>(&self, container: Value<'d>) -> Option<Value<'d>> {
        let mut here = Some(container);
        for name in self.at {
            here = here.and_then(|here| here.get(name));
        }
        here
    }
}

/// Whether a number is this one, however it is written.
fn is_number(said: Value<'_>, wanted: &str) -> bool {
    let said = said.as_number().and_then(|said| said.parse::<f64>().ok());
    said.is_some() && said == wanted.parse::<f64>().ok()
}

// === impl Misasked ===

impl fmt::Display for Misasked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misplaced(name) => {
                write!(
                    f,
                    "`{name}` is in a place where the protocol has no questions"
                )
            }
            Self::Lookalike(name) => {
                let name = name.escape_debug();
                write!(
                    f,
                    "its member `{name}` only looks like one that the protocol has"
                )
            }
            Self::TooMuch => {
                f.write_str("it has more names that are not plain ASCII than are checked")
            }
            Self::TooMany(count) => write!(
                f,
                "it asks {count} questions at once, and at most {MOST_QUESTIONS} are passed on"
            ),
            Self::Unreadable(problem) => f.write_str(problem),
            Self::Untrue => {
                f.write_str("its `resultType` is unknown, or does not match the rest of the result")
            }
        }
    }
}

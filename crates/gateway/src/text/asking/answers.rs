//! Where an agent answers. An answer reaches a server only if its question went
//! through here; every other is taken out on the way.

use provost_policy::json::{Kind, Value};

use super::Answered;
use super::print::{Print, print};
use crate::text::brief::{NAME, brief};
use crate::text::era::Era;
use crate::text::splice::Splice;

/// A request of an agent that carries answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answers {
    pub(crate) method: &'static str,
    /// The places whose questions it answers.
    pub(crate) to: Answered,
}

/// Every request that carries answers, all of the modern era: in the legacy one
/// an answer is a message of its own.
#[rustfmt::skip]
pub(crate) const ANSWERS: &[Answers] = &[
    Answers { method: "tools/call", to: Answered::SameRequest },
    Answers { method: "prompts/get", to: Answered::SameRequest },
    Answers { method: "resources/read", to: Answered::SameRequest },
    Answers { method: "tasks/update", to: Answered::Update },
];

/// The member of `params` in which the answers stand.
pub(crate) const AT: &str = "inputResponses";

/// Keys that are named where answers were taken out.
const NAMED: usize = 4;

/// Answers that nobody asked for.
#[derive(Debug)]
pub(crate) struct Unasked {
    /// What their record says.
    pub(crate) message: String,
    /// Takes them out.
    pub(crate) splice: Splice,
}

/// Checks that answers stand where the table has answers.
pub(crate) fn placed(
    era: Era,
    method: &str,
    params: Option<Value<'_>>,
) -> Result<(), &'static str> {
    let Some(params) = params else { return Ok(()) };
    let row = ANSWERS.iter().find(|row| row.method == method);
    let to = row.filter(|_| era == Era::Modern).map(|row| row.to);
    match (params.get(AT).map(Value::kind), to) {
        (None, _) | (Some(Kind::Object), Some(_)) => Ok(()),
        (Some(_), Some(_)) => Err("`params.inputResponses` must be an object"),
        (Some(_), None) => {
            Err("this request cannot carry answers, so `params.inputResponses` is not allowed")
        }
    }
}

/// The answers of a request that are to no question, where `asked` says which
/// questions there were.
pub(crate) fn unasked(params: Option<Value<'_>>, asked: impl Fn(&str) -> bool) -> Option<Unasked> {
    let answers = params?.get(AT)?;
    let (mut kept, mut named, mut others) = (Vec::new(), Vec::new(), 0_usize);
    for member in answers.members() {
        let key = member.name();
        if asked(&key) {
            kept.push(format!("{}:{}", member.key.raw(), member.value.raw()));
        } else if named.len() < NAMED {
            named.push(format!("`{}`", brief(&key, NAME).escape_debug()));
        } else {
            others += 1;
        }
    }
    if named.is_empty() {
        return None;
    }
    let mut message = format!(
        "answers to questions that were not asked here were taken out: {}",
        named.join(", ")
    );
    if others > 0 {
        message.push_str(&format!(" and {others} more"));
    }
    Some(Unasked {
        message,
        splice: Splice::new(answers.span(), format!("{{{}}}", kept.join(","))),
    })
}

/// What a seal remembers of the questions of an answer: their keys.
pub(crate) fn keys(result: Value<'_>) -> Vec<Print> {
    let questions = result.get("inputRequests");
    let questions = questions.iter().flat_map(|questions| questions.members());
    questions.map(|member| key(&member.name())).collect()
}

/// What stands for the key of a question.
pub(crate) fn key(name: &str) -> Print {
    print(&[name])
}

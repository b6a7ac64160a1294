//! Where in the arguments a condition looks.

use std::fmt;

use crate::json::{Kind, Value};
use crate::text::Text;
use crate::work::{TOO_MUCH, Work};

/// A path such as `args.items[*].price`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    text: Text,
    steps: Vec<Step>,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Into the member of that name.
    Key(Text),
    /// Into the element at that place.
    Index(u32),
    /// Into every element.
    Every,
}

/// How the values under `[*]` are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// One element is enough: `deny_if` and `approve_if`.
    Any,
    /// All of them: `require`.
    Every,
}

/// What a path, or a condition on it, comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Holds,
    Fails,
    /// There is nothing there.
    Absent,
    /// There is something that cannot be compared; why, in words that follow
    /// the path.
    CannotTell(Reason),
}

/// What is asked about the values that a path leads to.
pub(crate) type Ask<'a> = &'a mut dyn FnMut(Option<Value<'_>>, &mut Work) -> Outcome;

/// Why a value cannot be compared, in words that follow "`path`".
pub(crate) type Reason = &'static str;

/// The longest path, so that looking along it stays cheap.
const MOST_STEPS: usize = 64;

// === impl Path ===

impl Path {
    /// Reads a path; an error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let rest = text
            .strip_prefix("args.")
            .ok_or("a path begins with `args.`")?;
        let mut steps = Vec::new();
        for part in rest.split('.') {
            let (key, brackets) = part.find('[').map_or((part, ""), |at| part.split_at(at));
            if key.is_empty() {
                return Err("a key is missing");
            }
            if key.contains(']') {
                return Err("a `]` without its `[`");
            }
            steps.push(Step::Key(key.into()));
            read_brackets(brackets, &mut steps)?;
        }
        if steps.len() > MOST_STEPS {
            return Err("the path has more than 64 steps");
        }
        Ok(Self {
            text: text.into(),
            steps,
        })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its steps below `args`.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether a step of it is `[*]`.
    pub fn has_every(&self) -> bool {
        self.steps.contains(&Step::Every)
    }

    /// Looks along the path and asks about what is there. `through` says what
    /// it means when the path leads through something that has no members,
    /// such as `args.a.b` where `a` is text.
    pub(crate) fn look(
        &self,
        arguments: Option<Value<'_>>,
        over: Over,
        through: &Outcome,
        work: &mut Work,
        ask: Ask<'_>,
    ) -> Outcome {
        look(arguments, &self.steps, over, through, work, ask)
    }

    /// The single value the path leads to, if it has no `[*]`.
    pub(crate) fn single<'d>(&self, arguments: Option<Value<'d>>) -> Option<Value<'d>> {
        self.steps
            .iter()
            .try_fold(arguments?, |value, step| match step {
                Step::Key(key) => value.get(key),
                Step::Index(index) => value.elements().nth(*index as usize),
                Step::Every => None,
            })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn read_brackets(mut rest: &str, steps: &mut Vec<Step>) -> Result<(), &'static str> {
    const WRONG: &str = "brackets hold a number or `*`, such as `[0]` or `[*]`";
    while !rest.is_empty() {
        let (inner, after) = rest
            .strip_prefix('[')
            .and_then(|r| r.split_once(']'))
            .ok_or(WRONG)?;
        let canonical = inner == "0" || !inner.starts_with('0');
        steps.push(match inner {
            "*" => Step::Every,
            digits if canonical && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Step::Index(digits.parse().map_err(|_| WRONG)?)
            }
            _ => return Err(WRONG),
        });
        rest = after;
    }
    Ok(())
}

fn look(
    value: Option<Value<'_>>,
    steps: &[Step],
    over: Over,
    through: &Outcome,
    work: &mut Work,
    ask: Ask<'_>,
) -> Outcome {
    let Some((step, rest)) = steps.split_first() else {
        return ask(value, work);
    };
    let Some(value) = value else {
        return ask(None, work);
    };
    // Members and elements are passed one by one.
    if work.spend(1 + value.len()).is_err() {
        return Outcome::CannotTell(TOO_MUCH);
    }
    match (step, value.kind()) {
        (Step::Key(key), Kind::Object) => look(value.get(key), rest, over, through, work, ask),
        (Step::Index(index), Kind::Array) => {
            let element = value.elements().nth(*index as usize);
            look(element, rest, over, through, work, ask)
        }
        (Step::Every, Kind::Array) if value.is_empty() => ask(None, work),
        (Step::Every, Kind::Array) => {
            let mut together: Option<Outcome> = None;
            for element in value.elements() {
                let outcome = look(Some(element), rest, over, through, work, ask);
                let joined = match together {
                    Some(before) => before.join(outcome, over),
                    None => outcome,
                };
                if let Outcome::CannotTell(_) = joined {
                    return joined;
                }
                together = Some(joined);
            }
            together.unwrap_or(Outcome::Absent)
        }
        (Step::Every, _) => Outcome::CannotTell("is not a list"),
        (_, Kind::Null) => ask(None, work),
        _ if *through == Outcome::Absent => ask(None, work),
        _ => through.clone(),
    }
}

// === impl Outcome ===

impl Outcome {
    /// Two elements of a list taken together. What cannot be compared stays,
    /// whatever is beside it.
    fn join(self, other: Self, over: Over) -> Self {
        let winners = match over {
            Over::Any => [Self::Holds, Self::Absent],
            Over::Every => [Self::Fails, Self::Absent],
        };
        if let Self::CannotTell(_) = self {
            return self;
        }
        if let Self::CannotTell(_) = other {
            return other;
        }
        winners
            .into_iter()
            .find(|winner| *winner == self || *winner == other)
            .unwrap_or(self)
    }
}

#[cfg(test)]
mod tests;

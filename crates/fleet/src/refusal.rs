//! Why the fleet refuses a call, and what may be done instead.

use std::fmt;

use provost_store::fleet::{InstanceId, NoInstanceId, Role, TaskId};

use crate::places::PlaceRefused;
use crate::role::may_spawn;
use crate::terminal::NotTypable;
use crate::tools::Tool;

/// Why a call is refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refusal {
    /// The role does not have the tool.
    #[error("{} may not call `{}`", one(*role), tool.name())]
    Tool {
        /// The caller's role.
        role: Role,
        /// The tool.
        tool: Tool,
    },
    /// Who would lead the new one may not lead its role.
    #[error("below {} there can be {}, not {}", one(*parent), words(may_spawn(*parent)), one(*role))]
    Spawn {
        /// The role of who would lead it.
        parent: Role,
        /// The role that was asked for.
        role: Role,
    },
    /// There is no such instance, or the caller does not lead it: which of them is nobody
    /// else's business.
    #[error("there is no instance `{id}` among those you lead")]
    NotYours {
        /// Its name.
        id: InstanceId,
    },
    /// There is no such task, or the caller does not lead who works on it.
    #[error("there is no task `{id}` among those of the instances you lead")]
    NotYourTask {
        /// Its name.
        id: TaskId,
    },
    /// It reports no results, so it is given no tasks.
    #[error("`{id}` is {} and reports no results", one(*role))]
    NoWorker {
        /// Its name.
        id: InstanceId,
        /// What it is.
        role: Role,
    },
    /// The caller does not work on that task.
    #[error("`{id}` is not a task that you work on")]
    OtherTask {
        /// Its name.
        id: TaskId,
    },
    /// The caller works on no task.
    #[error("you work on no task")]
    NoTask,
    /// A result does not fit the schema of its task.
    #[error("the result does not fit the schema of `{id}`: {problem}")]
    Result {
        /// The task.
        id: TaskId,
        /// What is wrong with it.
        problem: String,
    },
    /// There would be too many.
    #[error("the limit {} of {most} is reached{}", named(*limit, top.as_ref()), below(top.as_ref()))]
    Limit {
        /// Of what.
        limit: Limit,
        /// As many as there may be.
        most: u64,
        /// Below whom; `None`: below the person.
        top: Option<InstanceId>,
    },
    /// The directory is not one to work in.
    #[error(transparent)]
    Place(#[from] PlaceRefused),
    /// The grant was minted for an instance that is over, or for none.
    #[error("this grant is no instance's, or its instance has ended for good")]
    Nobody,
    /// There is no such kind of agent.
    #[error("there is no agent `{name}`; there {}", are(known))]
    Agent {
        /// As it was asked for.
        name: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// The schema for the result of a task is none.
    #[error("`resultSchema` is no JSON Schema: {problem}")]
    Schema {
        /// What is wrong with it.
        problem: String,
    },
    /// A text cannot be typed.
    #[error(transparent)]
    Text(#[from] NotTypable),
    /// A text has a line that a terminal does not pass on whole.
    #[error("line {line} of the text is longer than {most} bytes, and a terminal would cut it")]
    LongLine {
        /// Which line, from 1.
        line: usize,
        /// The longest that arrives whole, in bytes.
        most: usize,
    },
    /// What a reading is to go on from was never answered.
    #[error("`{cursor}` is no cursor")]
    Cursor {
        /// As it was given.
        cursor: String,
    },
    /// What a wait is to go on with was never answered.
    #[error("`{token}` is no token of a wait")]
    Token {
        /// As it was given.
        token: String,
    },
    /// The tree has grown beyond what an id can name.
    #[error(transparent)]
    Name(#[from] NoInstanceId),
}

/// What kind of rule refuses a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Who may do what to whom: `(role)` in records.
    Role,
    /// How many, and where: `(fleet limit)` in records.
    Limit,
}

/// What there may be only so much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Levels below a person.
    Depth,
    /// Living instances that one leads directly.
    Width,
    /// Living instances.
    Living,
    /// Instances made within a minute.
    PerMinute,
    /// Instances ever made.
    Ever,
    /// Tokens.
    Tokens,
}

// === impl Refusal ===

impl Refusal {
    /// The rule it is refused by; `None` where it is only wrong.
    pub const fn rule(&self) -> Option<Rule> {
        match self {
            Self::Tool { .. }
            | Self::Spawn { .. }
            | Self::NotYours { .. }
            | Self::NotYourTask { .. }
            | Self::NoWorker { .. }
            | Self::OtherTask { .. }
            | Self::NoTask
            | Self::Nobody => Some(Rule::Role),
            Self::Limit { .. } | Self::Place(_) | Self::Name(_) => Some(Rule::Limit),
            Self::Result { .. }
            | Self::Agent { .. }
            | Self::Schema { .. }
            | Self::Text(_)
            | Self::LongLine { .. }
            | Self::Cursor { .. }
            | Self::Token { .. } => None,
        }
    }

    /// What may be done instead.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Tool { role, .. } => match role {
                Role::Specialist => "do your task and call `report_result`",
                Role::Operator | Role::Executive | Role::Manager => {
                    "let a specialist do the task; it reports its result"
                }
            },
            Self::Spawn { .. } => "choose another role, or another `parentId` that leads such ones",
            Self::NotYours { .. } => "`list` shows the instances you lead",
            Self::NotYourTask { .. } => "the answers of `spawn` and `send` have the ids of tasks",
            Self::NoWorker { .. } => {
                "send it the text without `taskName` and `resultSchema`, or give the task to a specialist"
            }
            Self::OtherTask { .. } => "leave `taskId` out to report on your own",
            Self::NoTask => "wait until you are given one; a result is taken once",
            Self::Result { .. } => "correct it and call again",
            Self::Limit { limit, .. } => match limit {
                Limit::Depth => "let an instance further up lead the new one",
                Limit::Width | Limit::Living => {
                    "give the work to an instance that is idle, or end some with `terminate`"
                }
                Limit::PerMinute => "try again in a minute",
                Limit::Ever | Limit::Tokens => "finish with what there is, or ask your operator",
            },
            Self::Place(refused) => refused.hint(),
            Self::Name(_) | Self::Nobody => "ask your operator",
            Self::Agent { .. } => "choose one of these, or leave `agent` out",
            Self::Schema { .. } => "correct it and call again",
            Self::Text(_) => {
                "leave such characters out, or put the text into a file and send its path"
            }
            Self::LongLine { .. } => {
                "break the line, or put the text into a file and send its path"
            }
            Self::Cursor { .. } => "give the `cursor` of an answer of `read`, or none",
            Self::Token { .. } => {
                "give the `token` of an answer of `wait`, or `taskId` or `instanceId`"
            }
        }
    }
}

// === impl Rule ===

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Role => "(role)",
            Self::Limit => "(fleet limit)",
        })
    }
}

/// What a limit is called where it is configured.
fn named(limit: Limit, top: Option<&InstanceId>) -> String {
    let of = match top {
        None => "tree",
        Some(_) => "below",
    };
    match limit {
        Limit::Depth => "`depth`".to_owned(),
        Limit::Width => "`width`".to_owned(),
        Limit::Living => format!("`{of}.living`"),
        Limit::PerMinute => format!("`{of}.per_minute`"),
        Limit::Ever => format!("`{of}.ever`"),
        Limit::Tokens => format!("`{of}.tokens`"),
    }
}

fn are(known: &[String]) -> String {
    let names: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [one] => format!("is {one}"),
        _ => format!("are {}", names.join(", ")),
    }
}

fn one(role: Role) -> String {
    let article = match role {
        Role::Operator | Role::Executive => "an",
        Role::Manager | Role::Specialist => "a",
    };
    format!("{article} {}", role.word())
}

fn words(roles: &[Role]) -> String {
    match roles {
        [] => "nobody".to_owned(),
        [one] => format!("{}s", one.word()),
        [most @ .., last] => {
            let most: Vec<String> = most.iter().map(|it| format!("{}s", it.word())).collect();
            format!("{} and {}s", most.join(", "), last.word())
        }
    }
}

fn below(top: Option<&InstanceId>) -> String {
    top.map(|id| format!(" below `{id}`")).unwrap_or_default()
}

//! Why the fleet refuses a call, and what may be done instead.

use provost_store::fleet::{InstanceId, NoInstanceId, Role, TaskId};

use crate::places::PlaceRefused;
use crate::role::may_spawn;
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
    /// The tree has grown beyond what an id can name.
    #[error(transparent)]
    Name(#[from] NoInstanceId),
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
    /// The rule it is refused by, as records name it; `None` where it is only wrong.
    pub const fn rule(&self) -> Option<&'static str> {
        match self {
            Self::Tool { .. }
            | Self::Spawn { .. }
            | Self::NotYours { .. }
            | Self::NotYourTask { .. }
            | Self::NoWorker { .. }
            | Self::OtherTask { .. }
            | Self::NoTask => Some("(role)"),
            Self::Limit { .. } | Self::Place(_) | Self::Name(_) => Some("(fleet limit)"),
            Self::Result { .. } => None,
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
            Self::Name(_) => "ask your operator",
        }
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

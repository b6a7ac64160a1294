//! The rules for instances: whose they are, how many there may be. Who calls comes from the
//! grant, never from an argument.

use provost_store::GrantId;
use provost_store::fleet::{
    Admitted, FleetDatabase, FleetError, Instance, InstanceId, InstanceState, NewInstance,
    NoInstanceId, Role, Standing, Subtree,
};

use crate::id::instance_id;
use crate::places::{PlaceRefused, project};
use crate::role::{Reach, may_call, may_spawn};
use crate::tools::Tool;

/// The length of the window in which new instances are counted, in microseconds: a minute.
pub const SPAWN_WINDOW: u64 = 60_000_000;

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A person, through a grant of theirs: the root of a tree.
    Person {
        /// The grant.
        grant: GrantId,
        /// Its label.
        label: String,
        /// What the grant was minted as.
        role: Role,
    },
    /// An instance, through its own grant.
    Instance(Box<Instance>),
}

/// How many instances there may be. However they were made, they count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Levels below a person. Default: 3.
    pub depth: u64,
    /// Living instances that one instance, or one person, leads directly. Default: 32.
    pub width: u64,
    /// In the whole tree of a person. Default: 100 living, 60 a minute, 1,000 ever.
    pub tree: SubtreeLimits,
    /// Below any one instance. Default: 50 living, 30 a minute, 500 ever.
    pub below: SubtreeLimits,
}

/// How many instances there may be below somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubtreeLimits {
    /// That live at a time.
    pub living: u64,
    /// That are made within a minute.
    pub per_minute: u64,
    /// That are ever made.
    pub ever: u64,
    /// Tokens that they may use, and the one at the top too: past that nothing more is
    /// started or delivered there. Default: as many as they like.
    pub tokens: Option<u64>,
}

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
    /// There would be too many.
    #[error("the limit `{limit}` of {most} is reached{}", below(top.as_ref()))]
    Limit {
        /// Its name.
        limit: &'static str,
        /// As many as there may be.
        most: u64,
        /// Below whom; `None`: in the tree of the person.
        top: Option<InstanceId>,
    },
    /// The directory is not one to work in.
    #[error(transparent)]
    Place(#[from] PlaceRefused),
    /// The tree has grown beyond what an id can name.
    #[error(transparent)]
    Name(#[from] NoInstanceId),
}

// === impl Caller ===

impl Caller {
    /// A person who calls with a grant. A grant that was minted for an instance is never
    /// that, also when the fleet knows the instance no more.
    pub fn person(grant: &GrantId, label: &str, role: Role) -> Self {
        Self::Person {
            grant: grant.clone(),
            label: label.to_owned(),
            role,
        }
    }

    /// The instance that calls with the grant that was minted for it; `None` where the fleet
    /// does not know it, or has ended it for good.
    pub fn instance(fleet: &FleetDatabase, grant: &GrantId) -> Result<Option<Self>, FleetError> {
        let found = fleet.instance_of(grant)?;
        let found = found.filter(|it| it.state != InstanceState::Terminated);
        Ok(found.map(|it| Self::Instance(Box::new(it))))
    }

    /// What it is.
    pub fn role(&self) -> Role {
        match self {
            Self::Person { role, .. } => *role,
            Self::Instance(instance) => instance.role,
        }
    }

    /// The person's grant at the root of its tree.
    pub fn root(&self) -> &GrantId {
        match self {
            Self::Person { grant, .. } => grant,
            Self::Instance(instance) => &instance.root,
        }
    }

    /// Whether an instance is itself or below it.
    pub fn leads(&self, it: &Instance) -> bool {
        match self {
            Self::Person { grant, .. } => it.root == *grant,
            Self::Instance(own) => may_watch(own, it),
        }
    }

    /// Its id, if it is an instance.
    pub fn id(&self) -> Option<&InstanceId> {
        match self {
            Self::Person { .. } => None,
            Self::Instance(own) => Some(&own.id),
        }
    }

    /// Who leads it, if that is an instance.
    pub fn leader(&self) -> Option<&InstanceId> {
        match self {
            Self::Person { .. } => None,
            Self::Instance(own) => own.parent.as_ref(),
        }
    }

    /// On whom it may call a tool.
    ///
    /// # Errors
    /// When its role does not have the tool.
    pub fn may_call(&self, tool: Tool) -> Result<Reach, Refusal> {
        let role = self.role();
        may_call(role, tool).ok_or(Refusal::Tool { role, tool })
    }
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 3,
            width: 32,
            tree: SubtreeLimits {
                living: 100,
                per_minute: 60,
                ever: 1_000,
                tokens: None,
            },
            below: SubtreeLimits {
                living: 50,
                per_minute: 30,
                ever: 500,
                tokens: None,
            },
        }
    }
}

impl Limits {
    /// What holds for a subtree, and what its limits are called.
    fn of(&self, subtree: &Subtree) -> (SubtreeLimits, LimitNames) {
        match subtree.top {
            None => (self.tree, LimitNames::TREE),
            Some(_) => (self.below, LimitNames::BELOW),
        }
    }
}

/// What the limits of a subtree are called.
struct LimitNames {
    living: &'static str,
    per_minute: &'static str,
    ever: &'static str,
    tokens: &'static str,
}

impl LimitNames {
    const TREE: Self = Self {
        living: "tree.living",
        per_minute: "tree.per_minute",
        ever: "tree.ever",
        tokens: "tree.tokens",
    };

    const BELOW: Self = Self {
        living: "below.living",
        per_minute: "below.per_minute",
        ever: "below.ever",
        tokens: "below.tokens",
    };
}

// === impl Refusal ===

impl Refusal {
    /// The rule it is refused by, as records name it.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Tool { .. } | Self::Spawn { .. } | Self::NotYours { .. } => "(role)",
            Self::Limit { .. } | Self::Place(_) | Self::Name(_) => "(fleet limit)",
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
            Self::Limit { .. } => {
                "give work to instances that are idle, end some with `terminate`, or ask your operator"
            }
            Self::Place(refused) => refused.hint(),
            Self::Name(_) => "ask your operator",
        }
    }
}

/// The instance that a call is about, if the caller may call the tool on it; `found` is what
/// the fleet knows under its id.
///
/// # Errors
/// When the caller's role does not have the tool, or it does not lead the instance.
pub fn asked_for(
    caller: &Caller,
    tool: Tool,
    id: &InstanceId,
    found: Option<Instance>,
) -> Result<Instance, Refusal> {
    let reach = caller.may_call(tool)?;
    let found = found.filter(|it| it.state != InstanceState::Terminated);
    let found = found.filter(|it| match reach {
        Reach::Below => caller.leads(it),
        Reach::BelowAndLeader => caller.leads(it) || caller.leader() == Some(&it.id),
        Reach::OwnTask => false,
    });
    found.ok_or_else(|| Refusal::NotYours { id: id.clone() })
}

/// Who leads an instance that the caller wants to make: the one it names (`found` is what
/// the fleet knows under its id), or itself; `None` is a person.
///
/// # Errors
/// When the caller's role makes no instances, or it does not lead the one it names.
pub fn leader(
    caller: &Caller,
    named: Option<&InstanceId>,
    found: Option<Instance>,
) -> Result<Option<Instance>, Refusal> {
    caller.may_call(Tool::Spawn)?;
    match (named, caller) {
        (Some(id), _) => asked_for(caller, Tool::Spawn, id, found).map(Some),
        (None, Caller::Instance(own)) => Ok(Some((**own).clone())),
        (None, Caller::Person { .. }) => Ok(None),
    }
}

/// Whether a subscriber may get copies of what is sent to an instance: of what goes to
/// itself and below it.
pub fn may_watch(subscriber: &Instance, target: &Instance) -> bool {
    target.lineage.starts_with(&subscriber.lineage)
}

/// Whether an instance of this role may be made where it would stand. `person` is the role
/// of the person at the root of the tree, who leads what has no other leader.
///
/// # Errors
/// When its leader may not lead such ones, or there would be too many.
fn admit(limits: &Limits, role: Role, person: Role, standing: &Standing) -> Result<(), Refusal> {
    let parent = standing.parent.as_ref().map_or(person, |it| it.role);
    if !may_spawn(parent).contains(&role) {
        return Err(Refusal::Spawn { parent, role });
    }
    check("depth", standing.depth() - 1, limits.depth, None)?;
    for subtree in &standing.subtrees {
        let (most, names) = limits.of(subtree);
        check(
            names.per_minute,
            subtree.recent,
            most.per_minute,
            subtree.top.as_ref(),
        )?;
        check(names.ever, subtree.made, most.ever, subtree.top.as_ref())?;
    }
    admit_again(limits, standing)
}

/// [`admit`], and what the instance is called and where it works then. Its `work_dir` is
/// what [`crate::Places::admit`] answered.
///
/// # Errors
/// When it is not admitted.
pub fn admitted(
    limits: &Limits,
    person: Role,
    new: &NewInstance,
    standing: &Standing,
) -> Result<Admitted, Refusal> {
    admit(limits, new.role, person, standing)?;
    let id = instance_id(new.role, &standing.above, standing.number)?;
    let project = project(&new.work_dir, new.workspace, &id);
    Ok(Admitted { id, project })
}

/// Whether an instance that has ended may be started again: it is not new, but it lives.
///
/// # Errors
/// When there would be too many.
pub fn admit_again(limits: &Limits, standing: &Standing) -> Result<(), Refusal> {
    may_go_on(limits, &standing.subtrees)?;
    let leader = standing.parent.as_ref().map(|it| &it.id);
    check("width", standing.siblings, limits.width, leader)?;
    for subtree in &standing.subtrees {
        let (most, names) = limits.of(subtree);
        check(
            names.living,
            subtree.living,
            most.living,
            subtree.top.as_ref(),
        )?;
    }
    Ok(())
}

/// Whether something may be handed to an instance that is part of these subtrees: not when
/// one of them has used up its tokens.
///
/// # Errors
/// When one has.
pub fn may_go_on(limits: &Limits, subtrees: &[Subtree]) -> Result<(), Refusal> {
    for subtree in subtrees {
        let (most, names) = limits.of(subtree);
        if let Some(most) = most.tokens {
            let used = subtree.spent.tokens;
            check(names.tokens, used, most, subtree.top.as_ref())?;
        }
    }
    Ok(())
}

/// Whether one more is within a limit.
fn check(
    limit: &'static str,
    are: u64,
    most: u64,
    top: Option<&InstanceId>,
) -> Result<(), Refusal> {
    match are < most {
        true => Ok(()),
        false => Err(Refusal::Limit {
            limit,
            most,
            top: top.cloned(),
        }),
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

#[cfg(test)]
mod tests;

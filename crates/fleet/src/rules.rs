//! The rules for instances: whose they are, how many there may be. Who calls comes from the
//! grant, never from an argument.

use provost_store::GrantId;
use provost_store::fleet::{
    Admitted, FleetDatabase, FleetError, Instance, InstanceId, InstanceState, NewInstance, Role,
    Sender, Standing, Subtree, Whose,
};

use crate::id::instance_id;
use crate::places::project;
use crate::refusal::{Limit, Refusal};
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

    /// Who it is as the sender of a message.
    pub fn sender(&self) -> Sender {
        match self {
            Self::Person { label, .. } => Sender::Person(label.clone()),
            Self::Instance(own) => Sender::Instance(own.id.clone()),
        }
    }

    /// Whose instances it leads.
    pub fn whose(&self) -> Whose<'_> {
        match self {
            Self::Person { grant, .. } => Whose::Person(grant),
            Self::Instance(own) => Whose::Below(&own.id),
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
    /// What holds for a subtree.
    const fn of(&self, subtree: &Subtree) -> SubtreeLimits {
        match subtree.top {
            None => self.tree,
            Some(_) => self.below,
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
    check(Limit::Depth, standing.depth() - 1, limits.depth, None)?;
    for subtree in &standing.subtrees {
        let (most, top) = (limits.of(subtree), subtree.top.as_ref());
        check(Limit::PerMinute, subtree.recent, most.per_minute, top)?;
        check(Limit::Ever, subtree.made, most.ever, top)?;
    }
    admit_again(limits, standing)
}

/// Whether an instance may be made where it would stand, and what it is called and where it
/// works then. Its `work_dir` is what [`crate::Places::admit`] answered; `person` is the role
/// of the person at the root of the tree, who leads what has no other leader.
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
    check(Limit::Width, standing.siblings, limits.width, leader)?;
    for subtree in &standing.subtrees {
        let most = limits.of(subtree).living;
        check(Limit::Living, subtree.living, most, subtree.top.as_ref())?;
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
        if let Some(most) = limits.of(subtree).tokens {
            let used = subtree.spent.tokens;
            check(Limit::Tokens, used, most, subtree.top.as_ref())?;
        }
    }
    Ok(())
}

/// Whether one more is within a limit.
fn check(limit: Limit, are: u64, most: u64, top: Option<&InstanceId>) -> Result<(), Refusal> {
    match are < most {
        true => Ok(()),
        false => Err(Refusal::Limit {
            limit,
            most,
            top: top.cloned(),
        }),
    }
}

#[cfg(test)]
mod tests;

//! Instances: what is known of one, lists of them, and how one changes.

use rusqlite::{Connection, OptionalExtension, Row, Transaction};

use super::{FleetDatabase, FleetError, InstanceId, InstanceState, Role, Workspace};
use crate::GrantId;
use crate::database::{int, uint};

/// One agent that runs or ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its name.
    pub id: InstanceId,
    /// Its number; no other has it.
    pub number: u64,
    /// What it is.
    pub role: Role,
    /// Who leads it; `None` where that is a person.
    pub parent: Option<InstanceId>,
    /// The numbers from the top of its tree down to its own.
    pub lineage: Vec<u64>,
    /// The person's grant at the root of its tree.
    pub root: GrantId,
    /// The grant it acts by, once it was minted.
    pub grant: Option<GrantId>,
    /// The kind of its agent, such as `claude`.
    pub agent: String,
    /// The directory that was asked for.
    pub work_dir: String,
    /// The directory it works in.
    pub project: String,
    /// Whose files it works on.
    pub workspace: Workspace,
    /// What it is doing.
    pub state: InstanceState,
    /// When it was made, unix time in microseconds.
    pub created: u64,
    /// When its agent said that it runs, unix time in microseconds.
    pub started: Option<u64>,
    /// How it ended, if it did.
    pub ended: Option<Ended>,
    /// How many were ever made below it.
    pub made_below: u64,
    /// What it and all that ever was below it have used.
    pub spent: Spent,
}

/// How an instance ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// When, unix time in microseconds.
    pub at: u64,
    /// How its program ended, where that is known.
    pub exit: Option<Exit>,
    /// Why, in words.
    pub why: String,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(u8),
    /// By this signal.
    Signal(u8),
}

/// What was used of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Tokens.
    pub tokens: u64,
    /// Millionths of a dollar.
    pub micros: u64,
}

/// Whose instances are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose<'a> {
    /// All there are.
    Everybody,
    /// The tree of a person's grant.
    Person(&'a GrantId),
    /// What is below an instance, itself not.
    Below(&'a InstanceId),
}

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Listing<'a> {
    /// Only those of this role.
    pub role: Option<Role>,
    /// Only the children of this one.
    pub parent: Option<&'a InstanceId>,
}

/// What [`from_row`] reads.
const COLUMNS: &str = "id, number, role, parent, lineage, root, grant_id, agent, work_dir, project, \
     workspace, state, created, started, ended, exit_code, exit_signal, why, made_below, tokens, micros";

/// Behind every number and its slash.
const LAST: &str = ":";

// === impl FleetDatabase ===

impl FleetDatabase {
    /// One instance, one that was terminated too.
    pub fn instance(&self, id: &InstanceId) -> Result<Option<Instance>, FleetError> {
        self.read(|connection| find(connection, id))
    }

    /// The instance that acts by a grant.
    pub fn instance_of(&self, grant: &GrantId) -> Result<Option<Instance>, FleetError> {
        self.read(|connection| {
            let sql = format!("SELECT {COLUMNS} FROM instances WHERE grant_id = ?1");
            let mut statement = connection.prepare_cached(&sql)?;
            Ok(statement.query_row([grant.as_str()], from_row).optional()?)
        })
    }

    /// What an instance was told about its work.
    pub fn context(&self, id: &InstanceId) -> Result<String, FleetError> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT context FROM instances WHERE id = ?1")?;
            let context = statement.query_row([id], |row| row.get(0)).optional()?;
            context.ok_or_else(|| no(id))
        })
    }

    /// Instances that were not terminated, in the order they were made.
    pub fn instances(
        &self,
        whose: Whose<'_>,
        which: Listing<'_>,
    ) -> Result<Vec<Instance>, FleetError> {
        self.read(|connection| {
            let mut listed = listed(connection, whose)?;
            listed.retain(|it| {
                which.role.is_none_or(|role| it.role == role)
                    && which
                        .parent
                        .is_none_or(|parent| it.parent.as_ref() == Some(parent))
            });
            listed.sort_by_key(|it| it.number);
            Ok(listed)
        })
    }

    /// An instance and all below it that were not terminated, children before parents: the
    /// order in which a branch is taken down.
    pub fn branch(&self, id: &InstanceId) -> Result<Vec<Instance>, FleetError> {
        self.read(|connection| {
            let top = require(connection, id)?;
            let mut branch = listed(connection, Whose::Below(id))?;
            branch.sort_by(|one, other| other.lineage.cmp(&one.lineage));
            branch.push(top);
            Ok(branch)
        })
    }

    /// Whether an instance is below another, at any depth.
    pub fn is_below(&self, id: &InstanceId, top: &InstanceId) -> Result<bool, FleetError> {
        self.read(|connection| {
            let (Some(one), Some(top)) = (find(connection, id)?, find(connection, top)?) else {
                return Ok(false);
            };
            Ok(one.number != top.number && one.lineage.starts_with(&top.lineage))
        })
    }

    /// Says by which grant an instance acts.
    pub fn set_grant(&self, id: &InstanceId, grant: &GrantId) -> Result<(), FleetError> {
        self.change(|tx| {
            require(tx, id)?;
            let mut statement =
                tx.prepare_cached("UPDATE instances SET grant_id = ?2 WHERE id = ?1")?;
            statement.execute((id, grant.as_str()))?;
            Ok(())
        })
    }

    /// An instance goes from one state to another in which its agent runs. It is refused
    /// when the instance is in another state than `from`.
    pub fn move_instance(
        &self,
        id: &InstanceId,
        from: InstanceState,
        to: InstanceState,
        now: u64,
    ) -> Result<Instance, FleetError> {
        self.change(|tx| {
            let found = require(tx, id)?;
            if found.state != from || !to.is_living() || !from.is_living() {
                return Err(other_state(&found, from.word()));
            }
            let mut statement = tx.prepare_cached(
                "UPDATE instances SET state = ?2, started = coalesce(started, ?3) WHERE id = ?1",
            )?;
            let started = (to != InstanceState::Starting).then(|| int(now));
            statement.execute((id, to, started))?;
            require(tx, id)
        })
    }
}

// === impl Instance ===

impl Instance {
    /// How many levels it is below a person: 1 for the top of a tree.
    pub fn depth(&self) -> u64 {
        self.lineage.len() as u64
    }
}

pub(super) fn no(id: &InstanceId) -> FleetError {
    FleetError::NoInstance { id: id.clone() }
}

pub(super) fn other_state(found: &Instance, wanted: &'static str) -> FleetError {
    FleetError::OtherState {
        id: found.id.to_string(),
        is: found.state.word(),
        wanted,
    }
}

/// An instance, one that was terminated too.
pub(super) fn find(
    connection: &Connection,
    id: &InstanceId,
) -> Result<Option<Instance>, FleetError> {
    let sql = format!("SELECT {COLUMNS} FROM instances WHERE id = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row([id], from_row).optional()?)
}

/// The instance with a number that is known to have one.
pub(super) fn find_numbered(connection: &Connection, number: u64) -> Result<Instance, FleetError> {
    let sql = format!("SELECT {COLUMNS} FROM instances WHERE number = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row([int(number)], from_row)?)
}

/// An instance that was not terminated.
pub(super) fn require(connection: &Connection, id: &InstanceId) -> Result<Instance, FleetError> {
    let found = find(connection, id)?;
    let found = found.filter(|it| it.state != InstanceState::Terminated);
    found.ok_or_else(|| no(id))
}

/// An instance whose agent runs: to others nothing is handed.
pub(super) fn require_living(
    connection: &Connection,
    id: &InstanceId,
) -> Result<Instance, FleetError> {
    let found = require(connection, id)?;
    match found.state.is_living() {
        true => Ok(found),
        false => Err(other_state(&found, "running")),
    }
}

/// The numbers of a lineage as they are kept.
pub(super) fn kept_lineage(numbers: &[u64]) -> String {
    numbers.iter().map(|number| format!("{number}/")).collect()
}

/// The range of lineages that are below one; below nothing is everything.
pub(super) fn range_below(lineage: &[u64]) -> (String, String) {
    let first = kept_lineage(lineage);
    // `0` follows the slash.
    let end = match first.strip_suffix('/') {
        Some(number) => format!("{number}0"),
        None => LAST.to_owned(),
    };
    (first, end)
}

fn listed(connection: &Connection, whose: Whose<'_>) -> Result<Vec<Instance>, FleetError> {
    let (root, lineage) = match whose {
        Whose::Everybody => {
            let sql = format!(
                "SELECT {COLUMNS} FROM instances INDEXED BY listed WHERE state <> 'terminated'"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            return Ok(statement
                .query_map([], from_row)?
                .collect::<Result<_, _>>()?);
        }
        Whose::Person(root) => (root.clone(), Vec::new()),
        Whose::Below(id) => {
            let top = find(connection, id)?.ok_or_else(|| no(id))?;
            (top.root, top.lineage)
        }
    };
    let (first, end) = range_below(&lineage);
    let sql = format!(
        "SELECT {COLUMNS} FROM instances INDEXED BY listed
         WHERE state <> 'terminated' AND root = ?1 AND lineage > ?2 AND lineage < ?3"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map((root.as_str(), first, end), from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Instance> {
    let lineage: String = row.get("lineage")?;
    let grant = |text: String| GrantId(text.into());
    let code = row.get::<_, Option<u8>>("exit_code")?.map(Exit::Code);
    let signal = row.get::<_, Option<u8>>("exit_signal")?.map(Exit::Signal);
    let why: Option<String> = row.get("why")?;
    let ended = row.get::<_, Option<i64>>("ended")?.map(|at| Ended {
        at: uint(at),
        exit: code.or(signal),
        why: why.unwrap_or_default(),
    });
    Ok(Instance {
        id: row.get("id")?,
        number: uint(row.get("number")?),
        role: row.get("role")?,
        parent: row.get("parent")?,
        lineage: lineage
            .split_terminator('/')
            .filter_map(|it| it.parse().ok())
            .collect(),
        root: grant(row.get("root")?),
        grant: row.get::<_, Option<String>>("grant_id")?.map(grant),
        agent: row.get("agent")?,
        work_dir: row.get("work_dir")?,
        project: row.get("project")?,
        workspace: row.get("workspace")?,
        state: row.get("state")?,
        created: uint(row.get("created")?),
        started: row.get::<_, Option<i64>>("started")?.map(uint),
        ended,
        made_below: uint(row.get("made_below")?),
        spent: Spent {
            tokens: uint(row.get("tokens")?),
            micros: uint(row.get("micros")?),
        },
    })
}

/// Counts an instance that was made, for everybody above it.
pub(super) fn count_made(
    tx: &Transaction<'_>,
    root: &GrantId,
    above: &[u64],
) -> rusqlite::Result<()> {
    let mut statement =
        tx.prepare_cached("UPDATE instances SET made_below = made_below + 1 WHERE number = ?1")?;
    for number in above {
        statement.execute([int(*number)])?;
    }
    let mut statement = tx.prepare_cached("UPDATE trees SET made = made + 1 WHERE root = ?1")?;
    statement.execute([root.as_str()])?;
    Ok(())
}

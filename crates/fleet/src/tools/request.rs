//! What a call asks for, typed.

use provost_store::fleet::{InstanceId, Priority, Role, TaskId, Workspace};
use serde_json::{Map, Value};

use crate::tools::arguments::{Arguments, BadArguments};
use crate::tools::pattern::Pattern;
use crate::tools::tool::Tool;

/// Lines that are read where nothing is said.
const LINES: u64 = 50;

/// Seconds that one `wait` takes at most: clients give up after a minute.
const SECONDS: u64 = 45;

/// What a call asks for.
#[derive(Debug, Clone)]
pub enum Request {
    /// `spawn`
    Spawn(Spawn),
    /// `send`
    Send(Send),
    /// `read`
    Read(Read),
    /// `list`
    List(List),
    /// `terminate`
    Terminate(Terminate),
    /// `restart`: the instance.
    Restart(InstanceId),
    /// `enhancedSend`
    EnhancedSend(EnhancedSend),
    /// `enhancedRead`
    EnhancedRead(EnhancedRead),
    /// `subscribe`
    Subscribe(Subscribe),
    /// `unsubscribe`: the pattern as it was written, and who subscribed.
    Unsubscribe {
        /// The pattern.
        pattern: String,
        /// Who subscribed.
        subscriber: InstanceId,
    },
    /// `getProgress`: the instance.
    GetProgress(InstanceId),
    /// `wait`
    Wait(Wait),
    /// `cancel`
    Cancel(Cancel),
    /// `report_result`
    ReportResult(ReportResult),
}

/// `spawn`
#[derive(Debug, Clone, PartialEq)]
pub struct Spawn {
    /// What it is to be; never an operator.
    pub role: Role,
    /// Where it works.
    pub work_dir: String,
    /// What it is told.
    pub context: String,
    /// Who leads it; `None`: the caller.
    pub parent: Option<InstanceId>,
    /// Whose files it works on.
    pub workspace: Workspace,
    /// The kind of its agent; `None`: what is configured.
    pub agent: Option<String>,
    /// What it is to do first.
    pub instruction: Option<String>,
    /// What is said about that as a task: the first work of a specialist is always one.
    pub task: Option<NewWork>,
}

/// What is said about a task beside its text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NewWork {
    /// What people call it.
    pub name: Option<String>,
    /// The JSON Schema of its result.
    pub schema: Option<Value>,
}

/// `send`
#[derive(Debug, Clone, PartialEq)]
pub struct Send {
    /// To whom.
    pub to: InstanceId,
    /// The text.
    pub text: String,
    /// How urgent it is.
    pub priority: Priority,
    /// Where the text is a task: what is said about it.
    pub task: Option<NewWork>,
}

/// `read`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// Whose output.
    pub of: InstanceId,
    /// At most so many lines.
    pub lines: u64,
    /// Whether to go on with what comes.
    pub follow: bool,
    /// Where to go on.
    pub cursor: Option<String>,
}

/// `list`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Only of this role.
    pub role: Option<Role>,
    /// Only the children of this one.
    pub parent: Option<InstanceId>,
}

/// `terminate`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terminate {
    /// Whom.
    pub id: InstanceId,
    /// Also all below it.
    pub cascade: bool,
}

/// `enhancedSend`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnhancedSend {
    /// To whom.
    pub to: InstanceId,
    /// The text.
    pub text: String,
    /// How urgent it is.
    pub priority: Priority,
}

/// `enhancedRead`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnhancedRead {
    /// Whose mailbox.
    pub of: InstanceId,
    /// Only what was not read.
    pub unread_only: bool,
    /// Mark what is answered as read.
    pub mark_as_read: bool,
}

/// `subscribe`
#[derive(Debug, Clone)]
pub struct Subscribe {
    /// To whose messages.
    pub pattern: Pattern,
    /// Who gets the copies.
    pub subscriber: InstanceId,
}

/// `wait`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// For what.
    pub until: WaitFor,
    /// At most so long.
    pub seconds: u64,
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitFor {
    /// That a task has ended.
    Task(TaskId),
    /// That an instance is idle or has ended.
    Instance(InstanceId),
    /// What a wait before waited for.
    Token(String),
}

/// `cancel`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancel {
    /// Which task.
    pub task: TaskId,
    /// Why, in the caller's words.
    pub reason: Option<String>,
}

/// `report_result`
#[derive(Debug, Clone, PartialEq)]
pub struct ReportResult {
    /// Which task; `None`: the one the caller works on.
    pub task: Option<TaskId>,
    /// The result, or why there is none.
    pub result: Value,
    /// Whether there is none.
    pub has_failed: bool,
}

// === impl Request ===

impl Request {
    /// Reads what a call asks for from the text of its arguments, a JSON object.
    pub fn read(tool: Tool, arguments: &str) -> Result<Self, BadArguments> {
        let arguments: Map<String, Value> =
            serde_json::from_str(arguments).map_err(|error| BadArguments {
                tool,
                missing: Vec::new(),
                problems: vec![format!("its arguments are no JSON object: {error}")],
            })?;
        let mut given = Arguments::new(tool, &arguments);
        let request = match tool {
            Tool::Spawn => spawn(&mut given).map(Self::Spawn),
            Tool::Send => send(&mut given).map(Self::Send),
            Tool::Read => given.instance("instanceId").map(|of| {
                Self::Read(Read {
                    of,
                    lines: given.count("lines").unwrap_or(LINES),
                    follow: given.flag("follow").unwrap_or(false),
                    cursor: given.text("cursor"),
                })
            }),
            Tool::List => Some(Self::List(List {
                role: given.word("role", Role::from_word),
                parent: given.instance("parentId"),
            })),
            Tool::Terminate => given.instance("instanceId").map(|id| {
                let cascade = given.flag("cascade").unwrap_or(false);
                Self::Terminate(Terminate { id, cascade })
            }),
            Tool::Restart => given.instance("instanceId").map(Self::Restart),
            Tool::EnhancedSend => enhanced_send(&mut given).map(Self::EnhancedSend),
            Tool::EnhancedRead => given.instance("instanceId").map(|of| {
                Self::EnhancedRead(EnhancedRead {
                    of,
                    unread_only: given.flag("unreadOnly").unwrap_or(true),
                    mark_as_read: given.flag("markAsRead").unwrap_or(true),
                })
            }),
            Tool::Subscribe => subscribe(&mut given).map(Self::Subscribe),
            Tool::Unsubscribe => {
                let subscriber = given.instance("instanceId");
                let both = given.text("pattern").zip(subscriber);
                both.map(|(pattern, subscriber)| Self::Unsubscribe {
                    pattern,
                    subscriber,
                })
            }
            Tool::GetProgress => given.instance("instanceId").map(Self::GetProgress),
            Tool::Wait => wait(&mut given).map(Self::Wait),
            Tool::Cancel => task(&mut given).map(|task| {
                let reason = given.text("reason");
                Self::Cancel(Cancel { task, reason })
            }),
            Tool::ReportResult => {
                let task = task(&mut given);
                let has_failed = given.text("status").is_some_and(|end| end == "failed");
                given.any("result").map(|result| {
                    Self::ReportResult(ReportResult {
                        task,
                        result,
                        has_failed,
                    })
                })
            }
        };
        given.end(request)
    }
}

fn spawn(given: &mut Arguments<'_>) -> Option<Spawn> {
    let role = given.word("role", Role::from_word);
    let parent = given.instance("parentId");
    let workspace = given.word("workspaceMode", Workspace::from_word);
    let workspace = workspace.unwrap_or(Workspace::Isolated);
    if workspace == Workspace::Shared && role.is_some_and(|role| role != Role::Manager) {
        let words = "`workspaceMode` can be `shared` for managers only: others work in a directory of their own";
        given.problem(words.to_owned());
    }
    let instruction = given.text("instruction");
    let task = first_task(given, role, instruction.is_some());
    Some(Spawn {
        role: role?,
        work_dir: given.text("workDir")?,
        context: given.text("context")?,
        parent,
        workspace,
        agent: given.text("agent"),
        instruction,
        task,
    })
}

/// The first task of one that is started: only specialists report results, so only they
/// are given tasks.
fn first_task(
    given: &mut Arguments<'_>,
    role: Option<Role>,
    is_instructed: bool,
) -> Option<NewWork> {
    let work = work(given);
    let is_worker = role == Some(Role::Specialist);
    if work.is_some() && !(is_worker && is_instructed) {
        let words = "`taskName` and `resultSchema` are for specialists, beside `instruction`";
        given.problem(words.to_owned());
    }
    (is_worker && is_instructed).then(|| work.unwrap_or_default())
}

fn send(given: &mut Arguments<'_>) -> Option<Send> {
    Some(Send {
        to: given.instance("instanceId")?,
        text: given.text("text")?,
        priority: given
            .word("priority", Priority::from_word)
            .unwrap_or_default(),
        task: work(given),
    })
}

fn enhanced_send(given: &mut Arguments<'_>) -> Option<EnhancedSend> {
    Some(EnhancedSend {
        to: given.instance("targetInstanceId")?,
        text: given.text("message")?,
        priority: given
            .word("priority", Priority::from_word)
            .unwrap_or_default(),
    })
}

fn subscribe(given: &mut Arguments<'_>) -> Option<Subscribe> {
    let subscriber = given.instance("instanceId");
    let pattern = match Pattern::read(&given.text("pattern")?) {
        Ok(pattern) => pattern,
        Err(error) => {
            given.problem(format!("`pattern`: {error}"));
            return None;
        }
    };
    Some(Subscribe {
        pattern,
        subscriber: subscriber?,
    })
}

fn wait(given: &mut Arguments<'_>) -> Option<Wait> {
    let task = task(given).map(WaitFor::Task);
    let instance = given.instance("instanceId").map(WaitFor::Instance);
    let token = given.text("token").map(WaitFor::Token);
    let mut all: Vec<WaitFor> = [task, instance, token].into_iter().flatten().collect();
    let names = ["taskId", "instanceId", "token"];
    if names
        .into_iter()
        .filter(|name| given.any(name).is_some())
        .count()
        != 1
    {
        given.problem("give exactly one of `taskId`, `instanceId` and `token`".to_owned());
    }
    Some(Wait {
        until: all.pop()?,
        seconds: given.count("seconds").unwrap_or(SECONDS).min(SECONDS),
    })
}

fn task(given: &mut Arguments<'_>) -> Option<TaskId> {
    given.named("taskId", "a task; they look like `task_7`")
}

/// What is said about a task, if anything is.
fn work(given: &Arguments<'_>) -> Option<NewWork> {
    let work = NewWork {
        name: given.text("taskName"),
        schema: given.any("resultSchema"),
    };
    (work != NewWork::default()).then_some(work)
}

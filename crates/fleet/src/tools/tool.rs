//! The tools by name, and what is said about each.

/// A tool of the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tool {
    /// Starts an instance.
    Spawn,
    /// Sends it a text.
    Send,
    /// Reads what it printed.
    Read,
    /// Lists instances.
    List,
    /// Ends instances for good.
    Terminate,
    /// Starts one again that has ended.
    Restart,
    /// Puts a message into a mailbox.
    EnhancedSend,
    /// Reads a mailbox.
    EnhancedRead,
    /// Asks for copies of messages to others.
    Subscribe,
    /// Ends that.
    Unsubscribe,
    /// Tells how far tasks are.
    GetProgress,
    /// Waits for an instance or a task.
    Wait,
    /// Calls a task off.
    Cancel,
    /// Reports the result of one's own task.
    ReportResult,
}

/// What a client may know of a tool before it calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Annotations {
    /// It changes nothing.
    pub read_only: bool,
    /// It can take something away.
    pub destructive: bool,
    /// The same call again changes nothing more.
    pub idempotent: bool,
    /// It reaches beyond the fleet: agents do what they are told.
    pub open_world: bool,
}

// === impl Tool ===

impl Tool {
    /// All of them, in the order of lists.
    pub const ALL: [Self; 14] = [
        Self::Spawn,
        Self::Send,
        Self::Read,
        Self::List,
        Self::Terminate,
        Self::Restart,
        Self::EnhancedSend,
        Self::EnhancedRead,
        Self::Subscribe,
        Self::Unsubscribe,
        Self::GetProgress,
        Self::Wait,
        Self::Cancel,
        Self::ReportResult,
    ];

    /// The tool of this name, exactly as it is written.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Spawn => "spawn",
            Self::Send => "send",
            Self::Read => "read",
            Self::List => "list",
            Self::Terminate => "terminate",
            Self::Restart => "restart",
            Self::EnhancedSend => "enhancedSend",
            Self::EnhancedRead => "enhancedRead",
            Self::Subscribe => "subscribe",
            Self::Unsubscribe => "unsubscribe",
            Self::GetProgress => "getProgress",
            Self::Wait => "wait",
            Self::Cancel => "cancel",
            Self::ReportResult => "report_result",
        }
    }

    /// Its name for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Spawn => "Start an agent",
            Self::Send => "Send a text to an agent",
            Self::Read => "Read an agent's output",
            Self::List => "List agents",
            Self::Terminate => "End an agent for good",
            Self::Restart => "Start an ended agent again",
            Self::EnhancedSend => "Put a message into a mailbox",
            Self::EnhancedRead => "Read a mailbox",
            Self::Subscribe => "Get copies of messages",
            Self::Unsubscribe => "Get no more copies of messages",
            Self::GetProgress => "See how far tasks are",
            Self::Wait => "Wait for an agent or a task",
            Self::Cancel => "Call a task off",
            Self::ReportResult => "Report the result of your task",
        }
    }

    /// What it does, for whoever decides to call it.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Spawn => {
                "Start an agent in a terminal of its own: an executive, a manager or a specialist, below you or below \
                 an instance you lead. It is told `context`, and with `instruction` what to do first; of a specialist \
                 that is a task, and the answer has the `taskId` to wait for. Answers when the agent is ready, or says \
                 why it is not."
            }
            Self::Send => {
                "Send a text to an instance, byte for byte. The answer says how far it came: `queued` (it waits until \
                 the agent can take it), `delivered` (handed over) or `acknowledged` (the agent took it). With \
                 `taskName` or `resultSchema` the text is a task for a specialist, and the answer has the `taskId` to \
                 wait for."
            }
            Self::Read => {
                "Read the last lines that an instance printed. With `cursor`, from the answer before, only what came \
                 since. With `follow` what comes is told as progress too, until the instance ends or 45 seconds are \
                 over; go on with the `cursor`."
            }
            Self::List => {
                "List the instances you lead that were not terminated, whatever their state; perhaps only those of a \
                 role, or the children of one instance."
            }
            Self::Terminate => {
                "End an instance and every process it started, for good. With `cascade` also all instances below it; \
                 without it they stay, led by whoever is above. Files stay."
            }
            Self::Restart => {
                "Start an instance again that has exited or died, with its conversation. One that runs is left alone."
            }
            Self::EnhancedSend => {
                "Put a message into the mailbox of an instance. Higher priorities go first, others in the order of \
                 coming. Instances that subscribed to the target get a copy."
            }
            Self::EnhancedRead => {
                "Read the mailbox of an instance. In your own, what you read is marked so unless `markAsRead` is false, and \
                 is not handed to you again; in others you only look."
            }
            Self::Subscribe => {
                "Let an instance get a copy of each message to instances whose id matches a regular expression."
            }
            Self::Unsubscribe => "End a subscription; `pattern` is the one it was made with.",
            Self::GetProgress => {
                "See how many tasks of an instance and of all below it are done, running and waiting."
            }
            Self::Wait => {
                "Wait until a task has ended, or until an instance is idle or has ended. Returns before clients give \
                 up: when `finished` is false, call again with the `token` of the answer."
            }
            Self::Cancel => {
                "Call a task off that waits or runs. Its instance is told and stays; `terminate` ends it."
            }
            Self::ReportResult => {
                "Report the result of the task you were given. Call it once, when the work is finished or cannot be: \
                 then with `status` `failed` and the reason as `result`. A result that does not fit the task's schema \
                 is refused with what is wrong; correct it and call again."
            }
        }
    }

    /// What a client may know before it calls it.
    pub const fn annotations(self) -> Annotations {
        /// It only looks.
        const LOOKS: Annotations = Annotations {
            read_only: true,
            destructive: false,
            idempotent: true,
            open_world: false,
        };
        /// It adds to what is there.
        const ADDS: Annotations = Annotations {
            read_only: false,
            destructive: false,
            idempotent: false,
            open_world: false,
        };
        match self {
            Self::Read | Self::List | Self::GetProgress | Self::Wait => LOOKS,
            Self::Spawn | Self::Send | Self::EnhancedSend => Annotations {
                open_world: true,
                ..ADDS
            },
            Self::Restart => Annotations {
                open_world: true,
                idempotent: true,
                ..ADDS
            },
            Self::ReportResult => ADDS,
            // It marks messages as read.
            Self::EnhancedRead => ADDS,
            Self::Subscribe | Self::Unsubscribe => Annotations {
                idempotent: true,
                ..ADDS
            },
            Self::Terminate | Self::Cancel => Annotations {
                destructive: true,
                idempotent: true,
                ..ADDS
            },
        }
    }
}

//! What happens, step by step, for whoever shows it.

use serde::Serialize;
use tokio::sync::mpsc;

/// One thing that happened.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// What kind of thing.
    pub kind: StepKind,
    /// What it was.
    pub what: String,
    /// What came of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// A new part begins.
    Chapter,
    /// A command is run.
    Command,
    /// Something to know.
    Remark,
    /// A call went on.
    Allowed,
    /// A call was refused.
    Refused,
    /// The agent saw the tools.
    Listed,
    /// The daemon was killed.
    Killed,
    /// A daemon was started.
    Started,
    /// A line for the reader to take away.
    Text,
}

/// Where the steps go. The channel has little room: who shows them sets the pace.
pub(crate) struct Report(mpsc::Sender<Step>);

// === impl Report ===

impl Report {
    pub(crate) fn new(steps: mpsc::Sender<Step>) -> Self {
        Report(steps)
    }

    pub(crate) async fn say(&self, kind: StepKind, what: impl Into<String>) {
        self.tell(kind, what, "").await;
    }

    pub(crate) async fn tell(
        &self,
        kind: StepKind,
        what: impl Into<String>,
        detail: impl Into<String>,
    ) {
        let step = Step {
            kind,
            what: what.into(),
            detail: detail.into(),
        };
        // The report going nowhere is no reason to leave a daemon behind.
        drop(self.0.send(step).await);
    }
}

//! The tools as data: what each is called, takes and answers. Nothing is done here, and
//! who may call what is not known here.

mod answer;
mod arguments;
mod field;
mod output;
mod pattern;
mod request;
mod row;
mod tool;

use serde_json::{Value, json};

pub use answer::{
    Answer, Cancelled, EnhancedSent, Inbox, Listed, Output, Progress, ProgressCounts, Reported,
    Restarted, Sent, Spawned, Subscribed, Terminated, Unsubscribed, Waited,
};
pub use arguments::BadArguments;
pub use pattern::{BadPattern, Pattern};
pub use request::{
    Cancel, EnhancedRead, EnhancedSend, List, NewWork, Read, ReportResult, Request, Send, Spawn,
    Subscribe, Terminate, Wait, WaitFor,
};
pub(crate) use row::moment;
pub use row::{InboxMessage, InstanceRow, TaskRow};
pub use tool::{Annotations, Tool};

/// A tool as `tools/list` shows it.
pub fn definition(tool: Tool) -> Value {
    let Annotations {
        read_only,
        destructive,
        idempotent,
        open_world,
    } = tool.annotations();
    json!({
        "name": tool.name(),
        "title": tool.title(),
        "description": tool.description(),
        "inputSchema": field::schema(field::of(tool)),
        "outputSchema": output::schema(tool),
        "annotations": {
            "title": tool.title(),
            "readOnlyHint": read_only,
            "destructiveHint": destructive,
            "idempotentHint": idempotent,
            "openWorldHint": open_world,
        },
    })
}

#[cfg(test)]
mod tests;

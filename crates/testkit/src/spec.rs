//! What the published schemas of the protocol say about who may send what, and where a message can carry a question, an
//! answer or a subscription. Read from packages that `scripts/setup` installs, so that a new revision shows.

use crate::process::root;
use crate::real::{modules, node_program, require, tools};
use serde_json::Value;
use std::process::Command;

/// By revision: `requests`, `notifications`, `asks`, `places`, `answers`, `subscribes`. From the package `mcp`.
///
/// # Panics
/// When it is not installed, or is not what it was.
pub fn revisions() -> Value {
    require();
    let script = root().join("crates/testkit/spec/schema.py");
    let mut python = Command::new(tools().join("python/bin/python"));
    said(python.arg(script))
}

/// The same of the tasks extension. From the package `@modelcontextprotocol/ext-tasks`.
///
/// # Panics
/// When it is not installed, or is not what it was.
pub fn tasks() -> Value {
    require();
    let script = root().join("crates/testkit/spec/tasks.mjs");
    let package = modules("npm-servers").join("@modelcontextprotocol/ext-tasks");
    said(Command::new(node_program()).arg(script).arg(package))
}

fn said(command: &mut Command) -> Value {
    let output = command
        .output()
        .expect("a program that `scripts/setup` installs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "the schema cannot be read ({}); `scripts/setup` installs what is needed: {errors}",
        output.status
    );
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}

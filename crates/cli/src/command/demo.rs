//! `provost demo`.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use provost_demo::{FileServer, Setting, Step, StepKind};
use tokio::sync::mpsc;

use crate::context::{Context, program_name};
use crate::environment::Environment;
use crate::failure::{Failure, Outcome};
use crate::programs;
use crate::runtime::block_on;
use crate::terminal::{escape, style};

/// How long a reader gets for a line.
const LINE: Duration = Duration::from_millis(170);
const CHAPTER: Duration = Duration::from_millis(500);

/// The file server from npm: its package, its main file in it, and the program a global install makes.
const PACKAGE: &str = "@modelcontextprotocol/server-filesystem";
const MAIN: &str = "dist/index.js";
const PROGRAM: &str = "mcp-server-filesystem";

/// Show Provost at work, in a scratch directory
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  provost demo
  provost demo --fast

It starts a daemon on a scratch directory, puts policies in front of an MCP
server, and calls it with a real MCP client. Nothing of yours is touched.

The server is @modelcontextprotocol/server-filesystem where npm or npx has
installed it, otherwise a small one that Provost brings along. Nothing is
downloaded.")]
pub(crate) struct Demo {
    /// Do not pause between the steps
    #[arg(long)]
    fast: bool,
    /// A folder with `node_modules`, for the file server from npm [default: found where there is one]
    #[arg(long, value_name = "DIR")]
    npm: Option<PathBuf>,
}

// === impl Demo ===

impl Demo {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let server = match &self.npm {
            Some(folder) => Some(installed(context, folder)?),
            None => found(context),
        };
        let program = std::env::current_exe()
            .map_err(|error| Failure::internal("this program cannot be found").because(error))?;
        let setting = Setting {
            program,
            environment: Environment::base_for_children(),
            temporary: std::env::temp_dir(),
            server,
        };
        let json = context.output.is_json();
        let paced = !self.fast && !json && std::io::stdout().is_terminal();
        let (sender, mut receiver) = mpsc::channel(1);
        let shown = async {
            let mut steps = Vec::new();
            while let Some(step) = receiver.recv().await {
                if !json {
                    print(&step);
                }
                if paced {
                    tokio::time::sleep(pause(step.kind)).await;
                }
                steps.push(step);
            }
            steps
        };
        let mut steps = block_on(async {
            let (done, steps) = tokio::join!(provost_demo::run(setting, sender), shown);
            done.map(|()| steps)
        })?;
        let closing = closing(&program_name(context));
        if !json {
            closing.iter().for_each(print);
            return Ok(());
        }
        steps.extend(closing);
        context.output.show(&steps, |_| Ok(()))
    }
}

/// The server in a folder that somebody named.
fn installed(context: &Context, folder: &Path) -> Outcome<FileServer> {
    let install = format!("`npm install --prefix {} {PACKAGE}`", folder.display());
    let file = in_folder(folder).ok_or_else(|| {
        Failure::not_found(format!("there is no `{PACKAGE}` in `{}`", folder.display()))
            .because(match folder.is_dir() {
                true => "it has no `node_modules` with that package",
                false => "there is no such folder",
            })
            .hint(format!("{install} puts it there"))
    })?;
    on_node(context, folder, &file).ok_or_else(|| {
        Failure::not_found("there is no program `node`")
            .because("the server from npm runs on it")
            .hint("without `--npm`, the demonstration has a server of its own")
    })
}

/// The server where npm, npx, a global install or this project's `make` has put it.
fn found(context: &Context) -> Option<FileServer> {
    let here = std::env::current_dir().unwrap_or_default();
    let search = context.environment.path.as_deref();
    if let Some(program) = programs::find(PROGRAM, &here, search) {
        return Some(FileServer {
            command: vec![program.display().to_string()],
            called: PROGRAM.to_owned(),
        });
    }
    let run_once = context.environment.home.iter().flat_map(|home| {
        let cached = std::fs::read_dir(home.join(".npm/_npx"));
        cached
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
    });
    let above = here.ancestors().map(Path::to_owned);
    let mut folders = above.chain([here.join(".tools/npm")]).chain(run_once);
    folders.find_map(|folder| on_node(context, &folder, &in_folder(&folder)?))
}

fn in_folder(folder: &Path) -> Option<PathBuf> {
    let file = folder.join("node_modules").join(PACKAGE).join(MAIN);
    std::path::absolute(file).ok().filter(|file| file.is_file())
}

/// A file that Node runs. A Node of its own lies beside the servers when the system's was too old for
/// them.
fn on_node(context: &Context, folder: &Path, file: &Path) -> Option<FileServer> {
    let own = folder
        .with_file_name("node")
        .join("node_modules/node/bin/node");
    let own = std::path::absolute(own).ok().filter(|node| node.is_file());
    let search = context.environment.path.as_deref();
    let node = own.or_else(|| programs::find("node", Path::new("/"), search))?;
    Some(FileServer {
        command: vec![node.display().to_string(), file.display().to_string()],
        called: "node server-filesystem".to_owned(),
    })
}

fn pause(kind: StepKind) -> Duration {
    match kind {
        StepKind::Chapter => CHAPTER,
        StepKind::Text => Duration::ZERO,
        StepKind::Command
        | StepKind::Remark
        | StepKind::Allowed
        | StepKind::Refused
        | StepKind::Listed
        | StepKind::Killed
        | StepKind::Started => LINE,
    }
}

fn print(step: &Step) {
    let (strong, faint, reset) = (style::STRONG, style::FAINT, anstyle::Reset);
    let (what, detail) = (escape(&step.what), escape(&step.detail));
    let event = |colour: anstyle::Style, word: &str| match step.detail.is_empty() {
        true => format!("    {colour}{word:<8}{reset} {what}"),
        false => format!("    {colour}{word:<8}{reset} {what:<40} {faint}{detail}{reset}"),
    };
    let line = match step.kind {
        StepKind::Chapter => format!("\n{strong}{what}{reset}"),
        StepKind::Command => format!("  {faint}${reset} provost {what}"),
        StepKind::Remark => format!("    {faint}{what}{reset}"),
        StepKind::Allowed => event(style::GOOD, "allowed"),
        StepKind::Refused => event(style::ERROR, "refused"),
        StepKind::Listed => event(style::WARNING, "listed"),
        StepKind::Killed => event(style::WARNING, "killed"),
        StepKind::Started => event(style::WARNING, "started"),
        StepKind::Text => format!("  {what}"),
    };
    // The report going nowhere is no reason to leave a daemon behind.
    drop(writeln!(
        anstream::stdout().lock(),
        "{}",
        line.trim_end_matches(' ')
    ));
}

/// What to type next. The program is named so that it can be pasted.
fn closing(program: &str) -> Vec<Step> {
    let server = format!("npx -y {PACKAGE} \"$PWD\"");
    let text = format!(
        "have a policy written for the tools of a server, and look through it:\n\n  \
         {program} policy init --output policy.json -- {server}\n\n\
         put it in front of the server:\n\n  \
         {program} run --policy policy.json -- {server}\n\n\
         in place of the command in your client's configuration, for Claude Code:\n\n  \
         claude mcp add files -- {program} run --policy \"$PWD/policy.json\" -- {server}\n"
    );
    let step = |kind, what: &str| Step {
        kind,
        what: what.to_owned(),
        detail: String::new(),
    };
    let lines = text.lines().map(|line| step(StepKind::Text, line));
    std::iter::once(step(StepKind::Chapter, "In front of your own server"))
        .chain(lines)
        .collect()
}

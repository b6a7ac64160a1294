//! `policy init`: a policy to begin with, from what a server lists.

use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use clap::Args;
use provost_admin::Upstream;
use provost_authoring::scaffold::{Described, Scaffold, scaffold};
use provost_store::{Actor, NewServer, Processes, Secret, Transport};

use super::written::Written;
use crate::admin::Admin;
use crate::command::server;
use crate::context::{Context, program_name};
use crate::daemon::{Engine, Signals};
use crate::environment::Environment;
use crate::failure::{Failure, Outcome};
use crate::locations::{self, Places};
use crate::programs;
use crate::runtime::block_on;
use crate::separator;
use crate::terminal::{counted, escape, style};
use crate::when;

/// Write a starting policy from a server's own tools
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// A registered server
    #[arg(long, value_name = "NAME", required_unless_present = "command")]
    server: Option<String>,
    /// Require arguments that look like paths to be inside this directory; may be repeated
    #[arg(long = "root", value_name = "DIR")]
    roots: Vec<PathBuf>,
    #[command(flatten)]
    written: Written,
    /// The command of a server that is not registered: it is started, asked, and ended
    #[arg(last = true, value_name = "CMD", conflicts_with = "server")]
    command: Vec<String>,
}

/// The name under which the command's server is known while it is asked.
const NAME: &str = "server";

/// `policy init`.
pub(super) fn init(context: &Context, init: Init) -> Outcome {
    init.written.check()?;
    let command: Vec<String> = init
        .command
        .iter()
        .map(|word| separator::quoted(&word.into()))
        .collect();
    let roots = init.roots.iter().map(|root| absolute(root));
    let roots = roots.collect::<Outcome<Vec<String>>>()?;
    for root in roots.iter().filter(|root| !Path::new(root).is_dir()) {
        let (colour, reset) = (style::WARNING, anstyle::Reset);
        context.output.remark(|out| {
            writeln!(
                out,
                "{colour}warning{reset}: there is no directory `{}`: until there is, the policy refuses all paths",
                escape(root)
            )
        });
    }
    let upstream = match &init.server {
        Some(name) => server::ask(context, name.clone())?,
        None => ask_command(context, init.command)?,
    };
    let called = format!("{} {}", upstream.name, upstream.version);
    if upstream.definitions.is_empty() {
        return Err(
            Failure::refused(format!("`{}` lists no tools", called.trim()))
                .because("a policy to begin with is made of a server's tools")
                .hint(
                    "`{ \"version\": \"1\", \"default\": \"deny\" }` refuses every call of a tool",
                ),
        );
    }
    let described = Described {
        server: called.trim(),
        capabilities: &upstream.capabilities,
        tools: &upstream.definitions,
    };
    let made = scaffold(&described, &roots).map_err(|problems| {
        let refused = Failure::usage("the policy cannot be written with these roots");
        problems
            .iter()
            .map(|problem| &problem.message)
            .fold(refused, Failure::because)
    })?;
    init.written.save(&made.policy_json)?;
    let output = context.output;
    output.remark(|out| summary(out, described.server, &made));
    if output.is_json() {
        let policy: serde_json::Value = serde_json::from_str(&made.policy_json).unwrap_or_default();
        let body = serde_json::json!({
            "policy": policy,
            "allowed": made.allowed,
            "limited": made.limited,
            "denied": made.denied,
            "left_out": made.left_out,
        });
        return output.show(&body, |_| Ok(()));
    }
    init.written.print(output, &made.policy_json)?;
    let Some(file) = init.written.file() else {
        return Ok(());
    };
    let program = program_name(context);
    // Whoever starts an entry of an `.mcp.json` does so in a directory of its own.
    let file = match &init.server {
        Some(_) => file.to_owned(),
        None => locations::absolute(file)?,
    };
    let file = escape(&file.display().to_string()).into_owned();
    output.remark(|out| match &init.server {
        Some(name) => writeln!(
            out,
            "next: read it, then `{program} policy put {} NAME {file}`",
            escape(name)
        ),
        None => writeln!(
            out,
            "next: read it, then start `{program} run --policy {file} -- {}` in place of the command",
            escape(&command.join(" "))
        ),
    });
    Ok(())
}

fn absolute(root: &Path) -> Outcome<String> {
    if root.starts_with("~") {
        return Err(Failure::usage(format!(
            "`{}` is not a directory that a policy can name",
            root.display()
        ))
        .because("`~` is not expanded, neither here nor in a policy")
        .hint("write the directory out, or without quotes, so that your shell does"));
    }
    let path = locations::absolute(root)?;
    path.into_os_string().into_string().map_err(|path| {
        Failure::usage(format!("`{}` is not UTF-8", path.display()))
            .because("a policy is text, and cannot name it")
    })
}

fn summary(out: &mut dyn Write, server: &str, made: &Scaffold) -> io::Result<()> {
    let all = made.allowed.len() + made.limited.len() + made.denied.len();
    let (strong, reset) = (style::STRONG, anstyle::Reset);
    writeln!(
        out,
        "{strong}{} of {}{reset}, by what the server says of them:",
        counted(all, "tool"),
        escape(server)
    )?;
    let groups = [
        ("only reads, allowed", &made.allowed),
        (
            "may change things, allowed 30 times a minute",
            &made.limited,
        ),
        (
            "may destroy things, refused until you have looked at it",
            &made.denied,
        ),
    ];
    for (what, tools) in groups {
        if !tools.is_empty() {
            writeln!(out, "  {what}: {}", escape(&tools.join(", ")))?;
        }
    }
    let (colour, reset) = (style::WARNING, anstyle::Reset);
    made.left_out
        .iter()
        .try_for_each(|why| writeln!(out, "{colour}left out{reset}: {}", escape(why)))
}

/// Starts the command of a server, asks it, and ends it. What that needs is in a directory of its own, which goes with
/// it.
fn ask_command(context: &Context, command: Vec<String>) -> Outcome<Upstream> {
    let directory = std::env::current_dir().map_err(|error| {
        Failure::unavailable("the current directory cannot be found out").because(error)
    })?;
    let program = command.first().cloned().unwrap_or_default();
    if programs::find(&program, &directory, context.environment.path.as_deref()).is_none() {
        return Err(
            Failure::not_found(format!("there is no program `{program}`"))
                .hint("nothing was started; is it installed, and in your PATH?"),
        );
    }
    let scratch = Scratch::new()?;
    let store = Admin::new(scratch.places()?).open(provost_admin::RequestKind::ServerAdd)?;
    let (environment, _) = Environment::for_child();
    let environment = environment.into_iter();
    let mut words = command.into_iter();
    let new = NewServer {
        name: NAME.to_owned(),
        transport: Transport::Stdio {
            command: words.next().unwrap_or_default(),
            args: words.collect(),
            cwd: Some(directory),
            processes: Processes::default(),
        },
        headers: Vec::new(),
        query: Vec::new(),
        env: environment
            .map(|(name, value)| (name, Secret::new(value)))
            .collect(),
        description: None,
    };
    store.add_server(&Actor::new("init"), new)?;
    let engine = Engine::of_this_command(store)?;
    let asked = block_on(async {
        // Whoever is impatient leaves nothing behind, either.
        let mut signals = Signals::listen()?;
        let asked = tokio::select! {
            asked = engine.test_server(NAME) => asked,
            _ = signals.next() => Err(Failure::unavailable("the server was not waited for")),
        };
        engine.stop().await;
        asked
    });
    asked.map_err(|failure| Failure {
        message: format!("`{program}` cannot be asked for its tools"),
        hint: Some("does it start without Provost, and is it an MCP server?".to_owned()),
        ..failure
    })
}

/// A directory that is gone when this is dropped.
struct Scratch(PathBuf);

// === impl Scratch ===

impl Scratch {
    fn new() -> Outcome<Self> {
        let fail = |error: io::Error| {
            Failure::unavailable("cannot create a temporary directory").because(error)
        };
        let temporary = std::fs::canonicalize(std::env::temp_dir()).map_err(fail)?;
        let name = format!("provost-init-{}-{}", std::process::id(), when::now());
        let path = temporary.join(name);
        let mut builder = std::fs::DirBuilder::new();
        builder.mode(0o700).create(&path).map_err(fail)?;
        Ok(Scratch(path))
    }

    fn places(&self) -> Outcome<Places> {
        let (data, config) = (self.0.join("data"), self.0.join("config"));
        Places::decide(&Environment::default(), Some(&data), Some(&config))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is private and belongs to nobody.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

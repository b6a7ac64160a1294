//! `provost server`.

mod place;

use std::io::{self, Write};

use clap::{Args, Subcommand};
use provost_admin::{
    Actor, GrantList, GrantState, Request, RequestKind, ServerAdd, ServerList, ServerRemove,
    ServerSet, ServerShow, ServerView, TestServer, ToolView, Transport, Upstream, WireSecret,
    furnish,
};
use provost_store::Processes;

use crate::context::Context;
use crate::daemon::Engine;
use crate::failure::{Failure, Outcome};
use crate::programs;
use crate::runtime::block_on;
use crate::secret_argument;
use crate::terminal::{Cell, Table, counted, escape, style};
use place::Place;

/// Register, change, test and remove MCP servers
#[derive(Debug, Subcommand)]
pub(crate) enum Server {
    /// Register a server
    #[command(after_help = "\
Examples:
  provost server add github --url https://api.githubcopilot.com/mcp/ \\
      --header Authorization=env:GITHUB_AUTH
  provost server add git -- uvx mcp-server-git
  provost server add db --env DATABASE_URL=@/etc/db-url -- uvx mcp-server-postgres

A child process starts with PATH, HOME, LANG and the like, and with what
`--env` names; nothing else.")]
    #[command(aliases = ["register", "create"])]
    Add(Add),
    /// Change a server; what is not named stays
    #[command(after_help = "\
Examples:
  provost server set github --header Authorization=@token.txt
  provost server set github --unset Authorization --url https://example.com/mcp
  provost server set files --processes grant")]
    #[command(aliases = ["update", "edit"])]
    Set(Set),
    /// List the servers
    #[command(alias = "ls")]
    List,
    /// Show a server; secrets by name only
    #[command(alias = "get")]
    Show(Name),
    /// Remove a server with its policies, and revoke its grants
    #[command(aliases = ["rm", "delete"])]
    Remove(Name),
    /// Connect to a server, initialise, list its tools and their arguments
    #[command(after_help = "\
Examples:
  provost server test files
  provost server test files --json

Arguments in brackets are optional. When the server does not work, the command
says what it saw: how the program ended and what it wrote last, why there was
no connection, or what it sent that is not MCP.")]
    Test(Name),
}

/// A server's name
#[derive(Debug, Args)]
pub(crate) struct Name {
    /// The server's name
    name: String,
}

/// Register a server
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// Its name: lower-case letters, digits and `-`
    name: String,
    #[command(flatten)]
    place: Place,
    /// A header for every request. The value is a secret and stays off the command line:
    /// `K=@file`, `K=-` (stdin) or `K=env:NAME`
    #[arg(long = "header", value_name = "K=SOURCE")]
    headers: Vec<String>,
    /// A secret part of the URL's query, given like `--header`; kept sealed and added when
    /// Provost connects
    #[arg(long = "query", value_name = "K=SOURCE")]
    query: Vec<String>,
    /// A variable of the child's environment, given like `--header`
    #[arg(long = "env", value_name = "K=SOURCE")]
    environment: Vec<String>,
    /// Register it even if its program cannot be found
    #[arg(long)]
    force: bool,
}

/// Change a server
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// The server's name
    name: String,
    #[command(flatten)]
    place: Place,
    /// A header to add or replace, given as for `server add`
    #[arg(long = "header", value_name = "K=SOURCE")]
    headers: Vec<String>,
    /// A secret part of the query to add or replace, given as for `server add`
    #[arg(long = "query", value_name = "K=SOURCE")]
    query: Vec<String>,
    /// A variable to add or replace, given as for `server add`
    #[arg(long = "env", value_name = "K=SOURCE")]
    environment: Vec<String>,
    /// A header, part of the query or variable to remove
    #[arg(long, value_name = "K")]
    unset: Vec<String>,
}

// === impl Server ===

impl Server {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        match self {
            Server::Add(add) => add.run(context),
            Server::Set(set) => set.run(context),
            Server::List => list(context),
            Server::Show(Name { name }) => show(context, ServerShow { name }),
            Server::Remove(Name { name }) => remove(context, name),
            Server::Test(Name { name }) => test(context, name),
        }
    }
}

// === impl Add, Set ===

impl Add {
    fn run(self, context: &Context) -> Outcome {
        let transport = self.place.transport(None)?.ok_or_else(|| {
            Failure::usage("the server's URL or command is missing")
                .hint("add `--url URL`, or `-- CMD ARGS…` for a child process")
        })?;
        let [headers, query, environment] =
            secrets([&self.headers, &self.query, &self.environment])?;
        if !self.force {
            check_program(context, &transport, &environment)?;
        }
        let name = self.name;
        let view = context.admin()?.ask(ServerAdd {
            name,
            transport,
            headers,
            query,
            environment,
        })?;
        warn(context, &view);
        context.output.show(&view, |out| {
            let name = escape(&view.name);
            writeln!(out, "server `{name}` registered")?;
            writeln!(
                out,
                "next: `provost server test {name}`, then `provost policy put {name} NAME FILE`"
            )
        })
    }
}

impl Set {
    fn run(self, context: &Context) -> Outcome {
        let [headers, query, environment] =
            secrets([&self.headers, &self.query, &self.environment])?;
        let known = self.place.known(context, &self.name)?;
        let request = ServerSet {
            name: self.name,
            transport: self.place.transport(known)?,
            headers,
            query,
            environment,
            unset: self.unset,
        };
        show(context, request)
    }
}

/// Refuses a server whose program is not there: a mistyped command is found here, not by an agent.
fn check_program(context: &Context, transport: &Transport, environment: &Pairs) -> Outcome {
    // A PATH of its own says where its program is.
    let own = environment.iter().find(|(name, _)| name == "PATH");
    let own = own.map(|(_, path)| std::ffi::OsStr::new(path.0.expose()));
    let search = own.or(context.environment.path.as_deref());
    let Some(program) = programs::missing(transport, search) else {
        return Ok(());
    };
    let place = if program.contains('/') {
        "no such file can be executed"
    } else {
        "it is in no directory of PATH"
    };
    Err(
        Failure::not_found(format!("there is no program `{program}`"))
            .because(place)
            .hint("is it installed? `--force` registers the server anyway"),
    )
}

/// Names of tools wider than this push their arguments aside.
const WIDEST_NAME: usize = 32;

type Pairs = Vec<(String, WireSecret)>;

/// Reads the values of all kinds at once: stdin can be named once.
fn secrets<const N: usize>(kinds: [&[String]; N]) -> Outcome<[Pairs; N]> {
    let mut read = secret_argument::read_all(&kinds.concat())?
        .into_iter()
        .map(|(key, value)| (key, WireSecret(value)));
    Ok(kinds.map(|kind| read.by_ref().take(kind.len()).collect()))
}

/// Points out on stderr what deserves a look; scripts find it in the answer.
fn warn(context: &Context, view: &ServerView) {
    if let Some(warning) = &view.warning {
        let (colour, reset) = (style::WARNING, anstyle::Reset);
        context
            .output
            .remark(|out| writeln!(out, "{colour}warning{reset}: {}", escape(warning)));
    }
}

fn show(context: &Context, request: impl Request<Answer = ServerView>) -> Outcome {
    let view = context.admin()?.ask(request)?;
    warn(context, &view);
    context.output.show(&view, |out| print(out, &view))
}

fn remove(context: &Context, name: String) -> Outcome {
    let admin = context.admin()?;
    // Afterwards nobody could name them. That there is no such server is said below.
    let grants = admin.list(GrantList {
        server: Some(name.clone()),
        ..GrantList::default()
    });
    let ended: Vec<_> = grants
        .into_iter()
        .flatten()
        .filter(|grant| grant.state == GrantState::Active)
        .map(|grant| grant.label)
        .collect();
    let view = admin.ask(ServerRemove { name })?;
    let named = |names: &[String]| match names {
        [] => String::new(),
        names => format!(": {}", names.join(", ")),
    };
    context.output.show(&view, |out| {
        writeln!(
            out,
            "server `{}` removed, {} revoked{}",
            escape(&view.name),
            counted(view.grants, "grant"),
            escape(&named(&ended))
        )?;
        if view.policies.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            "{} deleted{} (their texts are only in backups now)",
            counted(view.policies.len(), "policy"),
            escape(&named(&view.policies))
        )
    })
}

fn list(context: &Context) -> Outcome {
    let servers = context.admin()?.list(ServerList::default())?;
    context.output.show(&servers, |out| {
        if servers.is_empty() {
            return writeln!(out, "no servers; `provost server add` registers one");
        }
        let mut table = Table::new(&["NAME", "KIND", "POLICIES", "GRANTS", "WHERE"]);
        for server in &servers {
            let (kind, place) = place(server);
            table.row(vec![
                Cell::styled(&server.name, style::STRONG),
                Cell::plain(kind),
                Cell::plain(server.policies.len().to_string()),
                Cell::plain(server.grants.to_string()),
                Cell::plain(place),
            ]);
        }
        table.print(out)
    })
}

fn place(server: &ServerView) -> (&'static str, String) {
    match &server.transport {
        None => ("unreadable", server.unreadable.join("; ")),
        Some(Transport::Http { url }) => ("http", url.clone()),
        Some(Transport::Stdio {
            command, processes, ..
        }) => (
            match processes {
                Processes::Session => "stdio",
                Processes::Grant => "stdio, one per grant",
                Processes::Shared => "stdio, shared",
            },
            command.join(" "),
        ),
        Some(Transport::Builtin) => ("built in", String::new()),
    }
}

fn print(out: &mut dyn Write, view: &ServerView) -> io::Result<()> {
    let (kind, place) = place(view);
    let mut line = |name: &str, value: &str| {
        writeln!(
            out,
            "{}{name:<11}{} {}",
            style::FAINT,
            anstyle::Reset,
            escape(value)
        )
    };
    line("name", &view.name)?;
    line("id", &view.id)?;
    if let Some(description) = &view.description {
        line("description", description)?;
    }
    line("kind", kind)?;
    line("where", &place)?;
    if let Some(Transport::Stdio {
        directory: Some(directory),
        ..
    }) = &view.transport
    {
        line("directory", &directory.display().to_string())?;
    }
    for header in &view.headers {
        line("header", &format!("{header} (value sealed)"))?;
    }
    for part in &view.query {
        line("query", &format!("{part} (value sealed)"))?;
    }
    for variable in &view.environment {
        line("env", &format!("{variable} (value sealed)"))?;
    }
    line(
        "policies",
        &if view.policies.is_empty() {
            "none".to_owned()
        } else {
            view.policies.join(", ")
        },
    )?;
    line("grants", &view.grants.to_string())?;
    view.unreadable
        .iter()
        .try_for_each(|what| line("unusable", what))
}

/// Asks a registered server what it offers: it is started or reached by the daemon,
/// or by this process when none runs.
pub(super) fn ask(context: &Context, name: String) -> Outcome<Upstream> {
    let admin = context.admin()?;
    if admin.daemon_runs()? {
        return admin.ask(TestServer { name });
    }
    let store = admin.open(RequestKind::TestServer)?;
    furnish(&store, &name, &Actor::local())?;
    let engine = Engine::of_this_command(store)?;
    block_on(async {
        let report = engine.test_server(&name).await;
        engine.stop().await;
        report
    })
}

fn test(context: &Context, name: String) -> Outcome {
    let mut report = ask(context, name)?;
    report.capabilities.clear();
    report.definitions.clear();
    context.output.show(&report, |out| {
        let (good, reset) = (style::GOOD, anstyle::Reset);
        let (name, version) = (escape(&report.name), escape(&report.version));
        writeln!(
            out,
            "{good}ok{reset}: {name} {version}, protocol {}",
            escape(&report.protocols.join(", "))
        )?;
        writeln!(
            out,
            "open after {} ms, {} listed in {} ms",
            report.opened_ms,
            counted(report.tools.len(), "tool"),
            report.listed_ms
        )?;
        let names = report.tools.iter().map(|tool| tool.name.chars().count());
        let width = names.max().unwrap_or_default().min(WIDEST_NAME);
        report
            .tools
            .iter()
            .try_for_each(|tool| tool_line(out, tool, width))
    })
}

/// A tool and its arguments, those in brackets that can be left out.
fn tool_line(out: &mut dyn Write, tool: &ToolView, width: usize) -> io::Result<()> {
    let arguments = tool
        .arguments
        .iter()
        .map(|argument| match argument.required {
            true => argument.name.clone(),
            false => format!("[{}]", argument.name),
        });
    let arguments = arguments.collect::<Vec<_>>().join(", ");
    let line = format!("  {:<width$}  {}", escape(&tool.name), escape(&arguments));
    writeln!(out, "{}", line.trim_end())
}

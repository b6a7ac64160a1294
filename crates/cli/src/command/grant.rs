//! `provost grant`.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use provost_admin::{
    FailureKind, GrantList, GrantMint, GrantName, GrantReveal, GrantRevoke, GrantRotate,
    GrantState, GrantView, Listener, Micros, Minted, PolicyPut, PolicyShow, Request, Shadow,
    Status,
};
use provost_gateway::NATIVE;

use crate::context::Context;
use crate::daemon::config;
use crate::failure::Outcome;
use crate::terminal::{Cell, Table, escape, style};
use crate::when;

/// The draft of a grant that observes without a policy.
const OBSERVE_ALL: &str = "observe-all";

/// Mint, list and revoke grants: the tokens of agents
#[derive(Debug, Subcommand)]
pub(crate) enum Grant {
    /// Mint a grant and print its token
    #[command(after_help = "\
Examples:
  provost grant mint files --label alice-laptop --policy readonly
  provost grant mint files --label ci --policy ci --expires 30d
  provost grant mint files --label trial --policy readonly --observe
  provost grant mint files --label watch --observe

A grant without a policy denies every call until one is attached. With
`--observe` every call passes, and the policy is only judged and recorded.")]
    #[command(aliases = ["create", "new", "add"])]
    Mint(Mint),
    /// List the grants
    #[command(alias = "ls")]
    List(List),
    /// Give a grant a new token; the old one ends at once
    Rotate(Name),
    /// Print a grant's token again; this is recorded
    Reveal(Name),
    /// End a grant at once, and the grants minted below it
    #[command(aliases = ["rm", "remove", "delete"])]
    Revoke(Name),
}

/// Mint a grant
#[derive(Debug, Args)]
pub(crate) struct Mint {
    /// The server it opens
    server: String,
    /// Who or what will use it
    #[arg(long)]
    label: String,
    /// The policy that is enforced
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// Enforce nothing: let every call pass, judge and record it; without `--policy` by the draft
    /// `observe-all`, which allows everything
    #[arg(long)]
    observe: bool,
    /// How long it is valid, such as `30d` [default: until it is revoked]
    #[arg(long, value_name = "LENGTH", value_parser = when::parse_lifetime)]
    expires: Option<Micros>,
}

/// List the grants
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those of this server
    server: Option<String>,
    /// The same, as other commands have it
    #[arg(
        long = "server",
        value_name = "NAME",
        hide = true,
        conflicts_with = "server"
    )]
    on: Option<String>,
    /// Revoked and expired ones too
    #[arg(long)]
    all: bool,
}

/// A grant
#[derive(Debug, Args)]
pub(crate) struct Name {
    /// Its label or id
    #[arg(value_name = "GRANT")]
    name: String,
    /// Its server, when several servers have a grant of that label
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
}

// === impl Grant ===

impl Grant {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        match self {
            Grant::Mint(mint) => mint.run(context),
            Grant::List(list) => list.run(context),
            Grant::Rotate(name) => show_token(context, GrantRotate { grant: name.into() }),
            Grant::Reveal(name) => reveal(context, name),
            Grant::Revoke(name) => revoke(context, name),
        }
    }
}

// === impl Name ===

impl From<Name> for GrantName {
    fn from(name: Name) -> Self {
        GrantName {
            name: name.name,
            server: name.server,
        }
    }
}

// === impl Mint ===

impl Mint {
    fn run(self, context: &Context) -> Outcome {
        let shadow = if self.observe {
            Shadow::Draft
        } else {
            Shadow::Enforced
        };
        let policy = match self.policy {
            None if self.observe => Some(observe_all(context, &self.server)?),
            policy => policy,
        };
        show_token(
            context,
            GrantMint {
                server: self.server,
                label: self.label,
                policy,
                shadow,
                lifetime: self.expires,
            },
        )
    }
}

/// The draft of somebody who has no policy yet; one of that name that is there already stays.
fn observe_all(context: &Context, server: &str) -> Outcome<String> {
    let admin = context.admin()?;
    let name = OBSERVE_ALL.to_owned();
    let found = admin.ask(PolicyShow {
        server: server.to_owned(),
        name: name.clone(),
        version: None,
    });
    match found {
        Ok(_) => Ok(name),
        Err(failure) if failure.kind == FailureKind::NotFound => {
            admin.ask(PolicyPut {
                server: server.to_owned(),
                name: name.clone(),
                text: "{ \"version\": \"1\", \"default\": \"allow\" }\n".to_owned(),
                description: Some("allows everything: for grants that only observe".to_owned()),
            })?;
            Ok(name)
        }
        Err(failure) => Err(failure),
    }
}

// === impl List ===

impl List {
    fn run(self, context: &Context) -> Outcome {
        let mut grants = context.admin()?.list(GrantList {
            server: self.server.or(self.on),
            ..GrantList::default()
        })?;
        if !self.all {
            grants.retain(|grant| grant.state == GrantState::Active);
        }
        context.output.show(&grants, |out| {
            if grants.is_empty() {
                return writeln!(out, "no grants; `provost grant mint` creates one");
            }
            table(out, &grants)
        })?;
        context.output.remark(|out| warnings(out, &grants));
        Ok(())
    }
}

fn table(out: &mut dyn Write, grants: &[GrantView]) -> io::Result<()> {
    let mut table = Table::new(&[
        "LABEL", "SERVER", "POLICY", "DRAFT", "STATE", "EXPIRES", "ID",
    ]);
    for grant in grants {
        let state = match (grant.state, &grant.warning) {
            (GrantState::Active, Some(_)) if grant.shadow.is_some() => {
                Cell::styled("observe only", style::WARNING)
            }
            (GrantState::Active, Some(_)) => Cell::styled("no policy", style::WARNING),
            (GrantState::Active, None) => Cell::styled("active", style::GOOD),
            (GrantState::Expired, _) => Cell::styled("expired", style::FAINT),
            (GrantState::Revoked, _) => Cell::styled("revoked", style::FAINT),
        };
        table.row(vec![
            Cell::styled(&grant.label, style::STRONG),
            Cell::plain(&grant.server),
            Cell::plain(grant.policy.as_deref().unwrap_or("-")),
            Cell::plain(grant.shadow.as_deref().unwrap_or("-")),
            state,
            Cell::plain(
                grant
                    .expires
                    .map_or_else(|| "never".to_owned(), when::show_minute),
            ),
            Cell::styled(&grant.id, style::FAINT),
        ]);
    }
    table.print(out)
}

fn warnings(out: &mut dyn Write, grants: &[GrantView]) -> io::Result<()> {
    for grant in grants {
        if let Some(warning) = &grant.warning {
            let (colour, reset) = (style::WARNING, anstyle::Reset);
            writeln!(
                out,
                "{colour}warning{reset}: grant `{}` on `{}`: {}",
                escape(&grant.label),
                escape(&grant.server),
                escape(warning)
            )?;
        }
    }
    Ok(())
}

fn reveal(context: &Context, name: Name) -> Outcome {
    let minted = context.admin()?.ask(GrantReveal { grant: name.into() })?;
    let body = serde_json::json!({ "token": minted.token, "grant": minted.grant });
    context
        .output
        .show(&body, |out| writeln!(out, "{}", minted.token.0.expose()))
}

fn revoke(context: &Context, name: Name) -> Outcome {
    let grants = context.admin()?.ask(GrantRevoke { grant: name.into() })?;
    context.output.show(&grants, |out| {
        grants.iter().try_for_each(|grant| {
            writeln!(
                out,
                "grant `{}` on `{}` revoked",
                escape(&grant.label),
                escape(&grant.server)
            )
        })
    })
}

/// Prints a token, once, with what a client needs beside it.
fn show_token(context: &Context, request: impl Request<Answer = Minted>) -> Outcome {
    let admin = context.admin()?;
    // Before the change: afterwards nothing may come between the token and its only printing.
    let base = endpoint(&admin);
    let minted = admin.ask(request)?;
    let url = format!("{base}/mcp/{}", minted.grant.server);
    let body = serde_json::json!({ "token": minted.token, "url": url, "grant": minted.grant });
    context.output.show(&body, |out| print(out, &minted, &url))
}

/// Where agents are served: the address of the running daemon, otherwise where it will be: as the
/// variables say, or else as the one before.
fn endpoint(admin: &crate::admin::Admin) -> String {
    // A daemon that cannot say it, or none, is no reason not to mint.
    let running = match admin.daemon_runs() {
        Ok(true) => admin.ask(Status {}).ok(),
        Ok(false) | Err(_) => None,
    };
    let variable = config::variable("PROVOST_LISTEN");
    let last = || match variable {
        Ok(None) => admin.places().last_address(),
        Ok(Some(_)) | Err(_) => None,
    };
    running
        .and_then(|status| status.listen)
        .or_else(last)
        .unwrap_or_else(|| {
            let listen =
                config::File::default().listen(&config::Flags::default(), &config::variable);
            listen
                .map(|listener: Listener| listener.url(listener.address))
                .unwrap_or_else(|_| format!("http://{}", config::DEFAULT_LISTEN))
        })
}

fn print(out: &mut dyn Write, minted: &Minted, url: &str) -> io::Result<()> {
    let (strong, faint, reset) = (style::STRONG, style::FAINT, anstyle::Reset);
    let grant = &minted.grant;
    let (token, server) = (minted.token.0.expose(), escape(&grant.server));
    writeln!(out, "grant `{}` on `{server}`", escape(&grant.label))?;
    writeln!(out, "{faint}token{reset}    {strong}{token}{reset}")?;
    writeln!(out, "{faint}url{reset}      {}", escape(url))?;
    writeln!(
        out,
        "{faint}policy{reset}   {}",
        escape(grant.policy.as_deref().unwrap_or("none"))
    )?;
    if let Some(shadow) = &grant.shadow {
        writeln!(out, "{faint}draft{reset}    {}", escape(shadow))?;
    }
    if let Some(expires) = grant.expires {
        writeln!(out, "{faint}expires{reset}  {}", when::show_local(expires))?;
    }
    warnings(out, std::slice::from_ref(grant))?;
    writeln!(
        out,
        "\nKeep the token in the variable PROVOST_GRANT or in a file of mode 600, not on a command line;\n\
         `provost grant reveal` prints it again, and that is recorded.\n"
    )?;
    if grant.server == NATIVE {
        writeln!(
            out,
            "For Claude Code, in `.claude/settings.json`, with the file:\n"
        )?;
        return indented(out, &super::hook::settings());
    }
    writeln!(out, "For Claude Code, in `.mcp.json`, with the variable:\n")?;
    let snippet = serde_json::json!({ "mcpServers": { grant.server.as_str(): {
        "type": "http", "url": url, "headers": { "Authorization": "Bearer ${PROVOST_GRANT}" },
    }}});
    indented(out, &snippet)?;
    writeln!(out, "\nor over stdio, with the file:\n")?;
    writeln!(
        out,
        "  claude mcp add {server} -- provost connect {server} --grant-file FILE"
    )
}

fn indented(out: &mut dyn Write, snippet: &serde_json::Value) -> io::Result<()> {
    let snippet = serde_json::to_string_pretty(snippet).unwrap_or_default();
    snippet
        .lines()
        .try_for_each(|line| writeln!(out, "  {}", escape(line)))
}

//! Policies in the store.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use provost_admin::{
    GrantName, GrantView, Observe, Paging, PolicyAttach, PolicyDelete, PolicyDetach, PolicyHistory,
    PolicyList, PolicyPut, PolicyRollback, PolicyShow, PolicyView, Request, Shadow,
};

use crate::context::Context;
use crate::diagnostics;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Cell, Table, counted, escape, style};
use crate::text_file::{read_file, shown};
use crate::when;

/// A policy in the store
#[derive(Debug, Args)]
pub(crate) struct Name {
    /// The server's name
    server: String,
    /// The policy's name
    name: String,
}

/// A version of a policy in the store
#[derive(Debug, Args)]
pub(crate) struct Version {
    /// The server's name
    server: String,
    /// The policy's name
    name: String,
    /// Which version [default: the current one; for a rollback the one before it]
    #[arg(id = "number", value_name = "VERSION", value_parser = clap::value_parser!(u32).range(1..))]
    version: Option<u32>,
}

/// Store a policy
#[derive(Debug, Args)]
pub(crate) struct Put {
    /// The server's name
    server: String,
    /// The policy's name
    name: String,
    /// The file, or `-` for stdin
    file: PathBuf,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

/// List the policies
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those of this server
    server: Option<String>,
}

/// Give a grant a policy
#[derive(Debug, Args)]
pub(crate) struct Attach {
    /// The grant, by label or id
    grant: String,
    /// The policy's name
    policy: String,
    /// As a draft: judged and recorded, never enforced
    #[arg(long)]
    shadow: bool,
    /// Allow that nothing is enforced any more, so that every call passes
    #[arg(long, requires = "shadow")]
    observe: bool,
    /// The grant's server, when several servers have a grant of that label
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
}

/// Take a grant's policy away
#[derive(Debug, Args)]
pub(crate) struct Detach {
    /// The grant, by label or id
    grant: String,
    /// The draft instead of the enforced policy
    #[arg(long)]
    shadow: bool,
    /// Allow that nothing is enforced any more, so that every call passes
    #[arg(long, conflicts_with = "shadow")]
    observe: bool,
    /// The grant's server, when several servers have a grant of that label
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
}

pub(super) fn put(context: &Context, put: Put) -> Outcome {
    let text = read_file(&put.file)?;
    let file = shown(&put.file);
    // The store checks too; here the places can be shown in the file.
    match provost_authoring::parse(&text) {
        Ok(policy) => {
            let warnings = provost_authoring::warnings(&policy, None);
            context
                .output
                .remark(|out| diagnostics::print(out, &file, &text, &warnings));
        }
        Err(problems) if context.output.is_json() => {
            let refused = Failure::refused(format!("policy file `{file}` was refused"));
            return Err(problems.iter().fold(refused, Failure::because));
        }
        Err(problems) => {
            context
                .output
                .remark(|out| diagnostics::print(out, &file, &text, &problems));
            return Err(
                Failure::refused(format!("policy file `{file}` was refused"))
                    .because(counted(problems.len(), "error")),
            );
        }
    }
    let view = context.admin()?.ask(PolicyPut {
        server: put.server,
        name: put.name,
        text,
        description: put.description,
    })?;
    context.output.show(&view, |out| changed(out, &view))
}

pub(super) fn list(context: &Context, list: List) -> Outcome {
    let policies = context.admin()?.list(PolicyList {
        server: list.server,
        ..PolicyList::default()
    })?;
    context.output.show(&policies, |out| {
        if policies.is_empty() {
            return writeln!(
                out,
                "no policies; `provost policy init` writes one, `provost policy put` stores it"
            );
        }
        let mut table = Table::new(&[
            "SERVER",
            "NAME",
            "VERSION",
            "ENFORCED ON",
            "DRAFT ON",
            "DESCRIPTION",
        ]);
        for policy in &policies {
            table.row(vec![
                Cell::plain(&policy.server),
                Cell::styled(&policy.name, style::STRONG),
                Cell::plain(policy.version.to_string()),
                Cell::plain(or_dash(&policy.enforced_on)),
                Cell::plain(or_dash(&policy.draft_on)),
                Cell::plain(policy.description.as_deref().unwrap_or("")),
            ]);
        }
        table.print(out)
    })
}

pub(super) fn show(context: &Context, version: Version) -> Outcome {
    let view = context.admin()?.ask(PolicyShow {
        server: version.server,
        name: version.name,
        version: version.version,
    })?;
    context.output.show(&view, |out| {
        let text = view.text.as_deref().unwrap_or_default();
        writeln!(out, "{}", crate::terminal::escape_block(text.trim_end()))
    })
}

pub(super) fn history(context: &Context, name: Name) -> Outcome {
    let versions = context.admin()?.list(PolicyHistory {
        server: name.server,
        name: name.name,
        page: Paging::default(),
    })?;
    context.output.show(&versions, |out| {
        let mut table = Table::new(&["VERSION", "PUT", "BY", "BYTES", ""]);
        for version in &versions {
            table.row(vec![
                Cell::styled(version.version.to_string(), style::STRONG),
                Cell::plain(when::show_local(version.at)),
                Cell::plain(&version.by),
                Cell::plain(version.bytes.to_string()),
                Cell::styled(if version.current { "current" } else { "" }, style::GOOD),
            ]);
        }
        table.print(out)
    })
}

pub(super) fn roll_back(context: &Context, version: Version) -> Outcome {
    let view = context.admin()?.ask(PolicyRollback {
        server: version.server,
        name: version.name,
        version: version.version,
    })?;
    context.output.show(&view, |out| changed(out, &view))
}

pub(super) fn delete(context: &Context, name: Name) -> Outcome {
    let shown = format!(
        "policy `{}` on `{}` deleted",
        escape(&name.name),
        escape(&name.server)
    );
    let body = serde_json::json!({ "server": name.server, "name": name.name, "deleted": true });
    context.admin()?.ask(PolicyDelete {
        server: name.server,
        name: name.name,
    })?;
    context.output.show(&body, |out| writeln!(out, "{shown}"))
}

pub(super) fn attach(context: &Context, attach: Attach) -> Outcome {
    let grant = GrantName {
        name: attach.grant,
        server: attach.server,
    };
    let request = PolicyAttach {
        grant,
        policy: attach.policy,
        shadow: shadow(attach.shadow),
        observe: observe(attach.observe),
    };
    attached(context, request)
}

pub(super) fn detach(context: &Context, detach: Detach) -> Outcome {
    let grant = GrantName {
        name: detach.grant,
        server: detach.server,
    };
    attached(
        context,
        PolicyDetach {
            grant,
            shadow: shadow(detach.shadow),
            observe: observe(detach.observe),
        },
    )
}

fn attached(context: &Context, request: impl Request<Answer = GrantView>) -> Outcome {
    let grant = context.admin()?.ask(request)?;
    context.output.show(&grant, |out| {
        let (label, server) = (escape(&grant.label), escape(&grant.server));
        let policy = grant.policy.as_deref().unwrap_or("none");
        write!(
            out,
            "grant `{label}` on `{server}`: policy {}",
            escape(policy)
        )?;
        if let Some(draft) = &grant.shadow {
            write!(out, ", draft {}", escape(draft))?;
        }
        writeln!(out)?;
        match &grant.warning {
            Some(warning) => writeln!(
                out,
                "{}warning{}: {}",
                style::WARNING,
                anstyle::Reset,
                escape(warning)
            ),
            None => Ok(()),
        }
    })
}

fn changed(out: &mut dyn Write, view: &PolicyView) -> std::io::Result<()> {
    let (name, server) = (escape(&view.name), escape(&view.server));
    match view.changed {
        Some(false) => writeln!(
            out,
            "policy `{name}` on `{server}` is unchanged: version {}",
            view.version
        )?,
        _ => writeln!(
            out,
            "policy `{name}` on `{server}` is now version {}",
            view.version
        )?,
    }
    if view.enforced_on.is_empty() && view.draft_on.is_empty() {
        writeln!(
            out,
            "next: `provost grant mint {server} --label LABEL --policy {name}`, \
             or for an existing grant `provost policy attach GRANT {name} --server {server}`"
        )?;
    } else if !view.enforced_on.is_empty() {
        writeln!(out, "enforced on {}", escape(&view.enforced_on.join(", ")))?;
    }
    Ok(())
}

fn or_dash(labels: &[String]) -> String {
    if labels.is_empty() {
        "-".to_owned()
    } else {
        labels.join(", ")
    }
}

fn shadow(flag: bool) -> Shadow {
    if flag {
        Shadow::Draft
    } else {
        Shadow::Enforced
    }
}

fn observe(flag: bool) -> Observe {
    if flag {
        Observe::Wanted
    } else {
        Observe::Refused
    }
}

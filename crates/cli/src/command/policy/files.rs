//! Policies in files: no store and no daemon, unless a registered server is asked what it offers.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use provost_authoring::explain::Decision;
use provost_authoring::import::{self, NotImported, Unclear};
use provost_authoring::{Offer, cases, warnings};
use provost_policy::{Call, Caller, Diagnostic, Enforced, Policy, Severity, Text, json};
use serde::Serialize;

use super::written::Written;
use crate::command::server;
use crate::context::Context;
use crate::diagnostics;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Output, counted, escape, escape_block, style};
use crate::text_file::{read_file, shown};

/// Check policy files
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The files, `-` for stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A list of the tools that the server has, so that mistyped names are noticed
    #[arg(long, value_name = "FILE", conflicts_with = "server")]
    tools: Option<PathBuf>,
    /// Ask this registered server for its tools
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// Fail on warnings, too
    #[arg(long)]
    strict: bool,
}

/// Say what a policy decides
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The policy, `-` for stdin
    file: PathBuf,
    /// The tool that is called
    #[arg(long, required_unless_present = "method", conflicts_with = "method")]
    tool: Option<String>,
    /// The arguments of the call, a JSON object; `@FILE` reads them from a file
    #[arg(long, value_name = "JSON", requires = "tool")]
    args: Option<String>,
    /// A request other than a tool call, such as `resources/read`
    #[arg(long)]
    method: Option<String>,
}

/// Run cases against a policy
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// The policy
    file: PathBuf,
    /// The cases, in YAML
    cases: PathBuf,
}

/// Convert a policy of Intercept into one of Provost
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The YAML file, `-` for stdin
    file: PathBuf,
    #[command(flatten)]
    written: Written,
    /// Import what can be imported; calls that the rest is about are refused
    #[arg(long)]
    partial: bool,
}

/// What was found in one file.
#[derive(Debug, Serialize)]
struct Checked {
    file: String,
    ok: bool,
    findings: Vec<Diagnostic>,
}

/// `policy check`.
pub(super) fn check(context: &Context, check: &Check) -> Outcome {
    let output = context.output;
    let offer = match (&check.tools, &check.server) {
        (Some(file), _) => Some(read_offer(file)?),
        (None, Some(server)) => Some(ask_server(context, server)?),
        (None, None) => None,
    };
    let mut all = Vec::new();
    let mut texts = Vec::new();
    let mut unread: Option<Failure> = None;
    for path in &check.files {
        let text = match read_file(path) {
            Ok(text) => text,
            // The others are looked at all the same.
            Err(failure) => {
                unread = Some(match unread {
                    None => failure,
                    Some(first) => first.because(failure.message),
                });
                continue;
            }
        };
        let findings = match provost_authoring::parse(&text) {
            Ok(policy) => warnings(&policy, offer.as_ref()),
            Err(problems) => problems,
        };
        let fatal = |finding: &Diagnostic| check.strict || finding.severity == Severity::Error;
        all.push(Checked {
            file: shown(path),
            ok: !findings.iter().any(fatal),
            findings,
        });
        texts.push(text);
    }
    if let (Some(failure), []) = (&unread, all.as_slice()) {
        return Err(failure.clone());
    }
    output.show(&all, |out| {
        for (checked, text) in all.iter().zip(&texts) {
            diagnostics::print(out, &checked.file, text, &checked.findings)?;
            summary(out, checked)?;
        }
        Ok(())
    })?;
    match unread {
        Some(failure) => Err(failure),
        None if all.iter().all(|checked| checked.ok) => Ok(()),
        None => Err(Failure::reported()),
    }
}

fn summary(out: &mut dyn Write, checked: &Checked) -> std::io::Result<()> {
    let count = |severity| {
        checked
            .findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    };
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let (colour, word) = if checked.ok {
        (style::GOOD, "ok")
    } else {
        (style::ERROR, "refused")
    };
    write!(
        out,
        "{}: {colour}{word}{}",
        escape(&checked.file),
        anstyle::Reset
    )?;
    match (errors, warnings) {
        (0, 0) => writeln!(out),
        (0, warnings) => writeln!(out, ", {}", counted(warnings, "warning")),
        (errors, 0) => writeln!(out, ", {}", counted(errors, "error")),
        (errors, warnings) => writeln!(
            out,
            ", {}, {}",
            counted(errors, "error"),
            counted(warnings, "warning")
        ),
    }
}

/// What a server offers, from a file.
fn read_offer(path: &Path) -> Outcome<Offer> {
    let text = read_file(path)?;
    let refuse = || {
        Failure::refused(format!("file `{}` is not a list of tools", path.display()))
            .hint("what `tools/list` answers, or a JSON array of names")
    };
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| refuse().because(error))?;
    Offer::read(&value).ok_or_else(refuse)
}

/// What a registered server offers: it is started or reached, and asked.
fn ask_server(context: &Context, name: &str) -> Outcome<Offer> {
    let report = server::ask(context, name.to_owned())?;
    Offer::read(&report.definitions.into())
        .ok_or_else(|| Failure::internal("cannot read the server's list of tools"))
}

/// Reads and parses a policy, or reports all that is wrong with it.
fn parse(output: Output, path: &Path) -> Outcome<Policy> {
    let text = read_file(path)?;
    provost_authoring::parse(&text).map_err(|problems| {
        let refused = Failure::refused(format!("policy file `{}` was refused", shown(path)));
        if output.is_json() {
            return problems.iter().fold(refused, Failure::because);
        }
        output.remark(|out| diagnostics::print(out, &shown(path), &text, &problems));
        refused
    })
}

/// `policy schema`.
pub(super) fn schema(output: Output) -> Outcome {
    let schema = provost_authoring::schema();
    let text = serde_json::to_string_pretty(&schema)
        .map_err(|error| Failure::internal("cannot print the schema").because(error))?;
    output.write(|out| writeln!(out, "{text}"))
}

fn not_imported(file: &str, refused: &NotImported) -> Failure {
    let failure = Failure::refused(if refused.has_a_rest {
        format!("file `{file}` was not imported: it has places that cannot be imported")
    } else {
        format!("file `{file}` is not a policy of Intercept")
    });
    let failure = refused.problems.iter().fold(failure, Failure::because);
    if refused.has_a_rest {
        failure.hint("fix these places, or use `--partial`: it imports the rest and refuses every call that these places are about")
    } else {
        failure
    }
}

/// `policy import`.
pub(super) fn import(output: Output, command: &Import) -> Outcome {
    let text = read_file(&command.file)?;
    let file = shown(&command.file);
    let unclear = if command.partial {
        Unclear::Refuses
    } else {
        Unclear::Fails
    };
    let imported =
        import::intercept(&text, unclear).map_err(|refused| not_imported(&file, &refused))?;
    command.written.save(&imported.policy_json)?;
    output.remark(|out| {
        let dropped = imported.dropped.iter();
        let dropped = dropped.map(|note| (style::ERROR, "dropped", note));
        let notes = imported.notes.iter();
        let notes = notes.map(|note| (style::WARNING, "note", note));
        for (colour, word, note) in dropped.chain(notes) {
            let text = escape(&note.to_string()).into_owned();
            writeln!(out, "{colour}{word}{}: {text}", anstyle::Reset)?;
        }
        if !imported.dropped.is_empty() {
            let advice = "every call that a dropped place is about is refused, until you write that rule yourself";
            writeln!(out, "{advice}")?;
        }
        Ok(())
    });
    if output.is_json() {
        let policy: serde_json::Value =
            serde_json::from_str(&imported.policy_json).unwrap_or_default();
        return output.show(
            &serde_json::json!({ "policy": policy, "notes": imported.notes, "dropped": imported.dropped }),
            |_| Ok(()),
        );
    }
    command.written.print(output, &imported.policy_json)?;
    if let Some(file) = command.written.file() {
        let file = escape(&file.display().to_string()).into_owned();
        output.remark(|out| {
            writeln!(
                out,
                "next: read it, then `provost policy put SERVER NAME {file}`"
            )
        });
    }
    Ok(())
}

/// `policy explain`.
pub(super) fn explain(output: Output, explain: &Explain) -> Outcome {
    let policy = parse(output, &explain.file)?;
    let arguments = explain.args.as_deref().map(read_arguments).transpose()?;
    let document = arguments.as_deref().map(parse_arguments).transpose()?;
    let method = explain.method.as_deref().unwrap_or("tools/call");
    if method == "tools/call" && explain.tool.is_none() {
        return Err(Failure::usage("a call of a tool needs the tool").hint("`--tool NAME`"));
    }
    // Nobody calls here, so grant and server only need names.
    let (name, grant, server) = (
        Text::from(shown(&explain.file)),
        Text::from("any"),
        Text::from("this server"),
    );
    let enforced = [Enforced {
        policy: &policy,
        name: &name,
        version: 1,
        grant: &grant,
        server: &server,
    }];
    let caller = Caller {
        grant: grant.clone(),
        server: server.clone(),
        session: None,
    };
    let call = Call {
        method,
        tool: explain.tool.as_deref(),
        arguments: document.as_ref().map(|document| document.root()),
    };
    let explanation = provost_authoring::explain::explain(&enforced, &call, &caller);
    output.show(&explanation, |out| {
        let (word, colour) = match explanation.decision {
            Decision::Allow => ("allow", style::GOOD),
            Decision::Ask => ("ask", style::WARNING),
            Decision::Deny => ("deny", style::ERROR),
        };
        let text = explanation.to_string();
        let rest = text.strip_prefix(word).unwrap_or(&text);
        writeln!(
            out,
            "{colour}{word}{}{}",
            anstyle::Reset,
            escape_block(rest)
        )
    })
}

/// The arguments as given, or from a file.
fn read_arguments(text: &str) -> Outcome<String> {
    match text.strip_prefix('@') {
        Some(path) => read_file(Path::new(path)),
        None => Ok(text.to_owned()),
    }
}

fn parse_arguments(text: &str) -> Outcome<json::Document<'_>> {
    let refuse = |problem: &dyn std::fmt::Display| {
        Failure::usage("the arguments are not a JSON object")
            .because(problem)
            .hint("for example `--args '{\"path\": \"/srv/a\"}'`")
    };
    let document =
        json::read(text.as_bytes(), json::Bounds::default()).map_err(|error| refuse(&error))?;
    match document.root().kind() {
        json::Kind::Object => Ok(document),
        other => Err(refuse(&format!("they are {}", words(other)))),
    }
}

fn words(kind: json::Kind) -> &'static str {
    match kind {
        json::Kind::Null => "null",
        json::Kind::Bool => "true or false",
        json::Kind::Number => "a number",
        json::Kind::String => "a string",
        json::Kind::Array => "an array",
        json::Kind::Object => "an object",
    }
}

/// `policy test`.
pub(super) fn test(output: Output, test: &Test) -> Outcome {
    let policy = parse(output, &test.file)?;
    let text = read_file(&test.cases)?;
    let report = cases::run(&policy, &text).map_err(|problems| {
        let refused = Failure::refused(format!(
            "file of cases `{}` was refused",
            shown(&test.cases)
        ));
        problems.iter().fold(refused, Failure::because)
    })?;
    output.show(&report, |out| {
        for suite in &report.suites {
            if let Some(name) = &suite.name {
                writeln!(out, "{}{}{}", style::STRONG, escape(name), anstyle::Reset)?;
            }
            for case in &suite.cases {
                let (colour, word) = if case.failure.is_some() {
                    (style::ERROR, "FAIL")
                } else {
                    (style::GOOD, "ok  ")
                };
                writeln!(
                    out,
                    "{colour}{word}{} line {}: {}",
                    anstyle::Reset,
                    case.line,
                    escape(&case.name)
                )?;
                if let Some(failure) = &case.failure {
                    writeln!(out, "       {}", escape(failure))?;
                }
            }
        }
        writeln!(out, "{} cases, {} failed", report.total(), report.failed())
    })?;
    if report.passed() {
        Ok(())
    } else {
        Err(Failure::reported())
    }
}

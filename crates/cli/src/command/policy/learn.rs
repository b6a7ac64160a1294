//! `policy learn`: the smallest policy that allows what a grant did.

use std::collections::BTreeMap;
use std::io::{self, Write};

use clap::Args;
use provost_admin::{CallStatus, Decision, Log, Record, Sequence, Time};
use provost_authoring::learn::{End, Learner, Learnt, Observed};

use super::written::Written;
use crate::context::{Context, program_name};
use crate::failure::{Failure, Outcome};
use crate::terminal::{counted, escape, style};
use crate::when;

/// Write the smallest policy that allows what a grant did
#[derive(Debug, Args)]
pub(crate) struct Learn {
    /// The grant, by label or id
    #[arg(long, value_name = "GRANT")]
    grant: String,
    /// The grant's server, when several servers have a grant of that label
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// Nothing older than `10m`, `2h`, `2026-11-20`, or a time as in RFC 3339
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    #[command(flatten)]
    written: Written,
}

/// Calls that passed although the draft would have refused them, by tool and draft.
type RefusedByDraft = BTreeMap<(String, String), u64>;
/// So many are told apart.
const MOST_REFUSED: usize = 256;

/// `policy learn`.
pub(super) fn learn(context: &Context, learn: &Learn) -> Outcome {
    learn.written.check()?;
    let (learner, server, refused_by_draft) = read(context, learn)?;
    let of = format!("grant `{}` on `{server}`", learn.grant);
    let learnt = learner.finish(&of, |at| {
        let local = when::show_local(Time(at));
        local.split(' ').next().unwrap_or_default().to_owned()
    });
    let output = context.output;
    output.remark(|out| {
        left_out(out, &learnt)?;
        learnt_all_the_same(out, &learnt, &refused_by_draft)
    });
    if learnt.tools.is_empty() {
        return Err(Failure::refused(format!("there is nothing to learn from {of}"))
            .because(format!("{} were read, and no tool was called with success", counted_records(learnt.records)))
            .hint("mint a grant that only observes, and let the agent work: `provost grant mint SERVER --label LABEL --policy POLICY --observe`"));
    }
    learn.written.save(&learnt.policy_json)?;
    if output.is_json() {
        let policy: serde_json::Value =
            serde_json::from_str(&learnt.policy_json).unwrap_or_default();
        let body = serde_json::json!({
            "policy": policy,
            "records": learnt.records,
            "tools": learnt.tools,
            "left_out": learnt.left_out,
        });
        return output.show(&body, |_| Ok(()));
    }
    learn.written.print(output, &learnt.policy_json)?;
    if let Some(file) = learn.written.file() {
        let program = program_name(context);
        let (server, file) = (escape(&server).into_owned(), file.display().to_string());
        output.remark(|out| {
            writeln!(
                out,
                "next: read it, then `{program} policy put {server} NAME {}`",
                escape(&file)
            )
        });
    }
    Ok(())
}

/// Reads the records page by page; no more than a page is held.
fn read(context: &Context, learn: &Learn) -> Outcome<(Learner, String, RefusedByDraft)> {
    let records = Log {
        server: learn.server.clone(),
        grant: Some(learn.grant.clone()),
        since: learn.since.as_deref().map(when::since).transpose()?,
        order: Sequence::OldestFirst,
        ..Log::default()
    };
    let mut learner = Learner::default();
    let (mut server, mut grant): (Option<String>, Option<String>) = (None, None);
    let mut refused_by_draft = RefusedByDraft::new();
    context.admin()?.pages(u32::MAX, records, |page| {
        for record in &page {
            let known = server.get_or_insert_with(|| record.server.clone());
            if *known != record.server {
                let (one, another) = (known.clone(), record.server.clone());
                return Err(several(&learn.grant, "--server", "server", &one, &another));
            }
            // One that was revoked may have had the same label.
            let known = grant.get_or_insert_with(|| record.grant.clone());
            if *known != record.grant {
                let (one, another) = (known.clone(), record.grant.clone());
                return Err(several(&learn.grant, "--grant", "grant", &one, &another));
            }
            learner.see(&observed(record));
            let draft = record.shadow.as_ref();
            let draft = draft.filter(|draft| {
                draft.decision != Decision::Allow && record.decision == Decision::Allow
            });
            if let (Some(draft), Some(tool)) = (draft, &record.tool) {
                let key = (tool.clone(), draft.policy.clone());
                if refused_by_draft.len() < MOST_REFUSED || refused_by_draft.contains_key(&key) {
                    *refused_by_draft.entry(key).or_default() += 1;
                }
            }
        }
        Ok(())
    })?;
    let server = server.ok_or_else(|| {
        let grant = &learn.grant;
        Failure::not_found(format!("there are no records of a grant `{grant}`"))
            .because("a policy is learnt from the recorded calls of a grant")
            .hint("`provost grant list` shows the grants, `provost log` what they did")
    })?;
    Ok((learner, server, refused_by_draft))
}

fn several(label: &str, flag: &str, what: &str, one: &str, another: &str) -> Failure {
    Failure::usage(format!("there are records of several grants `{label}`"))
        .because(format!("one of {what} `{one}`, one of {what} `{another}`"))
        .hint(format!("name the {what}: `{flag} {another}`"))
}

fn observed(record: &Record) -> Observed<'_> {
    let end = match (record.decision, record.status) {
        (Decision::Allow, None | Some(CallStatus::Ok | CallStatus::Unknown)) => End::Passed,
        (Decision::Allow, Some(_)) => End::Failed,
        (Decision::Ask | Decision::Deny, _) => {
            End::Refused(record.rule.as_deref().unwrap_or("a rule"))
        }
    };
    Observed {
        at: record.at,
        method: &record.method,
        tool: record.tool.as_deref(),
        keys: &record.keys,
        end,
    }
}

fn counted_records(records: u64) -> String {
    counted(usize::try_from(records).unwrap_or(usize::MAX), "record")
}

fn left_out(out: &mut dyn Write, learnt: &Learnt) -> io::Result<()> {
    let (strong, reset) = (style::STRONG, anstyle::Reset);
    writeln!(
        out,
        "{strong}{} learnt{reset} from {}",
        counted(learnt.tools.len(), "tool"),
        counted_records(learnt.records)
    )?;
    let (colour, reset) = (style::WARNING, anstyle::Reset);
    for left in &learnt.left_out {
        let times = counted(usize::try_from(left.calls).unwrap_or(usize::MAX), "call");
        writeln!(
            out,
            "{colour}not learnt{reset}: `{}`, {times}: {}",
            escape(&left.what),
            escape(&left.why)
        )?;
    }
    Ok(())
}

/// What a draft refused was done all the same, so it is learnt: somebody should look at it.
fn learnt_all_the_same(
    out: &mut dyn Write,
    learnt: &Learnt,
    refused: &RefusedByDraft,
) -> io::Result<()> {
    let (colour, reset) = (style::WARNING, anstyle::Reset);
    let learnt = |tool: &String| learnt.tools.contains(tool);
    for ((tool, draft), calls) in refused.iter().filter(|((tool, _), _)| learnt(tool)) {
        writeln!(
            out,
            "{colour}learnt anyway{reset}: `{}`: the draft `{}` refused {} of it; look at it",
            escape(tool),
            escape(draft),
            counted(*calls, "call")
        )?;
    }
    Ok(())
}

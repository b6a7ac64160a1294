//! `provost log`.

use std::collections::BTreeSet;
use std::io::{self, Write};

use clap::{Args, ValueEnum};
use http_body_util::BodyExt;
use provost_admin::{Log as Query, Paging, RecordView, Reply, Sequence, no_daemon};

use crate::admin::{connect_admin, send};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::runtime::block_on;
use crate::terminal::{Cell, Output, Table, escape, escape_json, line, style, width};
use crate::when;

/// Show what was decided
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  provost log
  provost log --follow --decision deny
  provost log --server files --since 2h --json

Times are local, in JSON UTC. Arguments are never recorded, only their top-level keys.")]
pub(crate) struct Log {
    /// Go on with new records as they come
    #[arg(short, long)]
    follow: bool,
    /// Only this server
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// Only this grant, by label or id
    #[arg(long, value_name = "GRANT")]
    grant: Option<String>,
    /// Only this tool
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// Only this decision
    #[arg(long, value_enum)]
    decision: Option<Decision>,
    /// Nothing older: `10m`, `2h`, `2026-11-20`, or RFC 3339
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// At most so many, the newest [default: 50, or all with `--since`]
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

/// A decision
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Decision {
    /// The call went on
    Allow,
    /// The call was refused
    Deny,
    /// A person would have to say yes
    Ask,
}

// === impl Log ===

impl Log {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let follow = self.follow;
        let (query, limit) = self.query()?;
        let admin = context.admin()?;
        if follow {
            return block_on(follow_records(context.output, admin.places(), &query));
        }
        let order = query.order;
        let mut records = admin.list_at_most(limit.unwrap_or(u32::MAX), query)?;
        if order == Sequence::NewestFirst {
            records.reverse();
        }
        if context.output.is_json() {
            return context
                .output
                .write(|out| records.iter().try_for_each(|record| json_line(out, record)));
        }
        context.output.write(|out| {
            if records.is_empty() {
                return writeln!(out, "no records");
            }
            table(out, &records)?;
            remarks(out, &records)
        })
    }

    /// What is asked for, and how many at most: without a limit from the oldest on.
    fn query(self) -> Outcome<(Query, Option<u32>)> {
        let since = self.since.as_deref().map(|text| {
            when::parse_since(text, when::now()).map_err(|problem| (text.to_owned(), problem))
        });
        let since = since.transpose().map_err(|(text, problem)| {
            Failure::usage(format!("`{text}` is not a time")).because(problem)
        })?;
        let decision = self.decision.map(|decision| match decision {
            Decision::Allow => "allow".to_owned(),
            Decision::Deny => "deny".to_owned(),
            Decision::Ask => "ask".to_owned(),
        });
        let limit = self.limit.or_else(|| since.is_none().then_some(50));
        let order = match limit {
            Some(_) => Sequence::NewestFirst,
            None => Sequence::OldestFirst,
        };
        let query = Query {
            server: self.server,
            grant: self.grant,
            tool: self.tool,
            decision,
            since,
            order,
            page: Paging {
                cursor: None,
                limit,
            },
        };
        Ok((query, limit))
    }
}

fn json_line(out: &mut dyn Write, record: &RecordView) -> io::Result<()> {
    writeln!(out, "{}", escape_json(&serde_json::to_string(record)?))
}

async fn follow_records(
    output: Output,
    places: &crate::locations::Places,
    query: &Query,
) -> Outcome {
    let stream = connect_admin(places)
        .await?
        .ok_or_else(|| no_daemon(&places.data))?;
    let mut body = send(stream, "/v1/follow", query).await?.into_body();
    let mut waiting = Vec::new();
    let mut first = true;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { break };
        let Ok(bytes) = frame.into_data() else {
            continue;
        };
        waiting.extend_from_slice(&bytes);
        while let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = waiting.drain(..=end).collect();
            let record = match serde_json::from_slice::<RecordView>(&line) {
                Ok(record) => record,
                Err(error) => {
                    let reply = serde_json::from_slice::<Reply<()>>(&line);
                    return reply
                        .map_err(|_| {
                            Failure::internal("a record is not understood").because(error)
                        })?
                        .into_result();
                }
            };
            output.show_line(&record, |out| {
                follow_line(out, &record, std::mem::take(&mut first))
            })?;
        }
    }
    Err(Failure::unavailable("the daemon ended"))
}

/// Widths of the columns of a stream: what comes later is not known.
const STREAM: [usize; 5] = [19, 8, 10, 12, 20];

/// One record of a stream.
fn follow_line(out: &mut dyn Write, record: &RecordView, first: bool) -> io::Result<()> {
    let within = width();
    if first {
        let head = ["TIME", "DECISION", "SERVER", "GRANT", "CALL", "DETAIL"];
        let head = head.map(|head| Cell::styled(head, style::FAINT));
        line(out, &head, &STREAM, within)?;
    }
    let (word, colour) = decision(record);
    let cells = [
        Cell::plain(when::show_local(record.at)),
        Cell::styled(word, colour),
        Cell::plain(&record.server),
        Cell::plain(&record.grant_label),
        Cell::plain(call(record)),
        Cell::plain(detail(record)),
    ];
    line(out, &cells, &STREAM, within)
}

fn table(out: &mut dyn Write, records: &[RecordView]) -> io::Result<()> {
    let mut table = Table::new(&[
        "TIME", "DECISION", "SERVER", "GRANT", "CALL", "STATUS", "MS", "DETAIL",
    ]);
    for record in records {
        let (word, colour) = decision(record);
        let millis = record
            .latency_us
            .map_or_else(|| "-".to_owned(), |micros| Millis(micros).to_string());
        table.row(vec![
            Cell::plain(when::show_local(record.at)),
            Cell::styled(word, colour),
            Cell::plain(&record.server),
            Cell::plain(&record.grant_label),
            Cell::plain(call(record)),
            Cell::plain(record.status.as_deref().unwrap_or("-")),
            Cell::plain(millis),
            Cell::plain(detail(record)),
        ]);
    }
    table.print(out)
}

/// Microseconds, printed as milliseconds with one digit.
struct Millis(u64);

// === impl Millis ===

impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0 / 1_000, self.0 % 1_000 / 100)
    }
}

fn decision(record: &RecordView) -> (&str, anstyle::Style) {
    let style = match record.decision.as_str() {
        "allow" => style::GOOD,
        "deny" => style::ERROR,
        _ => style::WARNING,
    };
    (&record.decision, style)
}

fn call(record: &RecordView) -> &str {
    record.tool.as_deref().unwrap_or(&record.method)
}

fn detail(record: &RecordView) -> String {
    // First the sentence, then where it comes from.
    let mut parts = Vec::new();
    parts.extend(record.message.clone());
    parts.extend(record.rule.clone());
    if let (Some(policy), Some(version)) = (&record.policy, record.version) {
        let whose = record.policy_grant.as_ref();
        let whose = whose.map_or_else(String::new, |grant| format!(" of grant {grant}"));
        parts.push(format!("{policy} v{version}{whose}"));
    }
    if let Some(shadow) = &record.shadow {
        parts.push(format!(
            "draft {} v{} says {}",
            shadow.policy, shadow.version, shadow.decision
        ));
    }
    parts.join("  ")
}

/// Points out grants that only observe, and grants without a policy, among these records.
fn remarks(out: &mut dyn Write, records: &[RecordView]) -> io::Result<()> {
    let (colour, reset) = (style::WARNING, anstyle::Reset);
    let key = |record: &RecordView| (record.server.clone(), record.grant_label.clone());
    let observed: BTreeSet<_> = records
        .iter()
        .filter(|record| {
            record.decision == "allow" && record.policy.is_none() && record.shadow.is_some()
        })
        .map(key)
        .collect();
    for (server, grant) in observed {
        writeln!(
            out,
            "{colour}warning{reset}: grant `{}` on `{}` observes only: every call passes",
            escape(&grant),
            escape(&server)
        )?;
    }
    let without: BTreeSet<_> = records
        .iter()
        .filter(|record| record.rule.as_deref() == Some("(no policy)"))
        .map(key)
        .collect();
    for (server, grant) in without {
        writeln!(
            out,
            "{colour}warning{reset}: grant `{}` on `{}` has no policy: every call is denied",
            escape(&grant),
            escape(&server)
        )?;
    }
    Ok(())
}

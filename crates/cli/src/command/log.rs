//! `provost log`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use clap::{Args, ValueEnum};
use http_body_util::BodyExt;
use provost_admin::{
    CallStatus, Decision, Followed, Log as Query, Paging, Record, Reply, Sequence, Status, Time,
};
use tokio::net::UnixStream;

use crate::admin::{ask, connect_admin, send};
use crate::context::Context;
use crate::daemon::RUN_GRANT;
use crate::failure::{Failure, Outcome};
use crate::locations::Places;
use crate::runtime::block_on;
use crate::terminal::{Cell, Output, Table, escape, escape_json, line, style, width};
use crate::watched::Arrival;
use crate::when;

/// Between the end of one daemon's answer and the question to the next.
const BREATH: Duration = Duration::from_millis(200);
/// Between two looks for a daemon where nobody tells that one has come.
const LOOK: Duration = Duration::from_secs(5);

/// Show recorded calls: what was decided, and how they ended
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  provost log
  provost log --follow --decision deny
  provost log --server files --since 2h --json
  provost log --client claude-code

Times are local, in JSON UTC. Arguments are never recorded, only their
top-level keys.

Changes of servers, policies and grants are in `provost audit export`.

A call in flight has the status `running`; `unknown` means that its end was not
recorded. With `--follow`, a call is shown again when it has ended; in JSON it
is the same record, whose status was `unknown` before. `--follow` waits for a
daemon that does not run, and goes on when it is back.")]
pub(crate) struct Log {
    /// Keep showing new records as they come
    #[arg(short, long)]
    follow: bool,
    /// Only this server
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// Only this grant, by label or id
    #[arg(long, value_name = "GRANT")]
    grant: Option<String>,
    /// Only clients that call themselves this, with or without the version
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// Only this tool
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// Only this decision
    #[arg(long, value_enum)]
    decision: Option<Wanted>,
    /// Nothing older than `10m`, `2h`, `2026-11-20`, or a time as in RFC 3339
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Show at most this many, the newest [default: 50, or all with `--since`]
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

/// A decision
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Wanted {
    /// The call went on
    Allow,
    /// The call was refused
    Deny,
    /// A person would have to approve it; nobody can yet, so it was refused
    Ask,
}

// === impl Log ===

impl Log {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let follow = self.follow;
        let names = [
            &self.server,
            &self.grant,
            &self.client,
            &self.tool,
            &self.since,
        ];
        let asks_for_some = self.decision.is_some() || names.iter().any(|name| name.is_some());
        let (query, limit) = self.query()?;
        let admin = context.admin()?;
        if follow {
            return block_on(follow_records(context.output, admin.places(), query));
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
        if records.is_empty() {
            return context.output.write(|out| {
                if asks_for_some {
                    return writeln!(out, "no records");
                }
                writeln!(
                    out,
                    "no records; calls appear here once an agent goes through `provost run`, `provost connect` or `provost up`"
                )
            });
        }
        let unfinished = records.iter().any(is_unfinished);
        let since = match unfinished && admin.daemon_runs()? {
            true => admin.ask(Status {}).ok().and_then(|status| status.started),
            false => None,
        };
        context.output.write(|out| table(out, &records, since))?;
        context.output.remark(|out| remarks(out, &records));
        Ok(())
    }

    /// What is asked for, and how many at most: without a limit from the oldest on.
    fn query(self) -> Outcome<(Query, Option<u32>)> {
        let since = self.since.as_deref().map(when::since).transpose()?;
        let decision = self.decision.map(|wanted| match wanted {
            Wanted::Allow => Decision::Allow,
            Wanted::Deny => Decision::Deny,
            Wanted::Ask => Decision::Ask,
        });
        let limit = self.limit.or_else(|| since.is_none().then_some(50));
        let order = match limit {
            Some(_) => Sequence::NewestFirst,
            None => Sequence::OldestFirst,
        };
        let query = Query {
            server: self.server,
            grant: self.grant,
            client: self.client,
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

fn json_line(out: &mut dyn Write, record: &Record) -> io::Result<()> {
    writeln!(out, "{}", escape_json(&serde_json::to_string(record)?))
}

/// Shows what comes, for ever: a daemon that is not there, or goes away, is waited for.
async fn follow_records(output: Output, places: &Places, mut query: Query) -> Outcome {
    let mut stream = Stream::default();
    loop {
        let connection = match connect_admin(places).await? {
            Some(connection) => connection,
            None => {
                let data = places.data.display();
                remark(
                    output,
                    &format!("no daemon runs on `{data}`; waiting for one"),
                );
                let connection = wait_for_daemon(places).await?;
                remark(output, "a daemon runs now");
                connection
            }
        };
        if let Some(connection) = connect_admin(places).await? {
            let status = ask(connection, Status {}).await.ok();
            stream.since = status.and_then(|status| status.started);
        }
        // Whatever ends the connection ends with the daemon, which is looked for again.
        if let Ok(answer) = send(connection, "/v1/follow", &query).await {
            let mut body = answer.into_body();
            let mut waiting = Vec::new();
            while let Some(Ok(frame)) = body.frame().await {
                waiting.extend_from_slice(frame.data_ref().map_or(&[], |bytes| bytes));
                let whole = waiting.iter().rposition(|byte| *byte == b'\n');
                let lines: Vec<u8> = waiting.drain(..whole.map_or(0, |end| end + 1)).collect();
                let records = read(&lines, &mut query)?;
                stream.fit(&records);
                for record in &records {
                    output.show_line(record, |out| stream.print(out, record))?;
                }
            }
        }
        // One that ends takes its socket with it; whoever answers then is another one.
        tokio::time::sleep(BREATH).await;
    }
}

async fn wait_for_daemon(places: &Places) -> Outcome<UnixStream> {
    loop {
        // Before the look: what comes after it is told.
        let mut arrival = Arrival::watch(places);
        if let Some(connection) = connect_admin(places).await? {
            return Ok(connection);
        }
        // Not every file system tells.
        drop(tokio::time::timeout(LOOK, arrival.happened()).await);
    }
}

fn remark(output: Output, text: &str) {
    output.remark(|out| writeln!(out, "{}provost{}: {text}", style::HINT, anstyle::Reset));
}

/// The records of some lines; `query` goes on after them.
fn read(lines: &[u8], query: &mut Query) -> Outcome<Vec<Record>> {
    let mut records = Vec::new();
    for line in lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let followed: Followed = serde_json::from_slice(line).or_else(|error| {
            let refused = serde_json::from_slice::<Reply<Followed>>(line).map_err(|_| {
                Failure::internal("a record cannot be read")
                    .because(error)
                    .hint("this command and the daemon may be of different versions; restart the daemon")
            });
            refused?.into_result()
        })?;
        records.extend(followed.record);
        if let Some(cursor) = followed.cursor {
            query.order = Sequence::AsTheyChange;
            query.page.cursor = Some(cursor.to_string());
        }
    }
    Ok(records)
}

/// The columns of a stream: on a terminal their widths follow from its own; elsewhere they grow, up
/// to a bound.
#[derive(Default)]
struct Stream {
    widths: [usize; HEAD.len()],
    begun: bool,
    /// Since when the daemon runs.
    since: Option<Time>,
}

/// Every column but the first, which says the time zone too.
const HEAD: [&str; 8] = [
    "TIME", "DECISION", "SERVER", "GRANT", "CALL", "STATUS", "MS", "DETAIL",
];
/// What is longer in a stream is shortened; `log` and `--json` have it whole.
const WIDEST: usize = 20;
/// Room for milliseconds, up to a call of many minutes.
const MILLIS: usize = 8;
/// A moment of this year.
const TIME: usize = 14;
/// A name is never cut shorter.
const SHORTEST: usize = 6;
/// A terminal this wide has room for the detail beside the rest.
const ROOMY: usize = 120;
/// What is longer of a client's name is shortened beside the label of its grant.
const LONGEST_CLIENT: usize = 14;

// === impl Stream ===

impl Stream {
    /// Makes room for these records.
    fn fit(&mut self, records: &[Record]) {
        if let Some(within) = width() {
            self.widths = fixed(within);
            return;
        }
        let since = self.since;
        let rows = records.iter().map(|record| row(record, since));
        for cells in rows.chain([head()]) {
            for (width, cell) in self.widths.iter_mut().zip(&cells) {
                *width = cell.width().min(WIDEST).max(*width);
            }
        }
        let [.., millis, _] = &mut self.widths;
        *millis = MILLIS.max(*millis);
    }

    fn print(&mut self, out: &mut dyn Write, record: &Record) -> io::Result<()> {
        let within = width();
        let right = |[.., millis, _]: &mut [Cell; HEAD.len()]| millis.align_right(MILLIS);
        if !std::mem::replace(&mut self.begun, true) {
            let mut head = head();
            right(&mut head);
            line(out, &head, &self.widths, within)?;
        }
        let mut cells = row(record, self.since);
        right(&mut cells);
        if let Some((detail, before)) = cells.split_last_mut() {
            for (cell, width) in before.iter_mut().zip(self.widths) {
                cell.shorten(width);
            }
            let used: usize = self.widths.iter().take(before.len()).map(|it| it + 2).sum();
            // A line of its own is for what is worth one.
            let is_plain = record.decision == Decision::Allow && record.shadow.is_none();
            if is_plain && within.is_some_and(|within| used + detail.width() > within) {
                *detail = Cell::plain("");
            }
        }
        line(out, &cells, &self.widths, within)
    }
}

/// The widths of a stream's columns in a terminal of so many.
fn fixed(within: usize) -> [usize; HEAD.len()] {
    let [time, decision, ..] = head();
    let (time, decision) = (time.width().max(TIME), decision.width());
    let status = if within < ROOMY { 7 } else { 13 };
    let rest = time + decision + status + MILLIS + 7 * 2;
    // What is left is for names, and, where there is much, for the detail.
    let name =
        (within.saturating_sub(rest) / 3).clamp(SHORTEST, if within < ROOMY { WIDEST } else { 16 });
    [time, decision, name, name, name, status, MILLIS, 0]
}

/// Whether no end of the call is recorded.
fn is_unfinished(record: &Record) -> bool {
    record.status == Some(CallStatus::Unknown)
}

fn head() -> [Cell; HEAD.len()] {
    let zone = when::zone();
    HEAD.map(|head| match head {
        "TIME" => Cell::styled(format!("TIME ({zone})"), style::FAINT),
        head => Cell::styled(head, style::FAINT),
    })
}

fn table(out: &mut dyn Write, records: &[Record], since: Option<Time>) -> io::Result<()> {
    let mut table = Table::with_head(head().to_vec());
    records
        .iter()
        .for_each(|record| table.row(row(record, since).to_vec()));
    table.print(out)
}

/// The cells of a record; the daemon that runs, if one does, does so since then.
fn row(record: &Record, since: Option<Time>) -> [Cell; HEAD.len()] {
    let is_running = is_unfinished(record) && since.is_some_and(|since| record.at >= since.0);
    let status = match record.status {
        Some(_) if is_running => "running".to_owned(),
        Some(status) => status.to_string(),
        None => "-".to_owned(),
    };
    let colour = match record.decision {
        Decision::Allow => style::GOOD,
        Decision::Deny => style::ERROR,
        Decision::Ask => style::WARNING,
    };
    let millis = record
        .latency_us
        .map_or_else(|| "-".to_owned(), |micros| Millis(micros).to_string());
    [
        Cell::plain(when::show_short(Time(record.at))),
        Cell::styled(record.decision.as_str(), colour),
        Cell::plain(&record.server),
        Cell::plain(grant(record)),
        Cell::plain(call(record)),
        Cell::plain(status),
        Cell::plain(millis),
        Cell::plain(detail(record)),
    ]
}

/// Microseconds, printed as milliseconds with one digit.
struct Millis(u64);

// === impl Millis ===

impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0 / 1_000, self.0 % 1_000 / 100)
    }
}

/// The grant's label. That of every `provost run` is the same, so there it is the client that tells
/// whose a call was.
fn grant(record: &Record) -> Cow<'_, str> {
    let label = &record.grant_label;
    match &record.client {
        Some(client) if label == RUN_GRANT => {
            let name = without_version(client);
            let name = match name.chars().count() > LONGEST_CLIENT {
                true => Cow::Owned(name.chars().take(LONGEST_CLIENT - 1).chain(['…']).collect()),
                false => Cow::Borrowed(name),
            };
            Cow::Owned(format!("{label} ({name})"))
        }
        Some(_) | None => Cow::Borrowed(label),
    }
}

/// A client's name, of its name and version.
fn without_version(client: &str) -> &str {
    let begins_as_one = |word: &str| {
        word.trim_start_matches('v')
            .starts_with(|c: char| c.is_ascii_digit())
    };
    match client.rsplit_once(' ') {
        Some((name, version)) if begins_as_one(version) => name,
        Some(_) | None => client,
    }
}

fn call(record: &Record) -> &str {
    record.tool.as_deref().unwrap_or(&record.method)
}

fn detail(record: &Record) -> String {
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

/// Points out calls that passed because their grant only observed, and that had no policy.
fn remarks(out: &mut dyn Write, records: &[Record]) -> io::Result<()> {
    let (colour, reset) = (style::WARNING, anstyle::Reset);
    let mut said = |what: &str, is: &dyn Fn(&Record) -> bool, why: &str| {
        let mut counts = BTreeMap::new();
        for record in records.iter().filter(|record| is(record)) {
            let grant = (record.server.as_str(), record.grant_label.as_str());
            *counts.entry(grant).or_insert(0_u64) += 1;
        }
        counts.into_iter().try_for_each(|((server, grant), count)| {
            let (grant, server) = (escape(grant), escape(server));
            writeln!(
                out,
                "{colour}warning{reset}: {count} of these calls {what} because grant `{grant}` on `{server}` {why}"
            )
        })
    };
    said(
        "passed",
        &|record| {
            record.decision == Decision::Allow && record.policy.is_none() && record.shadow.is_some()
        },
        "only observed at that time",
    )?;
    said(
        "were denied",
        &|record| record.rule.as_deref() == Some("(no policy)"),
        "had no policy at that time",
    )
}

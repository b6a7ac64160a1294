//! `provost status`.

use std::io::{self, Write};

use clap::Args;
use provost_admin::{Load, Overview, OverviewView, ServerStanding};

use crate::context::Context;
use crate::failure::Outcome;
use crate::terminal::{counted, escape, style};

/// Show the state of the running daemon, its servers and calls
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  provost status
  provost status --json

Exits with 5 when no daemon runs. `provost doctor` looks for what is wrong.")]
pub(crate) struct Status {}

// === impl Status ===

impl Status {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let overview = context.admin()?.ask(Overview {})?;
        context.output.show(&overview, |out| print(out, &overview))
    }
}

fn print(out: &mut dyn Write, overview: &OverviewView) -> io::Result<()> {
    let daemon = &overview.daemon;
    let how = match daemon.self_started {
        true => ", ends with its last client",
        false => "",
    };
    let running = format!(
        "runs: process {}, version {}{how}",
        daemon.pid, daemon.version
    );
    line(out, "daemon", &running)?;
    if let Some(trouble) = &daemon.trouble {
        line(out, "trouble", trouble)?;
    }
    for trouble in &daemon.troubles {
        line(out, "trouble", &trouble.message)?;
    }
    let agents = match &daemon.listen {
        Some(url) => format!("{url}/mcp/<server>"),
        None => "over stdio only; `provost up` opens a port".to_owned(),
    };
    line(out, "agents", &agents)?;
    let bridges = counted(daemon.clients, "client");
    line(
        out,
        "stdio",
        &format!("{bridges} through `run` or `connect`"),
    )?;
    line(out, "data", &overview.data.display().to_string())?;
    line(out, "key", &overview.config.display().to_string())?;
    line(out, "servers", &overview.servers.len().to_string())?;
    let width = overview
        .servers
        .iter()
        .map(|server| server.name.len())
        .max();
    for server in &overview.servers {
        let (name, width) = (&server.name, width.unwrap_or_default());
        let kind = server.kind.as_deref().unwrap_or("unreadable");
        line(
            out,
            "",
            &format!("{name:<width$}  {kind:<5}  {}", era(server)),
        )?;
    }
    line(out, "grants", &overview.grants.to_string())?;
    let minute = overview.last_minute;
    let calls = format!(
        "{} within the last minute, {} denied",
        minute.calls, minute.denied
    );
    line(out, "calls", &calls)?;
    if daemon.without_grant > 0 {
        let requests = counted(daemon.without_grant, "request");
        let text = format!("{requests} without a valid token since the daemon started");
        line(out, "refused", &text)?;
    }
    let journal = &overview.journal;
    let state = match journal.intact_at_start {
        true => "intact at start",
        false => "damaged: `provost audit verify` names the places",
    };
    let journal = format!(
        "{}, {}, {state}",
        size(journal.bytes),
        counted(journal.entries, "entry")
    );
    line(out, "journal", &journal)?;
    daemon.load.iter().try_for_each(|load| room(out, load))
}

fn era(server: &ServerStanding) -> String {
    match (server.usable, server.eras.as_slice()) {
        (false, _) => "its settings cannot be used; `provost doctor` says why".to_owned(),
        (true, []) => "protocol not known before its first use".to_owned(),
        (true, eras) => eras.join(" and "),
    }
}

fn room(out: &mut dyn Write, load: &Load) -> io::Result<()> {
    let bytes = |bytes: usize| size(bytes as u64);
    let memory = format!(
        "{} of {} held for agents and servers",
        bytes(load.memory_held),
        bytes(load.memory_limit)
    );
    line(out, "memory", &memory)?;
    let mut way = format!("{} of {} calls in flight", load.calls, load.most_calls);
    if load.no_room > 0 {
        way = format!(
            "{way}; {} refused or delayed for lack of room",
            counted(load.no_room, "message")
        );
    }
    line(out, "room", &way)
}

fn line(out: &mut dyn Write, name: &str, value: &str) -> io::Result<()> {
    let (faint, reset) = (style::FAINT, anstyle::Reset);
    writeln!(out, "{faint}{name:<8}{reset} {}", escape(value))
}

/// A size as people read it.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = UNITS.into_iter().find(|(unit, _)| bytes >= *unit);
    unit.map_or_else(
        || format!("{bytes} B"),
        |(unit, name)| {
            let tenths = u128::from(bytes) * 10 / u128::from(unit);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_digit_of_their_largest_unit() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_600_000, "1.5 MiB"),
            (u64::MAX, "17179869183.9 GiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}

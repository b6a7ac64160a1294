//! `provost doctor`.

mod findings;
mod servers;

use std::io::Write;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use clap::Args;
use provost_admin::{DaemonStatus, Inspect, Load, Status};

use findings::{Finding, Findings, Health};

use crate::admin::Admin;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Cell, counted, line, style, width};

/// How long the listener may take to accept.
const CONNECT: Duration = Duration::from_secs(2);

/// Check the installation: what is wrong or missing
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  provost doctor
  provost doctor --json

Each server is started or connected to for a few seconds, as `provost server
test` does. Exits with 1 when something is broken; warnings alone do not.")]
pub(crate) struct Doctor {}

// === impl Doctor ===

impl Doctor {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let mut findings = Findings::default();
        let admin = context.admin()?;
        directories(&mut findings, &admin);
        let status = daemon(&mut findings, &admin);
        if admin.places().data.exists() {
            store(&mut findings, &admin, status.is_some());
            servers::look(&mut findings, context, &admin, status.is_some());
        }
        findings.ok("mode", "agents run as your user: one that has a shell can read what you can, Provost's key too (SECURITY.md)");
        let broken = findings
            .0
            .iter()
            .any(|finding| finding.state == Health::Broken);
        context
            .output
            .show(&findings.0, |out| print(out, &findings.0))?;
        if broken {
            Err(Failure::reported())
        } else {
            Ok(())
        }
    }
}

/// What things are called is no wider than this where there is room.
const WIDEST: usize = 24;

fn print(out: &mut dyn Write, findings: &[Finding]) -> std::io::Result<()> {
    let abouts = findings.iter().map(|finding| finding.about.chars().count());
    let widths = ["warning".len(), abouts.max().unwrap_or(0).min(WIDEST)];
    let within = width();
    for finding in findings {
        let (colour, word) = match finding.state {
            Health::Ok => (style::GOOD, "ok"),
            Health::Warning => (style::WARNING, "warning"),
            Health::Broken => (style::ERROR, "broken"),
        };
        let mut about = Cell::plain(&finding.about);
        if within.is_some() {
            about.shorten(WIDEST);
        }
        let cells = [
            Cell::styled(word, colour),
            about,
            Cell::plain(&finding.message),
        ];
        line(out, &cells, &widths, within)?;
        if let Some(hint) = &finding.hint {
            let hint = Cell::styled(format!("hint: {hint}"), style::HINT);
            line(
                out,
                &[Cell::plain(""), Cell::plain(""), hint],
                &widths,
                within,
            )?;
        }
    }
    Ok(())
}

fn directories(findings: &mut Findings, admin: &Admin) {
    let places = admin.places();
    for (about, path) in [
        ("data directory", &places.data),
        ("configuration", &places.config),
    ] {
        match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                findings.ok(
                    about,
                    format!(
                        "{} does not exist yet; the first command that needs it creates it",
                        path.display()
                    ),
                );
            }
            Err(error) => findings.add(
                Health::Broken,
                about,
                format!("{}: {error}", path.display()),
                "check the permissions of the directories above it",
            ),
            Ok(found) if !found.is_dir() => findings.add(
                Health::Broken,
                about,
                format!("{} is a file, not a directory", path.display()),
                "name another one, or move the file away",
            ),
            Ok(found) => {
                let (mode, uid) = (
                    found.permissions().mode() & 0o777,
                    rustix::process::getuid().as_raw(),
                );
                if found.uid() != uid {
                    findings.add(
                        Health::Broken,
                        about,
                        format!("{} belongs to user {}", path.display(), found.uid()),
                        "run as that user, or use another directory",
                    );
                } else if mode & 0o077 == 0 {
                    findings.ok(about, path.display().to_string());
                } else {
                    findings.add(
                        Health::Warning,
                        about,
                        format!(
                            "{} can be entered by others (mode {mode:04o})",
                            path.display()
                        ),
                        format!("`chmod 700 {}`", path.display()),
                    );
                }
            }
        }
    }
    key_files(findings, &places.config);
}

/// Nobody else may read anything in the configuration directory.
fn key_files(findings: &mut Findings, config: &Path) {
    let Ok(entries) = std::fs::read_dir(config) else {
        return;
    };
    for entry in entries.flatten() {
        let Ok(found) = entry.metadata() else {
            continue;
        };
        let mode = found.permissions().mode() & 0o777;
        if found.is_file() && mode & 0o077 != 0 {
            let path = entry.path();
            findings.add(
                Health::Broken,
                "key",
                format!("{} has mode {mode:04o}", path.display()),
                format!("`chmod 600 {}`", path.display()),
            );
        }
    }
}

fn daemon(findings: &mut Findings, admin: &Admin) -> Option<DaemonStatus> {
    let places = admin.places();
    match admin.daemon_runs() {
        Err(failure) => findings.failure("daemon", failure),
        Ok(false) => {
            let left = [places.admin_socket(), places.agent_socket()]
                .iter()
                .any(|socket| socket.exists());
            let stale = if left {
                "; the sockets of an earlier one are harmless and will be replaced"
            } else {
                ""
            };
            findings.ok("daemon", format!("none runs here{stale}"));
        }
        Ok(true) => match admin.ask(Status {}) {
            Err(failure) => findings.failure("daemon", failure),
            Ok(status) => {
                running(findings, &status);
                sockets(findings, admin);
                return Some(status);
            }
        },
    }
    None
}

fn running(findings: &mut Findings, status: &DaemonStatus) {
    let kind = if status.self_started {
        "started by `provost run` or `connect`, ends with its last client"
    } else {
        "keeps running without clients"
    };
    findings.ok(
        "daemon",
        format!(
            "process {}, version {}, {}; {kind}",
            status.pid,
            status.version,
            counted(status.clients, "client")
        ),
    );
    if status.version != env!("CARGO_PKG_VERSION") {
        findings.add(
            Health::Warning,
            "daemon",
            format!(
                "it is version {}, this command is {}",
                status.version,
                env!("CARGO_PKG_VERSION")
            ),
            "restart the daemon",
        );
    }
    if let Some(trouble) = &status.trouble {
        findings.add(
            Health::Broken,
            "daemon",
            trouble.clone(),
            "look into its log",
        );
    }
    status.troubles.iter().for_each(|it| findings.trouble(it));
    if let Some(load) = &status.load {
        room(findings, load);
    }
    match &status.listen {
        None => findings.ok(
            "listener",
            "none: agents connect with `provost run` or `connect` only; `provost up` opens a port",
        ),
        Some(url) => listener(findings, url),
    }
}

/// Memory held for others and calls on their way, where something found no room.
fn room(findings: &mut Findings, load: &Load) {
    let mib = |bytes: usize| bytes.div_ceil(1 << 20);
    if load.no_room == 0 {
        return;
    }
    let message = format!(
        "{} of {} MiB held for agents and servers, {} of {} calls in flight",
        mib(load.memory_held),
        mib(load.memory_limit),
        load.calls,
        load.most_calls
    );
    findings.add(
        Health::Warning,
        "room",
        format!("{message}; {} refused or delayed for lack of room", counted(load.no_room, "message")),
        "`provost log` shows whose calls, rule `(busy)`; raise `memory_limit`, `max_calls_per_grant` or `max_calls_per_server` if they are legitimate",
    );
}

fn listener(findings: &mut Findings, url: &str) {
    let address = url.split_once("://").map_or(url, |(_, address)| address);
    let reached = address.to_socket_addrs().and_then(|mut addresses| {
        let address = addresses
            .next()
            .ok_or_else(|| std::io::Error::other("no address"))?;
        TcpStream::connect_timeout(&address, CONNECT)
    });
    match reached {
        Ok(_) => findings.ok("listener", url),
        Err(error) => findings.add(
            Health::Broken,
            "listener",
            format!("{url} cannot be reached: {error}"),
            "is a firewall in between? restart the daemon",
        ),
    }
}

fn sockets(findings: &mut Findings, admin: &Admin) {
    for (about, socket) in [
        ("admin socket", admin.places().admin_socket()),
        ("agent socket", admin.places().agent_socket()),
    ] {
        match std::fs::metadata(&socket) {
            Err(error) => findings.add(
                Health::Broken,
                about,
                format!("{}: {error}", socket.display()),
                "restart the daemon",
            ),
            Ok(found) if found.permissions().mode() & 0o077 != 0 => {
                findings.add(
                    Health::Broken,
                    about,
                    format!("{} can be used by others", socket.display()),
                    format!("`chmod 600 {}`", socket.display()),
                );
            }
            Ok(_) => findings.ok(about, socket.display().to_string()),
        }
    }
}

fn store(findings: &mut Findings, admin: &Admin, daemon_runs: bool) {
    let inspection = match admin.ask(Inspect {}) {
        Ok(inspection) => inspection,
        Err(failure) => return findings.failure("store", failure),
    };
    let by = if daemon_runs {
        "open in the daemon"
    } else {
        "opens"
    };
    findings.ok(
        "store",
        format!(
            "{by}: {}, {}, {}, {} in the journal",
            counted(inspection.servers, "server"),
            counted(inspection.policies, "policy"),
            counted(inspection.grants, "grant"),
            counted(inspection.journal_entries, "entry")
        ),
    );
    inspection
        .troubles
        .iter()
        .for_each(|it| findings.trouble(it));
}

//! `provost backup` and `provost restore`.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use provost_admin::{
    Actor, Backup as WriteArchive, Ended, Restoration, Restore as ReadArchive, Restored, Time,
    restore,
};

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::locations::absolute;
use crate::terminal::{counted, escape, style};
use crate::when;

/// Back up everything into one archive
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  provost backup provost-2026-11-20.backup
  provost backup --with-key /safe/place/provost.backup

It works while a daemon runs. Without `--with-key`, nobody can read secrets
from the archive alone; restoring it needs the key file in the configuration
directory.")]
pub(crate) struct Backup {
    /// The archive to write; it must not exist
    archive: PathBuf,
    /// Put the key in too: the archive is then as secret as everything in it
    #[arg(long)]
    with_key: bool,
}

/// Restore a backup
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  provost restore provost.backup
  provost --data /srv/provost restore --replace provost.backup

The archive is verified with the key in the configuration directory.
`--unverified` restores one that cannot be verified: whoever could write the
file may then have put grants, policies and records of their own into it. The
journal records that it was done.

With `--replace`, what is in the data directory is moved to a directory beside
it once the archive has been checked. A running daemon finishes its calls,
restores, and starts again.")]
pub(crate) struct Restore {
    /// The archive
    archive: PathBuf,
    /// Replace what is in the data directory; it is moved to a directory beside it
    #[arg(long)]
    replace: bool,
    /// Restore an archive that cannot be verified with the key from here
    #[arg(long)]
    unverified: bool,
}

// === impl Backup ===

impl Backup {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let view = context.admin()?.ask(WriteArchive {
            archive: absolute(&self.archive)?,
            with_key: self.with_key,
        })?;
        context.output.show(&view, |out| {
            writeln!(
                out,
                "wrote {} ({} bytes)",
                escape(&view.archive.display().to_string()),
                view.bytes
            )?;
            if !view.with_key {
                writeln!(
                    out,
                    "without the key: restoring needs the key file of the configuration directory"
                )?;
            }
            writeln!(out, "head {}", escape(&view.head))
        })
    }
}

// === impl Restore ===

impl Restore {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let admin = context.admin()?;
        let wish = ReadArchive {
            archive: absolute(&self.archive)?,
            unverified: self.unverified,
        };
        let restored: Restored = if !admin.daemon_runs()? {
            let how = Restoration {
                restore: wish,
                replace: self.replace,
                now: when::now(),
            };
            restore(&Actor::local(), &admin.places().store(), &how)?
        } else if self.replace {
            admin.ask(wish)?
        } else {
            return Err(Failure::conflict("a daemon is using this data directory")
                .hint("with `--replace` it finishes its calls, restores, and starts again"));
        };
        context.output.show(&restored, |out| {
            let data = admin.places().data.display().to_string();
            writeln!(out, "restored {}, head {}", escape(&data), escape(&restored.head))?;
            if let Some(reason) = &restored.unverified {
                writeln!(out, "unverified: {}", escape(reason))?;
                writeln!(
                    out,
                    "look at `provost grant list` and `provost policy list`: what is in them was not verified"
                )?;
            }
            if let Some(aside) = &restored.put_aside {
                writeln!(
                    out,
                    "what was there before is in {}",
                    escape(&aside.display().to_string())
                )?;
            }
            compared(out, &restored)
        })
    }
}

/// What works again, and what is gone, compared with what was there before.
fn compared(out: &mut dyn Write, restored: &Restored) -> io::Result<()> {
    if let Some(lost) = &restored.entries_lost {
        let (first, last) = (
            when::show_local(Time(lost.first)),
            when::show_local(Time(lost.last)),
        );
        let entries = counted(lost.entries, "entry");
        writeln!(
            out,
            "the journal ends earlier: {entries} ({first} to {last}) are only in what was there before"
        )?;
    }
    let (warning, hint, reset) = (style::WARNING, style::HINT, anstyle::Reset);
    for grant in &restored.grants_in_force_again {
        let (label, server) = (escape(&grant.label), escape(&grant.server));
        let was = match grant.was {
            Ended::Revoked => "was revoked after the backup and is in force again",
            Ended::Rotated => "got a new token after the backup; its earlier token works again",
        };
        writeln!(
            out,
            "{warning}warning{reset}: grant `{label}` on `{server}` {was}"
        )?;
        writeln!(
            out,
            "   {hint}hint{reset}: `provost grant revoke {label} --server {server}`"
        )?;
    }
    if let Some(reason) = &restored.not_compared {
        writeln!(
            out,
            "{warning}warning{reset}: what was there before cannot be read ({}), so it is not known which grants had been revoked since; look at `provost grant list`",
            escape(reason)
        )?;
    }
    Ok(())
}

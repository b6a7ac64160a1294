//! `provost audit`.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use provost_admin::{
    AuditExport, AuditHead, AuditVerify, ExportFormat, FailureKind as Kind, Reply, RequestKind,
};

use crate::admin::{Admin, connect_admin, here_export, send};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::runtime::block_on;
use crate::terminal::{counted, escape, style};
use crate::when::since;

/// Verify that the history is complete and unchanged, or export it
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Read the whole journal and check every entry
    #[command(after_help = "\
Examples:
  provost audit verify
  provost audit head > head.txt
  provost audit verify --head @head.txt

With a head that was printed earlier and kept elsewhere, it also proves that no
entry up to it was removed, and that nobody who has the key rewrote the chain.
Without a head, neither can be noticed, nor that entries were cut off the end.")]
    Verify(Verify),
    /// Print the end of the chain, to be kept elsewhere
    Head,
    /// Write all records and changes, oldest first
    #[command(after_help = "\
Examples:
  provost audit export --format csv --output records.csv
  provost audit export --since 2026-11-01 --server files
  provost audit export | jq 'select(.decision == \"deny\")'")]
    Export(Export),
}

/// Read the whole journal and check every entry
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// A head that was printed earlier, or `@FILE` with one
    #[arg(long, value_name = "HEAD")]
    head: Option<String>,
}

/// Write all records and changes
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The format
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
    /// Nothing older than `10m`, `2h`, `2026-11-20`, or a time as in RFC 3339
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only calls to this server, and no changes
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// Only calls of this grant, by label or id, and no changes
    #[arg(long, value_name = "GRANT")]
    grant: Option<String>,
    /// The file to write; it must not exist [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The format of an export
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// One JSON document per line
    Jsonl,
    /// Comma-separated values with a heading
    Csv,
}

// === impl Audit ===

impl Audit {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        match self {
            Audit::Verify(verify) => verify.run(context),
            Audit::Head => {
                let head = context.admin()?.ask(AuditHead {})?;
                let body = serde_json::json!({ "head": head });
                context.output.show(&body, |out| writeln!(out, "{head}"))
            }
            Audit::Export(export) => export.run(context),
        }
    }
}

// === impl Verify ===

impl Verify {
    fn run(self, context: &Context) -> Outcome {
        let head = self.head.map(|head| match head.strip_prefix('@') {
            None => Ok(head),
            Some(file) => head_in(file),
        });
        let head = head.transpose()?;
        let audit = context.admin()?.ask(AuditVerify { head })?;
        context.output.show(&audit, |out| {
            let reset = anstyle::Reset;
            if audit.intact {
                writeln!(
                    out,
                    "{}intact{reset}: {} in {}",
                    style::GOOD,
                    counted(audit.entries, "entry"),
                    counted(audit.segments, "segment")
                )?;
            } else {
                writeln!(
                    out,
                    "{}damaged{reset}: {}; {} intact",
                    style::ERROR,
                    counted(audit.damage.len(), "place"),
                    counted(audit.entries, "entry")
                )?;
                audit
                    .damage
                    .iter()
                    .try_for_each(|damage| writeln!(out, "  {}", escape(damage)))?;
            }
            if audit.first > 1 {
                writeln!(
                    out,
                    "the first entry is {}: a signed checkpoint accounts for what retention removed",
                    audit.first
                )?;
            }
            writeln!(out, "head {}", escape(&audit.head))
        })?;
        if audit.intact {
            Ok(())
        } else {
            Err(Failure {
                kind: Kind::Damaged,
                ..Failure::reported()
            })
        }
    }
}

/// The head in a file, as `audit head` or `audit head --json` printed it.
fn head_in(file: &str) -> Outcome<String> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::unavailable(format!("cannot read file `{file}`")).because(error)
    })?;
    let json: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let json = json.as_ref().and_then(|json| json.get("head")?.as_str());
    Ok(json.unwrap_or_else(|| text.trim()).to_owned())
}

// === impl Format ===

impl From<Format> for ExportFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Jsonl => ExportFormat::Jsonl,
            Format::Csv => ExportFormat::Csv,
        }
    }
}

// === impl Export ===

impl Export {
    fn run(self, context: &Context) -> Outcome {
        let admin = context.admin()?;
        let Some(path) = &self.output else {
            return self.write(&admin, std::io::stdout().lock());
        };
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| refused(path, error))?;
        self.write(&admin, file).inspect_err(|_| {
            // Half an export must not be taken for a whole one. If it stays, the error says so anyway.
            drop(std::fs::remove_file(path));
        })
    }

    fn write(&self, admin: &Admin, out: impl Write) -> Outcome {
        let mut out = BufWriter::new(out);
        let since = self.since.as_deref().map(since).transpose()?;
        let what = AuditExport {
            format: self.format.into(),
            since,
            server: self.server.clone(),
            grant: self.grant.clone(),
        };
        let through_daemon = block_on(async {
            let Some(stream) = connect_admin(admin.places()).await? else {
                return Ok(false);
            };
            let answer = send(stream, "/v1/export", &what).await?;
            let mut body = whole_or_failure(answer).await?;
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| {
                    Failure::unavailable("the export is incomplete: the daemon stopped sending it")
                        .because(error)
                })?;
                if let Ok(bytes) = frame.into_data() {
                    out.write_all(&bytes).map_err(cannot_write)?;
                }
            }
            Ok(true)
        })?;
        if !through_daemon {
            here_export(&admin.open(RequestKind::AuditExport)?, &what, &mut out)?;
        }
        out.flush().map_err(cannot_write)
    }
}

/// The body of an export; the daemon's refusal is JSON, which an export never is.
async fn whole_or_failure(answer: hyper::Response<Incoming>) -> Outcome<Incoming> {
    let status = answer.status();
    let kind = answer.headers().get(hyper::header::CONTENT_TYPE);
    let is_export = kind.is_none_or(|kind| kind != "application/json");
    if status.is_success() && is_export {
        return Ok(answer.into_body());
    }
    let failed = || {
        Failure::unavailable("the daemon refused to export")
            .because(format!("it answered {status}"))
    };
    let body = answer.into_body().collect().await.map_err(|_| failed())?;
    let reply = serde_json::from_slice::<Reply<()>>(&body.to_bytes()).map_err(|_| failed())?;
    reply.into_result().and_then(|()| Err(failed()))
}

fn refused(path: &std::path::Path, error: std::io::Error) -> Failure {
    let kind = if error.kind() == std::io::ErrorKind::AlreadyExists {
        Kind::Conflict
    } else {
        Kind::Unavailable
    };
    Failure::new(kind, format!("cannot create `{}`", path.display())).because(error)
}

fn cannot_write(error: std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        return Failure::reported();
    }
    Failure::unavailable("the export cannot be written").because(error)
}

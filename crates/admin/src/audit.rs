//! The chain: its head, its verification, its export.

use std::io::Write;

use provost_store::{ExportFormat, Head, HeadError};
use serde::{Deserialize, Serialize};

use crate::refusal::store_failure;
use crate::{Actor, Administration, Failure, Outcome};

/// Verifies the chain.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditVerify {
    /// A head that was printed earlier, and that the chain must go through.
    pub head: Option<String>,
}

/// The chain as it was verified.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditView {
    /// Whether nothing is wrong.
    pub intact: bool,
    /// Entries that are as they were written.
    pub entries: u64,
    /// Files they are in.
    pub segments: u32,
    /// The first entry there is.
    pub first: u64,
    /// The end.
    pub head: String,
    /// Everything that is wrong.
    pub damage: Vec<String>,
}

/// The end of the chain.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditHead {}

/// All records and changes, as they are streamed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditExport {
    /// In which format.
    pub format: AuditFormat,
}

/// The format of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditFormat {
    /// One JSON document per line.
    Jsonl,
    /// Comma-separated values with a heading.
    Csv,
}

pub(crate) fn verify(wish: AuditVerify, to: &Administration<'_>, _: &Actor) -> Outcome<AuditView> {
    let head: Option<Head> = wish
        .head
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|error: HeadError| Failure::usage(error.to_string()))?;
    let verified = to
        .store
        .audit_verify(head)
        .map_err(|error| store_failure(&error))?;
    let mut damage: Vec<String> = verified.damage.iter().map(ToString::to_string).collect();
    damage.extend(verified.refused.iter().map(|refused| {
        format!("{refused} is not what the journal says it is; it is not in force")
    }));
    damage.extend(
        verified
            .database
            .iter()
            .map(|what| format!("the database `provost.db`: {what}")),
    );
    if verified.rebuilt > 0 {
        damage.push(format!(
            "{} records were not what the journal says; they were made again from it",
            verified.rebuilt
        ));
    }
    Ok(AuditView {
        intact: verified.intact(),
        entries: verified.entries,
        segments: verified.segments,
        first: verified.first,
        head: verified.head.to_string(),
        damage,
    })
}

pub(crate) fn head(_: AuditHead, to: &Administration<'_>, _: &Actor) -> Outcome<String> {
    Ok(to.store.audit_head().to_string())
}

/// Writes what is exported.
pub(crate) fn export(
    store: &provost_store::Store,
    what: &AuditExport,
    out: &mut dyn Write,
) -> Outcome {
    let format = match what.format {
        AuditFormat::Jsonl => ExportFormat::Jsonl,
        AuditFormat::Csv => ExportFormat::Csv,
    };
    store
        .audit_export(format, out)
        .map(drop)
        .map_err(|error| store_failure(&error))
}

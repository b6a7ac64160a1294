//! The chain: its head, its verification, its export.

use std::io::Write;

pub use provost_store::ExportFormat;
use provost_store::{Filter, Head, HeadError, Store};
use serde::{Deserialize, Serialize};

use crate::{Actor, Administration, Failure, Micros, Outcome};

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
    pub format: ExportFormat,
    /// Nothing older.
    #[serde(default)]
    pub since: Option<Micros>,
    /// Only calls to this server.
    #[serde(default)]
    pub server: Option<String>,
    /// Only calls of this grant, by label or id.
    #[serde(default)]
    pub grant: Option<String>,
}

pub(crate) fn verify(wish: AuditVerify, to: &Administration<'_>, _: &Actor) -> Outcome<AuditView> {
    let head: Option<Head> = wish
        .head
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|error: HeadError| Failure::usage(error.to_string()))?;
    let verified = to.store.audit_verify(head)?;
    let mut damage: Vec<String> = verified.damage.iter().map(ToString::to_string).collect();
    damage.extend(differing(to.store, &verified.refused)?);
    damage.extend(
        verified
            .database
            .iter()
            .map(|what| format!("the database `provost.db`: {what}")),
    );
    if verified.rebuilt > 0 {
        damage.push(match verified.rebuilt {
            1 => "1 record differed from the journal; it was made again from it".to_owned(),
            many => {
                format!("{many} records differed from the journal; they were made again from it")
            }
        });
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

/// What differs from what the journal says, in words; one line for a database that holds none of it.
pub(crate) fn differing(store: &Store, refused: &[String]) -> Outcome<Vec<String>> {
    if refused.len() > 1
        && store.servers()?.is_empty()
        && store.policies(None)?.is_empty()
        && store.grants(None)?.is_empty()
    {
        return Ok(vec![format!(
            "the database `provost.db` was removed, emptied or replaced: none of the {} servers, policies and grants \
             (and what belongs to them) that the journal knows of is in it; restore a backup",
            refused.len()
        )]);
    }
    let line = |what| format!("{what} differs from what the journal says; it is not in force");
    Ok(refused.iter().map(line).collect())
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
    let only = Filter {
        server: what.server.clone(),
        grant: what.grant.clone(),
        since: what.since,
        ..Filter::default()
    };
    store
        .audit_export(what.format, &only, out)
        .map(drop)
        .map_err(Failure::from)
}

//! `provost metrics`.

use std::collections::BTreeMap;

use clap::Args;
use provost_admin::Metrics as Read;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::escape_block;

/// Print the metrics of the running daemon, as Prometheus reads them
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  provost metrics
  provost metrics --json

Exits with 5 when no daemon runs.")]
pub(crate) struct Metrics {}

/// One line of them, for scripts.
#[derive(Debug, Serialize, PartialEq)]
struct Sample<'m> {
    name: &'m str,
    labels: BTreeMap<&'m str, &'m str>,
    value: f64,
}

// === impl Metrics ===

impl Metrics {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let text = context.admin()?.ask(Read {})?;
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let samples = samples.map(|line| {
            Sample::read(line).ok_or_else(|| {
                Failure::internal("the daemon's metrics cannot be read").hint(
                    "this command and the daemon may be of different versions; restart the daemon",
                )
            })
        });
        let samples = samples.collect::<Outcome<Vec<_>>>()?;
        context
            .output
            .show(&samples, |out| write!(out, "{}", escape_block(&text)))
    }
}

// === impl Sample ===

impl<'m> Sample<'m> {
    /// Reads `name value` or `name{label="value",…} value`. Labels are names that need no escaping.
    fn read(line: &'m str) -> Option<Self> {
        let (name, value) = line.rsplit_once(' ')?;
        let (name, labels) = match name.strip_suffix('}') {
            None => (name, ""),
            Some(name) => name.split_once('{')?,
        };
        let label = |label: &'m str| {
            let (key, value) = label.split_once('=')?;
            Some((key, value.strip_prefix('"')?.strip_suffix('"')?))
        };
        let labels = labels.split(',').filter(|label| !label.is_empty());
        Some(Sample {
            name,
            labels: labels.map(label).collect::<Option<_>>()?,
            value: value.parse().ok()?,
        })
    }
}

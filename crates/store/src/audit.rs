//! The audit: head, verification, export, retention.

mod export;
mod prune;
mod verify;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Damage;
use crate::journal::{End, hex, parse_mac};

/// The end of the chain: whoever keeps this can prove later that nothing
/// before it was cut or changed. Printed as `<number>:<mac>`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Head {
    /// The last entry's number.
    pub number: u64,
    /// Its place in the chain.
    pub mac: [u8; 32],
}

/// The text is not a head.
#[derive(Debug, thiserror::Error)]
#[error("this is not a head of the journal; `provost audit head` prints the present one")]
pub struct HeadError;

/// What verification found.
#[derive(Debug, Clone)]
pub struct Verified {
    /// Segments read.
    pub segments: u32,
    /// Entries read and found intact.
    pub entries: u64,
    /// The number of the first entry there is; above 1 when a checkpoint
    /// stands for what retention removed.
    pub first: u64,
    /// The end of the chain.
    pub head: Head,
    /// Everything that is wrong, in order.
    pub damage: Vec<Damage>,
    /// Grants, servers and policies whose rows are not what the journal says:
    /// they are not in force.
    pub refused: Vec<String>,
    /// What of the database's file and schema is not as this program made it.
    pub database: Vec<String>,
    /// How many records and acts were not what the journal says. They were
    /// made again from it.
    pub rebuilt: u64,
}

/// How records leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    /// One JSON object for each line.
    Jsonl,
    /// Comma-separated, with a header; cells cannot become formulas.
    Csv,
}

/// What retention removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    /// How many segments went.
    pub segments: u32,
    /// How many records went.
    pub records: u64,
    /// The last entry that went, which a checkpoint in the journal carries.
    pub up_to: Option<Head>,
}

// === impl Verified ===

impl Verified {
    /// Whether nothing is wrong.
    pub fn intact(&self) -> bool {
        self.damage.is_empty()
            && self.refused.is_empty()
            && self.database.is_empty()
            && self.rebuilt == 0
    }
}

// === impl Head ===

impl From<End> for Head {
    fn from(End { number, mac, .. }: End) -> Self {
        Self { number, mac }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.number, hex(&self.mac))
    }
}

impl FromStr for Head {
    type Err = HeadError;

    fn from_str(text: &str) -> Result<Self, HeadError> {
        let (number, mac) = text.trim().split_once(':').ok_or(HeadError)?;
        let number = number.parse().map_err(|_| HeadError)?;
        let mac = parse_mac(mac.as_bytes()).ok_or(HeadError)?;
        Ok(Self { number, mac })
    }
}

//! Calls that go on in several requests: what seals them, and how far each has
//! come, so that both outlive a restart.

use std::collections::HashMap;

use hmac::{Hmac, KeyInit, Mac as _};
use rusqlite::{Connection, OptionalExtension};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::database::uint;
use crate::keys::Key;
use crate::{CallId, Store, StoreError};

/// What these keys are for, so that they are no other keys.
const PURPOSE: &[u8] = b"provost: calls that agents continue";

/// How far a call of several requests has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WentOn {
    /// So many of them went upstream in the time that was asked for.
    pub requests: u32,
    /// When the last one did, unix time in microseconds.
    pub last: u64,
}

// === impl Store ===

impl Store {
    /// The keys for what agents carry from one request of a call to the next,
    /// the newest first: one of each key in the key file.
    pub fn continuation_keys(&self) -> Vec<Zeroizing<[u8; 32]>> {
        let keys = self.0.keys.seals();
        keys.iter().rev().map(derived).collect()
    }

    /// The calls of which more than one request went upstream since `wall` (unix
    /// time in microseconds). Whatever may have gone counts.
    pub fn continued_since(&self, wall: u64) -> Result<HashMap<CallId, WentOn>, StoreError> {
        self.0.folder.fold()?;
        let connection = self.0.database.reading_alone()?;
        let first = first_since(&connection, wall)?;
        let mut statement = connection.prepare(
            "SELECT call, count(*), max(at) FROM records WHERE n >= ?1 AND decision = 'allow' \
             AND (status IS NULL OR status <> 'not_sent') GROUP BY call HAVING count(*) > 1",
        )?;
        let mut rows = statement.query([first])?;
        let mut continued = HashMap::new();
        while let Some(row) = rows.next()? {
            let call = CallId::new(u128::from_be_bytes(row.get(0)?));
            let went_on = WentOn {
                requests: row.get(1)?,
                last: uint(row.get(2)?),
            };
            continued.insert(call, went_on);
        }
        Ok(continued)
    }
}

/// The first record of about that time. Records are numbered as time goes, and
/// their times have no index.
fn first_since(connection: &Connection, wall: u64) -> Result<i64, StoreError> {
    let last = connection.query_row("SELECT coalesce(max(n), 0) FROM records", [], |row| {
        row.get(0)
    })?;
    let (mut low, mut high): (i64, i64) = (0, last);
    let mut at = connection.prepare("SELECT at FROM records WHERE n >= ?1 ORDER BY n LIMIT 1")?;
    while low < high {
        let middle = low + (high - low) / 2;
        let then = at.query_row([middle], |row| row.get(0)).optional()?;
        if then.is_some_and(|then: i64| uint(then) < wall) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

fn derived(key: &Key) -> Zeroizing<[u8; 32]> {
    let mut block = Zeroizing::new([0; 64]);
    for (place, byte) in block.iter_mut().zip(key.bytes.iter()) {
        *place = *byte;
    }
    let mut mac = <Hmac<Sha256> as KeyInit>::new((&*block).into());
    mac.update(PURPOSE);
    Zeroizing::new(mac.finalize().into_bytes().into())
}

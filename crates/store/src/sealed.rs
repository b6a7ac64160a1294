//! The table of sealed values, and key rotation.

use rusqlite::{Connection, OptionalExtension, Transaction};

use crate::change::Change;
use crate::keys::Keyring;
use crate::seal::{DoesNotOpen, Place, seal, sealed_version, unseal};
use crate::{Act, Actor, ChangeError, Secret, Store, StoreError};

/// Names with secret values: headers, or variables of an environment.
pub type SealedPairs = Vec<(String, Secret)>;

/// Headers of a server.
pub(crate) const HEADER: &str = "header";
/// Parts of a server's query.
pub(crate) const QUERY: &str = "query";
/// Variables of a server's environment.
pub(crate) const ENV: &str = "env";
/// The token of a grant.
pub(crate) const TOKEN: &str = "token";

/// Seals one value into its place, over whatever is there.
pub(crate) fn put(
    tx: &Transaction<'_>,
    keys: &Keyring,
    place: Place<'_>,
    order: i64,
    secret: &Secret,
) -> Result<(), StoreError> {
    let sealed = seal(keys, place, secret)?;
    tx.prepare_cached(
        "INSERT OR REPLACE INTO secrets (owner, field, name, place, sealed)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute((place.owner, place.field, place.name, order, sealed))?;
    Ok(())
}

/// Replaces all values of one kind of an owner.
pub(crate) fn put_all(
    tx: &Transaction<'_>,
    keys: &Keyring,
    owner: &str,
    field: &str,
    pairs: &SealedPairs,
) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM secrets WHERE owner = ?1 AND field = ?2",
        (owner, field),
    )?;
    for (order, (name, secret)) in (0..).zip(pairs) {
        put(tx, keys, Place { owner, field, name }, order, secret)?;
    }
    Ok(())
}

/// Opens one value.
pub(crate) fn get(
    connection: &Connection,
    keys: &Keyring,
    place: Place<'_>,
) -> Result<Option<Secret>, StoreError> {
    let sealed: Option<String> = connection
        .prepare_cached("SELECT sealed FROM secrets WHERE owner = ?1 AND field = ?2 AND name = ?3")?
        .query_row((place.owner, place.field, place.name), |row| row.get(0))
        .optional()?;
    sealed
        .map(|sealed| unseal(keys, place, &sealed).map_err(|why| why.at(place)))
        .transpose()
}

/// What was found of one kind: what opens, in order, and what does not.
pub(crate) type Opened = (SealedPairs, Vec<(String, DoesNotOpen)>);

/// Opens all values of one kind of an owner.
pub(crate) fn get_all(
    connection: &Connection,
    keys: &Keyring,
    owner: &str,
    field: &str,
) -> Result<Opened, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT name, sealed FROM secrets WHERE owner = ?1 AND field = ?2 ORDER BY place",
    )?;
    let mut rows = statement.query((owner, field))?;
    let (mut pairs, mut closed) = Opened::default();
    while let Some(row) = rows.next()? {
        let (name, sealed): (String, String) = (row.get(0)?, row.get(1)?);
        let place = Place {
            owner,
            field,
            name: &name,
        };
        match unseal(keys, place, &sealed) {
            Ok(secret) => pairs.push((name, secret)),
            Err(why) => closed.push((name, why)),
        }
    }
    Ok((pairs, closed))
}

/// Forgets all values of an owner.
pub(crate) fn forget(tx: &Transaction<'_>, owner: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM secrets WHERE owner = ?1", [owner])?;
    Ok(())
}

/// What sealing again came to.
struct Resealed {
    done: u64,
    /// Values that do not open: they stay as they are.
    left: u64,
}

/// Seals with the newest key what an older one sealed.
fn reseal(tx: &Transaction<'_>, keys: &Keyring) -> Result<Resealed, StoreError> {
    let newest = keys.newest_seal().map_or(0, |key| key.version);
    let mut statement = tx.prepare("SELECT owner, field, name, place, sealed FROM secrets")?;
    let rows = statement.query_map([], |row| {
        Ok((
            row.get(0)?,
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
        ))
    })?;
    let rows: Vec<(String, String, String, i64, String)> = rows.collect::<Result<_, _>>()?;
    let mut count = Resealed { done: 0, left: 0 };
    for (owner, field, name, order, sealed) in rows {
        if sealed_version(&sealed) != Some(newest) {
            let place = Place {
                owner: &owner,
                field: &field,
                name: &name,
            };
            match unseal(keys, place, &sealed) {
                Ok(secret) => {
                    put(tx, keys, place, order, &secret)?;
                    count.done += 1;
                }
                // Whoever uses it is refused by itself; the others go on.
                Err(_) => count.left += 1,
            }
        }
    }
    Ok(count)
}

/// Why values are sealed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rotation {
    /// Somebody asked for a new key.
    Asked,
    /// The last process did not finish.
    Unfinished,
}

// === impl Store ===

impl Store {
    /// Makes new keys for what is sealed and for the chain, and seals again
    /// what there is. Returns the new version.
    ///
    /// The key file comes first, in one step: from then on both versions are
    /// readable, and whatever is not done when the process stops is done at
    /// the next start.
    pub fn rotate_key(&self, who: &Actor) -> Result<u32, ChangeError> {
        let inner = &self.0;
        let _alone = self.alone()?;
        let version = inner.keys.rotate()?;
        self.reseal_all(who, version, Rotation::Asked)?;
        if let Some(key) = inner.keys.newest_chain() {
            inner.journal.roll_to(key)?;
        }
        Ok(version)
    }

    /// Finishes a rotation that the last process did not.
    pub(crate) fn reseal_if_needed(&self) -> Result<(), StoreError> {
        let newest = self.0.keys.newest_seal().map_or(0, |key| key.version);
        let old = "SELECT EXISTS (SELECT 1 FROM secrets WHERE sealed NOT LIKE ?1)";
        let needed: bool =
            self.0
                .database
                .reading()
                .query_row(old, [format!("v{newest}:%")], |row| row.get(0))?;
        if !needed {
            return Ok(());
        }
        self.reseal_all(&Actor::new("provost"), newest, Rotation::Unfinished)
            .map_err(|error| match error {
                ChangeError::Store(error) => error,
                other => StoreError::Sealed(other.to_string()),
            })
    }

    fn reseal_all(&self, who: &Actor, version: u32, why: Rotation) -> Result<(), ChangeError> {
        self.change(who, Act::KeyRotate, |tx, _| {
            let Resealed { done, left } = reseal(tx, &self.0.keys)?;
            if done == 0 && why == Rotation::Unfinished {
                return Ok(Change::Already(()));
            }
            let mut detail = format!("{done} values sealed again");
            if left > 0 {
                detail.push_str(&format!(", {left} do not open"));
            }
            Ok(Change::detailed((), format!("version {version}"), detail))
        })
    }
}

//! Grants as rows.

use std::sync::Arc;

use provost_policy::Text;
use rusqlite::{Connection, Transaction};

use crate::database::{int, uint};
use crate::directory::TokenHash;
use crate::policies::CurrentPolicies;
use crate::{Grant, GrantId, ServerId, StoreError};

/// A grant with what only the store knows.
#[derive(Debug)]
pub(crate) struct GrantRow {
    pub(crate) grant: Grant,
    pub(crate) token: TokenHash,
    pub(crate) revoked: Option<u64>,
}

/// Which grants to read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which<'a> {
    /// Those that were not revoked.
    Live,
    /// All of them; revoked ones last.
    All,
    /// This one.
    One(&'a GrantId),
}

const COLUMNS: &str =
    "id, server, server_name, label, token, policy, shadow, parent, expires, created, revoked";

/// Reads grants, oldest first.
pub(crate) fn load(
    connection: &Connection,
    policies: &CurrentPolicies,
    which: Which<'_>,
) -> Result<Vec<GrantRow>, StoreError> {
    let (filter, id) = match which {
        Which::Live => ("revoked IS NULL AND ?1 IS NULL", None),
        Which::All => ("?1 IS NULL", None),
        Which::One(id) => ("id = ?1", Some(id.as_str())),
    };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM grants WHERE {filter} ORDER BY revoked IS NOT NULL, created, id"
    ))?;
    let mut rows = statement.query([id])?;
    let mut grants = Vec::new();
    while let Some(row) = rows.next()? {
        let text = |index| Ok::<_, rusqlite::Error>(Text::from(row.get::<_, String>(index)?));
        let policy = |index| {
            let number: Option<i64> = row.get(index)?;
            Ok::<_, rusqlite::Error>(
                number
                    .and_then(|number| policies.get(&number))
                    .map(Arc::clone),
            )
        };
        let time = |index| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(index)?.map(uint));
        let grant = Grant {
            id: GrantId(text(0)?),
            server: ServerId(text(1)?),
            server_name: text(2)?,
            label: text(3)?,
            policy: policy(5)?,
            shadow: policy(6)?,
            parent: row
                .get::<_, Option<String>>(7)?
                .map(|id| GrantId(Text::from(id))),
            expires: time(8)?,
            created: uint(row.get(9)?),
        };
        grants.push(GrantRow {
            grant,
            token: row.get(4)?,
            revoked: time(10)?,
        });
    }
    Ok(grants)
}

/// Revokes a grant and everything below it; returns what was live, from the
/// top down.
pub(crate) fn revoke_tree(
    tx: &Transaction<'_>,
    top: &GrantId,
    now: u64,
) -> Result<Vec<GrantId>, StoreError> {
    let mut statement = tx.prepare_cached(
        "WITH RECURSIVE tree (id, depth) AS (
             SELECT ?1, 0
             UNION SELECT grants.id, tree.depth + 1 FROM grants JOIN tree ON grants.parent = tree.id
         )
         SELECT grants.id FROM grants JOIN tree ON grants.id = tree.id
         WHERE grants.revoked IS NULL ORDER BY tree.depth, grants.created, grants.id",
    )?;
    let ids = statement.query_map([top.as_str()], |row| row.get(0))?;
    let ids: Vec<String> = ids.collect::<Result<_, _>>()?;
    let mut update = tx.prepare_cached("UPDATE grants SET revoked = ?2 WHERE id = ?1")?;
    let mut forget = tx.prepare_cached("DELETE FROM secrets WHERE owner = ?1")?;
    for id in &ids {
        update.execute((id, int(now)))?;
        // A dead token is nobody's business.
        forget.execute([id])?;
    }
    Ok(ids.into_iter().map(|id| GrantId(Text::from(id))).collect())
}

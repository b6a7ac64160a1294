//! Grants as rows.

use provost_policy::Text;
use rusqlite::{Connection, Params, Row, Transaction};

use crate::database::{int, uint};
use crate::policies::CurrentPolicies;
use crate::{Grant, GrantId, ServerId, StoreError};

/// A grant with what only the store knows.
#[derive(Debug)]
pub(crate) struct GrantRow {
    pub(crate) grant: Grant,
    pub(crate) revoked: Option<u64>,
}

/// Which grants to read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which<'a> {
    /// Those that were not revoked, in no order.
    Live,
    /// All of them; revoked ones last.
    All,
    /// All on this server; revoked ones last.
    On(&'a ServerId),
    /// This one.
    One(&'a GrantId),
}

/// Reads grants: oldest first, where people see them.
pub(crate) fn load(connection: &Connection, which: Which<'_>) -> Result<Vec<GrantRow>, StoreError> {
    load_with(connection, which, &mut CurrentPolicies::new(connection))
}

/// [`load`] with what was read of policies before.
pub(crate) fn load_with(
    connection: &Connection,
    which: Which<'_>,
    policies: &mut CurrentPolicies<'_>,
) -> Result<Vec<GrantRow>, StoreError> {
    const OLDEST_FIRST: &str = "ORDER BY g.revoked IS NOT NULL, g.created, g.id";
    let (filter, order, value) = match which {
        Which::Live => ("g.revoked IS NULL AND ?1 IS NULL", "", None),
        Which::All => ("?1 IS NULL", OLDEST_FIRST, None),
        Which::On(server) => ("g.opens = ?1", OLDEST_FIRST, Some(server.as_str())),
        Which::One(id) => ("g.id = ?1", "", Some(id.as_str())),
    };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT g.id, g.opens, g.opens_name, g.label, g.token, s.policy, s.shadow, g.parent,
             g.expires, g.created, g.revoked
         FROM grants g LEFT JOIN grant_servers s ON s.grant_id = g.id AND s.server = g.opens
         WHERE {filter} {order}"
    ))?;
    let mut rows = statement.query([value])?;
    let mut grants = Vec::new();
    while let Some(row) = rows.next()? {
        grants.push(grant_from(row, policies)?);
    }
    Ok(grants)
}

fn grant_from(row: &Row<'_>, policies: &mut CurrentPolicies<'_>) -> Result<GrantRow, StoreError> {
    let text = |index| Ok::<_, rusqlite::Error>(Text::from(row.get::<_, String>(index)?));
    let time = |index| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(index)?.map(uint));
    let mut policy = |index| match row.get::<_, Option<i64>>(index)? {
        Some(number) => policies.get(number),
        None => Ok(None),
    };
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
        token: row.get::<_, Vec<u8>>(4)?.try_into().ok(),
    };
    Ok(GrantRow {
        grant,
        revoked: time(10)?,
    })
}

/// Ids of live grants with this id or label, of one server or of all: none, one,
/// or two of more. What it costs depends neither on grants nor on servers.
pub(crate) fn find_live(
    connection: &Connection,
    server: Option<&ServerId>,
    id_or_label: &str,
) -> Result<Vec<GrantId>, StoreError> {
    let Some(server) = server else {
        return ids(
            connection,
            "SELECT id FROM (SELECT id FROM grants WHERE label = ?1 AND revoked IS NULL LIMIT 2)
             UNION SELECT id FROM grants WHERE id = ?1 AND revoked IS NULL LIMIT 2",
            [id_or_label],
        );
    };
    ids(
        connection,
        "SELECT id FROM grants WHERE opens = ?1 AND label = ?2 AND revoked IS NULL
         UNION SELECT id FROM grants WHERE id = ?2 AND opens = ?1 AND revoked IS NULL",
        [server.as_str(), id_or_label],
    )
}

/// The live grant with this label on a server.
pub(crate) fn labelled(
    connection: &Connection,
    server: &ServerId,
    label: &str,
) -> Result<Option<GrantId>, StoreError> {
    let found = ids(
        connection,
        "SELECT id FROM grants WHERE opens = ?1 AND label = ?2 AND revoked IS NULL",
        [server.as_str(), label],
    )?;
    Ok(found.into_iter().next())
}

/// Ids of the live grants on a server.
pub(crate) fn live_on(
    connection: &Connection,
    server: &ServerId,
) -> Result<Vec<GrantId>, StoreError> {
    ids(
        connection,
        "SELECT id FROM grants WHERE revoked IS NULL AND opens = ?1 ORDER BY created, id",
        [server.as_str()],
    )
}

/// Whom a change of policies reaches: the grants that have one of them, live or not.
pub(crate) fn users_of(connection: &Connection, policy: i64) -> Result<Vec<GrantId>, StoreError> {
    ids(
        connection,
        "SELECT grant_id FROM grant_servers WHERE policy = ?1 OR shadow = ?1",
        [policy],
    )
}

/// The live grants below one. Joined in this order (`CROSS`), or all live grants
/// would be gone through.
pub(crate) fn below(connection: &Connection, top: &GrantId) -> Result<Vec<GrantId>, StoreError> {
    ids(
        connection,
        "WITH RECURSIVE tree (id) AS (
             SELECT id FROM grants WHERE parent = ?1
             UNION SELECT grants.id FROM tree CROSS JOIN grants ON grants.parent = tree.id
         )
         SELECT grants.id FROM tree CROSS JOIN grants ON grants.id = tree.id WHERE grants.revoked IS NULL",
        [top.as_str()],
    )
}

/// Revokes a grant and everything below it; returns what was live, from the
/// top down.
pub(crate) fn revoke_tree(
    tx: &Transaction<'_>,
    top: &GrantId,
    now: u64,
) -> Result<Vec<GrantId>, StoreError> {
    let ids = ids(
        tx,
        "WITH RECURSIVE tree (id, depth) AS (
             SELECT ?1, 0
             UNION SELECT grants.id, tree.depth + 1 FROM tree CROSS JOIN grants ON grants.parent = tree.id
         )
         SELECT grants.id FROM tree CROSS JOIN grants ON grants.id = tree.id
         WHERE grants.revoked IS NULL ORDER BY tree.depth, grants.created, grants.id",
        [top.as_str()],
    )?;
    let mut update = tx.prepare_cached("UPDATE grants SET revoked = ?2 WHERE id = ?1")?;
    let mut forget = tx.prepare_cached("DELETE FROM secrets WHERE owner = ?1")?;
    for id in &ids {
        update.execute((id.as_str(), int(now)))?;
        // A dead token is nobody's business.
        forget.execute([id.as_str()])?;
    }
    Ok(ids)
}

fn ids(connection: &Connection, sql: &str, of: impl Params) -> Result<Vec<GrantId>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_map(of, |row| Ok(GrantId(Text::from(row.get::<_, String>(0)?))))?;
    Ok(found.collect::<Result<_, _>>()?)
}

//! The names that stand in front of `/mcp/`, and what has them.

use provost_policy::Text;
use rusqlite::{Connection, OptionalExtension};

use crate::{ChangeError, ServerId, StoreError};

/// The name of a server that is there.
pub(crate) fn name_of(connection: &Connection, id: &str) -> Result<Option<String>, StoreError> {
    Ok(connection
        .prepare_cached("SELECT name FROM names WHERE id = ?1 AND kind = 'server'")?
        .query_row([id], |row| row.get(0))
        .optional()?)
}

/// The id of the server with this name.
pub(crate) fn require_server_id(
    connection: &Connection,
    name: &str,
) -> Result<ServerId, ChangeError> {
    let id: Option<String> = connection
        .prepare_cached("SELECT id FROM names WHERE name = ?1 AND kind = 'server'")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    let id = id.map(|id| ServerId(Text::from(id)));
    id.ok_or_else(|| ChangeError::NoServer {
        name: name.to_owned(),
    })
}

/// Whether a server or a bundle has this name.
pub(crate) fn name_taken(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM names WHERE name = ?1)")?
        .query_row([name], |row| row.get(0))
}

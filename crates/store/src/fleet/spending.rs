//! What instances use of their models, counted for everybody above them.

use rusqlite::OptionalExtension;

use super::instance::{find, no};
use super::{FleetDatabase, FleetError, InstanceId, Spent, TaskId};
use crate::GrantId;
use crate::database::{int, uint};

// === impl FleetDatabase ===

impl FleetDatabase {
    /// Adds what an instance has used, for a task of its or beside any, and counts it for
    /// everybody above it.
    pub fn spend(
        &self,
        id: &InstanceId,
        task: Option<TaskId>,
        spent: Spent,
    ) -> Result<(), FleetError> {
        self.change(|tx| {
            let found = find(tx, id)?.ok_or_else(|| no(id))?;
            let (tokens, micros) = (int(spent.tokens), int(spent.micros));
            if let Some(task) = task {
                let mut statement = tx.prepare_cached(
                    "UPDATE tasks SET tokens = tokens + ?3, micros = micros + ?4
                     WHERE number = ?2 AND instance = ?1",
                )?;
                if statement.execute((id, task, tokens, micros))? == 0 {
                    return Err(FleetError::NoTask { id: task });
                }
            }
            let mut statement = tx.prepare_cached(
                "UPDATE instances SET tokens = tokens + ?2, micros = micros + ?3 WHERE number = ?1",
            )?;
            for number in &found.lineage {
                statement.execute((int(*number), tokens, micros))?;
            }
            let mut statement = tx.prepare_cached(
                "UPDATE trees SET tokens = tokens + ?2, micros = micros + ?3 WHERE root = ?1",
            )?;
            statement.execute((found.root.as_str(), tokens, micros))?;
            Ok(())
        })
    }

    /// What the whole tree of a person's grant has used.
    pub fn spent(&self, root: &GrantId) -> Result<Spent, FleetError> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT tokens, micros FROM trees WHERE root = ?1")?;
            let spent = statement.query_row([root.as_str()], |row| {
                Ok(Spent {
                    tokens: uint(row.get(0)?),
                    micros: uint(row.get(1)?),
                })
            });
            Ok(spent.optional()?.unwrap_or_default())
        })
    }
}

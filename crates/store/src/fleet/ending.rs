//! Instances end.

use super::instance::{find, no, other_state, require};
use super::{
    Ended, Exit, FleetDatabase, FleetError, Instance, InstanceId, InstanceState, message, task,
};
use crate::database::int;

/// Which end an instance has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Its agent ended by itself.
    Exited,
    /// Its agent, or its window, was taken away.
    Dead,
    /// It is over for good: its mailbox, tasks and subscriptions end with it.
    Terminated,
}

// === impl FleetDatabase ===

impl FleetDatabase {
    /// An instance has ended. Who had ended before keeps the time, exit and reason of then.
    pub fn end_instance(
        &self,
        id: &InstanceId,
        end: End,
        ended: &Ended,
    ) -> Result<Instance, FleetError> {
        self.change(|tx| {
            let found = require(tx, id)?;
            let (state, may) = match end {
                End::Exited => (InstanceState::Exited, found.state.is_living()),
                End::Dead => (InstanceState::Dead, found.state.is_living()),
                End::Terminated => (InstanceState::Terminated, true),
            };
            if !may {
                return Err(other_state(&found, "running"));
            }
            let (code, signal) = match ended.exit {
                None => (None, None),
                Some(Exit::Code(code)) => (Some(code), None),
                Some(Exit::Signal(signal)) => (None, Some(signal)),
            };
            let mut statement =
                tx.prepare_cached("UPDATE instances SET state = ?2 WHERE id = ?1")?;
            statement.execute((id, state))?;
            let mut statement = tx.prepare_cached(
                "UPDATE instances SET ended = ?2, exit_code = ?3, exit_signal = ?4, why = ?5
                 WHERE id = ?1 AND ended IS NULL",
            )?;
            statement.execute((id, int(ended.at), code, signal, &ended.why))?;
            if end == End::Terminated {
                let mut statement =
                    tx.prepare_cached("DELETE FROM subscriptions WHERE subscriber = ?1")?;
                statement.execute([id])?;
                message::fail_all(tx, id, ended.at)?;
                task::cancel_all(tx, id, ended.at)?;
            }
            find(tx, id)?.ok_or_else(|| no(id))
        })
    }
}

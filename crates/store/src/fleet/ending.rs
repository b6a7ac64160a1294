//! Instances end.

use super::instance::{find, no, other_state, require};
use super::{
    Ended, Exit, FleetDatabase, FleetError, Instance, InstanceId, InstanceState, message, task,
};
use crate::database::int;

// === impl FleetDatabase ===

impl FleetDatabase {
    /// An instance has ended: `Exited`, `Dead` or, for good, `Terminated`. Who ended before
    /// keeps the time, exit and reason of then.
    pub fn end_instance(
        &self,
        id: &InstanceId,
        to: InstanceState,
        ended: &Ended,
    ) -> Result<Instance, FleetError> {
        self.change(|tx| {
            let found = require(tx, id)?;
            let may = match to {
                InstanceState::Exited | InstanceState::Dead => found.state.is_living(),
                InstanceState::Terminated => true,
                _ => false,
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
            statement.execute((id, to))?;
            let mut statement = tx.prepare_cached(
                "UPDATE instances SET ended = ?2, exit_code = ?3, exit_signal = ?4, why = ?5
                 WHERE id = ?1 AND ended IS NULL",
            )?;
            statement.execute((id, int(ended.at), code, signal, &ended.why))?;
            if to == InstanceState::Terminated {
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

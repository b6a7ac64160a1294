//! What a message takes up while it is on its way: memory, and places among all
//! the others.

use provost_policy::json::Document;

use crate::host::budget::{Held, Lane, MESSAGE, Place};
use crate::message::answer::Failure;
use crate::message::principal::Principal;
use crate::text::envelope::{Malformed, Message};

/// What a message takes up while it is on its way.
pub(crate) struct Room {
    _held: Held,
    _on_its_way: Place,
    _to_its_server: Option<Place>,
}

// === impl Room ===

impl Room {
    /// Room for a message that was read, on the account of its grant and, if it is
    /// a request, on that of its server.
    pub(crate) fn take(
        principal: &Principal,
        parsed: &Document<'_>,
        read: &Result<Message<'_>, Malformed>,
    ) -> Result<Self, Failure> {
        let (grant, server) = (&principal.account, &principal.server_account);
        let lane = match read {
            Ok(Message::Request { .. }) => Lane::Call,
            Ok(Message::Notification { .. } | Message::Response { .. }) | Err(_) => Lane::Aside,
        };
        let size = MESSAGE + parsed.footprint();
        let held = match lane {
            // What ends calls gets through, whoever filled the memory.
            Lane::Aside => grant.count(size),
            Lane::Call | Lane::Stream => grant.hold(size).map_err(Failure::no_memory)?,
        };
        let on_its_way = grant.enter(lane).map_err(Failure::too_many_calls)?;
        let to_its_server = match lane {
            Lane::Call => {
                let name = &principal.server_name;
                let place = server.enter_beside(lane);
                Some(place.map_err(|full| Failure::server_busy(name, full))?)
            }
            Lane::Aside | Lane::Stream => None,
        };
        Ok(Self {
            _held: held,
            _on_its_way: on_its_way,
            _to_its_server: to_its_server,
        })
    }
}

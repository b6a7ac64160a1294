//! Opening the store, which one process at a time has.

use std::time::Instant;

use provost_store::{Locations, Store};

use crate::patience::{PATIENCE, wait_a_moment};
use crate::refusal::open_failure;
use crate::{FailureKind, Outcome, RequestKind};

/// Opens the store for a request; waits a moment when another short command has it.
///
/// # Errors
///
/// It cannot be opened.
pub fn open(locations: &Locations, request: RequestKind) -> Outcome<Store> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match open_for(locations, request) {
            Err(failure) if failure.kind == FailureKind::Conflict && Instant::now() < deadline => {
                wait_a_moment();
            }
            opened => return opened,
        }
    }
}

/// Opens the store, if nobody has it.
///
/// # Errors
///
/// It cannot be opened, or somebody has it.
pub fn open_now(locations: &Locations) -> Outcome<Store> {
    Store::open(locations).map_err(|error| open_failure(&error, &locations.data))
}

/// Opens the store, if nobody has it, for a request: what leaves no entry leaves the journal as it is.
///
/// # Errors
///
/// It cannot be opened, or somebody has it.
pub fn open_for(locations: &Locations, request: RequestKind) -> Outcome<Store> {
    let opened = match request.is_recorded() {
        true => Store::open(locations),
        false => Store::open_to_look(locations),
    };
    opened.map_err(|error| open_failure(&error, &locations.data))
}

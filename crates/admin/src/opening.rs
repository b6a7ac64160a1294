//! Opening the store, which one process at a time has.

use std::time::Instant;

use provost_store::{Locations, OpenError, Store};

use crate::patience::{PATIENCE, wait_a_moment};
use crate::refusal::open_failure;
use crate::restore::clear_unfinished;
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
    let store = opened(locations, Store::open(locations))?;
    clear_unfinished(&locations.data);
    Ok(store)
}

/// Opens the store, if nobody has it, for a request: what leaves no entry leaves the journal as it is.
///
/// # Errors
///
/// It cannot be opened, or somebody has it.
pub fn open_for(locations: &Locations, request: RequestKind) -> Outcome<Store> {
    match request.is_recorded() {
        true => open_now(locations),
        false => opened(locations, Store::open_to_look(locations)),
    }
}

fn opened(locations: &Locations, opened: Result<Store, OpenError>) -> Outcome<Store> {
    opened.map_err(|error| open_failure(&error, &locations.data))
}

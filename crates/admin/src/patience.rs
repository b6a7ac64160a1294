//! Waiting for whoever has the store open, which one process at a time has.

use std::time::Duration;

/// How long a command waits for whoever has the store open without a socket: another short command,
/// or a daemon that finishes the calls in flight.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Between two attempts to open a store.
#[expect(
    clippy::disallowed_methods,
    reason = "the lock of another process gives no event to wait for"
)]
pub fn wait_a_moment() {
    std::thread::sleep(Duration::from_millis(30));
}

//! SIGTERM and SIGINT: the first one ends gracefully, the second one at once.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::{Failure, Outcome};

/// The signals that end a process.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

// === impl Signals ===

impl Signals {
    /// Starts to listen; from here on these signals do not end the process by themselves.
    pub(crate) fn listen() -> Outcome<Self> {
        let open = |kind| {
            signal(kind)
                .map_err(|error| Failure::internal("cannot listen for signals").because(error))
        };
        Ok(Signals {
            terminate: open(SignalKind::terminate())?,
            interrupt: open(SignalKind::interrupt())?,
            hang_up: open(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one and tells its number.
    pub(crate) async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = self.hang_up.recv() => SignalKind::hangup().as_raw_value(),
        }
    }
}

/// Ends the process at once, with the exit code shells give for a signal.
#[expect(
    clippy::disallowed_methods,
    reason = "a second signal means now; the journal survives a kill at any moment"
)]
pub(crate) fn end_at_once(signal: i32) -> ! {
    std::process::exit(128 + signal)
}

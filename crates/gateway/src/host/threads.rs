//! The threads: one runtime per core for the agents' connections, and one in
//! the background for child processes, stdio agents and probes.
//!
//! A call stays on the thread its connection came in on, with upstream
//! connections of that thread: no work is stolen, nothing is woken across cores.

use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// All threads of one gateway.
pub(crate) struct Threads {
    workers: Vec<Handle>,
    background: Handle,
    stop: CancellationToken,
    joins: Mutex<Vec<JoinHandle<()>>>,
}

// === impl Threads ===

impl Threads {
    /// Starts `workers` threads and the background thread.
    pub(crate) fn start(workers: usize) -> std::io::Result<Self> {
        let stop = CancellationToken::new();
        let mut handles = Vec::new();
        let mut joins = Vec::new();
        for number in 0..=workers.max(1) {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            handles.push(runtime.handle().clone());
            let stop = stop.clone();
            let name = format!("provost-{number}");
            let join = std::thread::Builder::new()
                .name(name)
                .spawn(move || runtime.block_on(stop.cancelled()))?;
            joins.push(join);
        }
        let background = handles
            .pop()
            .ok_or_else(|| std::io::Error::other("no runtime"))?;
        Ok(Self {
            workers: handles,
            background,
            stop,
            joins: Mutex::new(joins),
        })
    }

    /// The runtimes of the agents' connections.
    pub(crate) fn workers(&self) -> &[Handle] {
        &self.workers
    }

    /// The runtime in the background.
    pub(crate) fn background(&self) -> Handle {
        self.background.clone()
    }

    /// Ends all threads; what still runs on them is dropped.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
        let mut joins = self.joins.lock().unwrap_or_else(PoisonError::into_inner);
        for join in joins.drain(..) {
            // One that panicked is gone, too.
            drop(join.join());
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Not joined here: the last handle may be dropped on one of them.
        self.stop.cancel();
    }
}

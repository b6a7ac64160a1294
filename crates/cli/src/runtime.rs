//! The small runtime that commands wait on. Calls are carried by the gateway's own workers.

use std::future::Future;

use crate::failure::{Failure, Outcome};

/// Runs a future to its end on this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::internal("cannot start the runtime").because(error))?;
    let result = runtime.block_on(future);
    // A thread that reads stdin cannot be interrupted; the process must not wait for it.
    runtime.shutdown_background();
    result
}

/// Runs blocking work beside the runtime.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Outcome<T> + Send + 'static,
) -> Outcome<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Failure::internal("a worker thread stopped").because(error)),
    }
}

//! Waiting with a limit, cheaply: what is there already costs no timer.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard, Semaphore, SemaphorePermit};
use tokio::time::error::Elapsed;

use crate::upstream::{Fault, FaultKind};

/// How long a server is not read from while what it sent finds no room.
pub(crate) const ROOM: Duration = Duration::from_secs(10);

/// The future's output, or an error after `limit`. A timer is only set when the
/// future is not ready at once.
pub(crate) async fn within<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let ready = poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    });
    match ready.await {
        Some(output) => Ok(output),
        None => tokio::time::timeout(limit, future).await,
    }
}

/// The turn of somebody who waits behind others that do the same: whoever comes
/// last must not wait as long as all of them together.
pub(crate) async fn turn<T>(limit: Duration, of: &Mutex<T>) -> Result<MutexGuard<'_, T>, Fault> {
    within(limit, of.lock()).await.map_err(|_| Fault {
        kind: FaultKind::Slow,
        sent: false,
    })
}

/// The same where several have their turn at a time.
pub(crate) async fn one_of(limit: Duration, of: &Semaphore) -> Result<SemaphorePermit<'_>, Fault> {
    match within(limit, of.acquire()).await {
        Ok(Ok(turn)) => Ok(turn),
        Ok(Err(_)) | Err(_) => Err(Fault {
            kind: FaultKind::Slow,
            sent: false,
        }),
    }
}

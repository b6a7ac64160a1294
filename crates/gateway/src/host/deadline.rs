//! Waiting with a limit, cheaply: what is there already costs no timer.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, MutexGuard, Semaphore, SemaphorePermit};
use tokio::time::error::Elapsed;

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

/// Ends at that moment, if there is one.
pub(crate) async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

/// The lock that others hold one after the other: whoever comes last must not wait
/// as long as all of them together.
pub(crate) async fn lock<T>(limit: Duration, of: &Mutex<T>) -> Result<MutexGuard<'_, T>, Elapsed> {
    within(limit, of.lock()).await
}

/// The same for one of several places. Nobody closes the semaphore.
pub(crate) async fn place(
    limit: Duration,
    of: &Semaphore,
) -> Result<Option<SemaphorePermit<'_>>, Elapsed> {
    Ok(within(limit, of.acquire()).await?.ok())
}

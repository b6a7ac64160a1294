//! Awaiting a state, with a deadline and a sentence that says what did not come.
//!
//! Tests never sleep for a guessed time: they say what must become true.

use std::future::Future;
use std::time::{Duration, Instant};

/// How long a state may take to come before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

const STEP: Duration = Duration::from_millis(5);

/// Waits until the predicate holds.
///
/// # Panics
/// When it does not hold within [`PATIENCE`]; the message names `what` was awaited.
#[track_caller]
pub fn wait_until<P>(what: &str, mut predicate: P) -> impl Future<Output = ()>
where
    P: FnMut() -> bool,
{
    let place = std::panic::Location::caller();
    async move {
        let started = Instant::now();
        while !predicate() {
            assert!(
                started.elapsed() < PATIENCE,
                "{place}: waited {PATIENCE:?} in vain until {what}"
            );
            tokio::time::sleep(STEP).await;
        }
    }
}

/// Waits until the question has an answer, and returns it.
///
/// # Panics
/// When there is none within [`PATIENCE`].
#[track_caller]
pub fn wait_for<T, F, A>(what: &str, mut question: F) -> impl Future<Output = T>
where
    F: FnMut() -> A,
    A: Future<Output = Option<T>>,
{
    let place = std::panic::Location::caller();
    async move {
        let started = Instant::now();
        loop {
            if let Some(answer) = question().await {
                return answer;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "{place}: waited {PATIENCE:?} in vain for {what}"
            );
            tokio::time::sleep(STEP).await;
        }
    }
}

/// The same as [`wait_until`] for tests without a runtime.
///
/// # Panics
/// When the predicate does not hold within [`PATIENCE`].
#[track_caller]
pub fn wait_until_blocking(what: &str, mut predicate: impl FnMut() -> bool) {
    let started = Instant::now();
    while !predicate() {
        assert!(
            started.elapsed() < PATIENCE,
            "waited {PATIENCE:?} in vain until {what}"
        );
        std::thread::sleep(STEP);
    }
}

/// Awaits a future, but not for ever.
///
/// # Panics
/// When it is not done within [`PATIENCE`].
#[track_caller]
pub fn within<F: Future>(what: &str, future: F) -> impl Future<Output = F::Output> {
    let place = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(PATIENCE, future).await {
            Ok(output) => output,
            Err(_) => panic!("{place}: waited {PATIENCE:?} in vain for {what}"),
        }
    }
}

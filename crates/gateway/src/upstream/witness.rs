//! What went wrong with a server lately, in its own words and the system's: for
//! the operator who tests it. Agents are not told.

use std::collections::VecDeque;
use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::text::brief::brief;

/// Lines of standard error that are kept.
const LINES: usize = 8;
/// Longest piece of foreign text that is kept, in bytes.
const PIECE: usize = 300;
/// How long the end of a process may come after that of its output.
const END: Duration = Duration::from_secs(2);

/// Keeps what was seen last.
#[derive(Default)]
pub(crate) struct Witness {
    // A std mutex: sections are a few instructions.
    seen: Mutex<Seen>,
    ended: Notify,
}

#[derive(Default)]
struct Seen {
    /// Why it could not be started or connected to.
    failed: Option<Noted>,
    /// How its program ended.
    ended: Option<Noted>,
    /// What it sent that is no message.
    sent: Option<Noted>,
    /// The end of its standard error.
    lines: VecDeque<Noted>,
}

#[derive(Clone)]
struct Noted {
    at: Instant,
    words: String,
}

// === impl Witness ===

impl Witness {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its program is started anew.
    pub(super) fn starts(&self) {
        *self.seen() = Seen::default();
    }

    /// It could not be started, or connected to.
    pub(super) fn failed(&self, why: impl ToString) {
        self.seen().failed = Some(Noted::now(why.to_string()));
    }

    /// Its program ended by itself: so it is said.
    pub(super) fn ended(&self, status: ExitStatus) -> String {
        let words = end_in_words(status);
        self.seen().ended = Some(Noted::now(words.clone()));
        self.ended.notify_waiters();
        words
    }

    /// It sent something that is no message.
    pub(crate) fn sent(&self, text: &[u8]) {
        let words = match escaped(text) {
            text if text.is_empty() => "it sent an empty text".to_owned(),
            text => format!("it sent: {text}"),
        };
        self.seen().sent = Some(Noted::now(words));
    }

    /// Its program wrote a line to its standard error.
    pub(super) fn says(&self, line: &[u8]) {
        let line = Noted::now(format!("its standard error: {}", escaped(line)));
        let lines = &mut self.seen().lines;
        if lines.len() >= LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// Everything that was seen since.
    pub(crate) fn since(&self, since: Instant) -> Vec<String> {
        let seen = self.seen();
        let single = [&seen.failed, &seen.ended, &seen.sent];
        let all = single.into_iter().flatten().chain(&seen.lines);
        all.filter(|noted| noted.at >= since)
            .map(|noted| noted.words.clone())
            .collect()
    }

    /// The same of a program whose output broke off: how it ended is seen a moment
    /// later.
    pub(crate) async fn to_the_end(&self, since: Instant) -> Vec<String> {
        let seen_ended = || {
            let seen = self.seen();
            let both = [&seen.ended, &seen.failed];
            both.into_iter().flatten().any(|noted| noted.at >= since)
        };
        let ended = async {
            loop {
                let mut notified = std::pin::pin!(self.ended.notified());
                // Before looking: an end in between is not missed.
                notified.as_mut().enable();
                if seen_ended() {
                    return;
                }
                notified.await;
            }
        };
        // One that goes on running with its output closed has no end to tell.
        drop(tokio::time::timeout(END, ended).await);
        self.since(since)
    }
}

// === impl Noted ===

impl Noted {
    fn now(words: String) -> Self {
        Self {
            at: Instant::now(),
            words,
        }
    }
}

/// How a program ended, as a sentence.
pub(crate) fn end_in_words(status: ExitStatus) -> String {
    match code_and_signal(status) {
        (Some(code), Some(signal)) => {
            format!("its program ended with exit code {code} (signal {signal})")
        }
        (Some(code), None) => format!("its program ended with exit code {code}"),
        (None, _) => format!("its program ended: {status}"),
    }
}

/// The same, to stand in parentheses.
pub(crate) fn end_in_brief(status: ExitStatus) -> String {
    match code_and_signal(status) {
        (Some(code), Some(signal)) => format!("exit code {code}, signal {signal}"),
        (Some(code), None) => format!("exit code {code}"),
        (None, _) => status.to_string(),
    }
}

/// A wrapper, like a shell, tells a signal as a code.
fn code_and_signal(status: ExitStatus) -> (Option<i32>, Option<i32>) {
    let code = status.code();
    let signal = code
        .and_then(|code| code.checked_sub(128))
        .filter(|signal| *signal > 0);
    (code, signal)
}

/// The beginning of a foreign text, on one line.
fn escaped(text: &[u8]) -> String {
    let cut = text.get(..text.len().min(PIECE + 1)).unwrap_or_default();
    let text = String::from_utf8_lossy(cut);
    brief(text.trim_end(), PIECE).escape_debug().collect()
}

#[cfg(test)]
mod tests;

//! Memory that is held on behalf of others, and calls that are on their way for
//! them: what agents and servers send, and nobody has taken yet.
//!
//! Every grant and every server has an account, and all of them share one. What
//! comes in is counted before it is kept: where it does not fit it is refused, or
//! its sender is not read from, and nobody else notices. What is here already and
//! only changes its form is counted without being asked.

pub(crate) mod gather;
mod whole;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use provost_policy::Text;
use tokio::sync::Semaphore;

use whole::{Gauge, Waiting, Whole};

use crate::host::rate_limit::RateLimit;

/// What one session costs, whatever is in it.
pub(crate) const SESSION: usize = 8 * 1024;
/// What one message on its way costs, beside its bytes: its task, its place in
/// maps, the buffers of a connection.
pub(crate) const MESSAGE: usize = 16 * 1024;
/// What one connection of an agent costs while it is read.
const CONNECTION: usize = 32 * 1024;
/// One account may hold this part of the whole.
const SHARE: usize = 8;
/// Notifications and answers of one grant that may be on their way at a time.
const ASIDES: usize = 4096;
/// Of them, those that may be on connections to a server at a time.
const ASIDES_AT_ONCE: usize = 16;
/// Questions of servers that one grant is asked in a minute.
const QUESTIONS: u32 = 600;
/// What counting a message costs beside its bytes.
const WRAP: usize = 64;

/// All accounts of the daemon.
pub(crate) struct Budget {
    whole: Arc<Whole>,
    grants: Owners,
    servers: Owners,
}

/// How much there is to share out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Bytes in all.
    pub(crate) memory: usize,
    /// Calls on their way, in all.
    pub(crate) calls: usize,
    /// Calls on their way for one grant.
    pub(crate) grant_calls: usize,
    /// Calls on their way to one server.
    pub(crate) server_calls: usize,
}

/// The accounts of one kind of owner. Who is gone is forgotten.
struct Owners {
    bytes: usize,
    calls: usize,
    // A std mutex, never on the path of a call: that has its account already.
    by_id: Mutex<HashMap<Text, Weak<Account>>>,
}

/// What one grant or one server holds.
#[derive(Debug)]
pub(crate) struct Account {
    held: Gauge,
    calls: Gauge,
    streams: Gauge,
    asides: Gauge,
    /// Turns of asides on connections to a server; whoever has none waits.
    asides_at_once: Semaphore,
    // A std mutex: a look at a number.
    questions: Mutex<RateLimit<QUESTIONS>>,
    whole: Arc<Whole>,
}

/// What is on its way. Each kind has places of its own, so that the answers and
/// cancellations that end calls find one when calls have taken all of theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// A request.
    Call,
    /// A stream outside of any answer, or an agent's lines.
    Stream,
    /// A notification, or an answer to a question.
    Aside,
}

/// Bytes of an account, given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    account: Arc<Account>,
    bytes: usize,
}

/// A call's place among those on their way, given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    account: Arc<Account>,
    lane: Lane,
    /// Whether it is one of all there are, too.
    among_all: bool,
}

/// Why something does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// The owner has used up its own share.
    Share,
    /// All of them together have used up everything.
    Whole,
}

/// How the budget stands, to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Bytes that are held for others now.
    pub held: usize,
    /// The most there may be.
    pub limit: usize,
    /// Calls and streams on their way now.
    pub calls: usize,
    /// The most there may be.
    pub most_calls: usize,
    /// What did not fit, since the start.
    pub refused: u64,
}

/// A message whose bytes stay counted until its last copy is gone.
struct Counted {
    message: Bytes,
    _held: Held,
}

// === impl Bounds ===

#[cfg(test)]
impl Bounds {
    /// So much memory, and few calls.
    pub(crate) fn small(memory: usize) -> Self {
        Self {
            memory,
            calls: 3,
            grant_calls: 2,
            server_calls: 3,
        }
    }
}

// === impl Budget ===
impl Budget {
    pub(crate) fn new(bounds: Bounds) -> Self {
        // The rest is set aside for connections, see [`connections`].
        let memory = bounds.memory - bounds.memory / 4;
        Self {
            whole: Arc::new(Whole::new(memory, bounds.calls)),
            grants: Owners::new(share(bounds.memory), bounds.grant_calls),
            servers: Owners::new(share(bounds.memory), bounds.server_calls),
        }
    }

    /// The account of a grant.
    pub(crate) fn grant(&self, id: &Text) -> Arc<Account> {
        self.grants.account(id, &self.whole)
    }

    /// The account of a server: for what it sends to nobody in particular.
    pub(crate) fn server(&self, id: &Text) -> Arc<Account> {
        self.servers.account(id, &self.whole)
    }

    /// How it stands.
    pub(crate) fn usage(&self) -> Usage {
        Usage {
            held: self.whole.held.now(),
            limit: self.whole.held.most,
            calls: self.whole.calls.now(),
            most_calls: self.whole.calls.most,
            refused: self.whole.refused.load(Ordering::Relaxed),
        }
    }
}

/// What one account may hold.
pub(crate) fn share(memory: usize) -> usize {
    memory / SHARE
}

/// How many connections of agents a quarter of the memory is enough for.
pub(crate) fn connections(memory: usize) -> usize {
    (memory / 4 / CONNECTION).max(16)
}

// === impl Owners ===

impl Owners {
    fn new(bytes: usize, calls: usize) -> Self {
        Self {
            bytes,
            calls,
            by_id: Mutex::default(),
        }
    }

    fn account(&self, id: &Text, whole: &Arc<Whole>) -> Arc<Account> {
        let mut by_id = self.by_id.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = by_id.get(id).and_then(Weak::upgrade) {
            return known;
        }
        // Each time as many came as there were, so that one more costs the same
        // however many there are.
        if by_id.len() == by_id.capacity() {
            by_id.retain(|_, account| account.strong_count() > 0);
        }
        let account = Arc::new(Account {
            held: Gauge::new(self.bytes),
            calls: Gauge::new(self.calls),
            streams: Gauge::new(self.calls),
            asides: Gauge::new(ASIDES),
            questions: Mutex::default(),
            asides_at_once: Semaphore::new(ASIDES_AT_ONCE),
            whole: Arc::clone(whole),
        });
        by_id.insert(id.clone(), Arc::downgrade(&account));
        account
    }
}

// === impl Account ===

impl Account {
    /// Holds so many bytes, if they fit.
    pub(crate) fn hold(self: &Arc<Self>, bytes: usize) -> Result<Held, Full> {
        let mut held = self.nothing();
        held.grow_to(bytes)?;
        Ok(held)
    }

    /// Holds nothing yet.
    pub(crate) fn nothing(self: &Arc<Self>) -> Held {
        Held {
            account: Arc::clone(self),
            bytes: 0,
        }
    }

    /// Counts what is here already, whether or not it fits: what comes next finds
    /// less room.
    pub(crate) fn count(self: &Arc<Self>, bytes: usize) -> Held {
        self.held.add(bytes);
        self.whole.held.add(bytes);
        Held {
            account: Arc::clone(self),
            bytes,
        }
    }

    /// Counts a message that is here already until its last copy is gone.
    pub(crate) fn carry(self: &Arc<Self>, message: Bytes) -> Bytes {
        self.count(message.len()).over(message)
    }

    /// Counts `copy`, unless it is nothing but `original`, which counts already.
    pub(crate) fn carry_copy(self: &Arc<Self>, original: &Bytes, copy: Bytes) -> Bytes {
        if copy.as_ptr() == original.as_ptr() {
            return copy;
        }
        self.carry(copy)
    }

    /// Waits until so much more fits into `held`. For senders that are not read
    /// from meanwhile; an error after `timeout`, or when it never can.
    pub(crate) async fn wait_for(
        &self,
        held: &mut Held,
        bytes: usize,
        timeout: Duration,
    ) -> Result<(), Full> {
        let Err(mut full) = held.try_grow_to(bytes) else {
            return Ok(());
        };
        let _waiting = Waiting::one(&self.whole);
        // What is more than there ever is needs no waiting for.
        if bytes <= self.held.most {
            let fits = async {
                loop {
                    let room = self.whole.room.notified();
                    let mut room = std::pin::pin!(room);
                    room.as_mut().enable();
                    match held.try_grow_to(bytes) {
                        Ok(()) => return,
                        Err(still) => full = still,
                    }
                    room.await;
                }
            };
            if tokio::time::timeout(timeout, fits).await.is_ok() {
                return Ok(());
            }
        }
        self.refused();
        Err(full)
    }

    /// A place for one more that is on its way.
    pub(crate) fn enter(self: &Arc<Self>, lane: Lane) -> Result<Place, Full> {
        let mut place = self.enter_beside(lane)?;
        // Whatever ends something must find a place, whoever took the others.
        if lane != Lane::Aside {
            if !self.whole.calls.try_add(1) {
                self.refused();
                return Err(Full::Whole);
            }
            place.among_all = true;
        }
        Ok(place)
    }

    /// The same for one that has its place among all already.
    pub(crate) fn enter_beside(self: &Arc<Self>, lane: Lane) -> Result<Place, Full> {
        if !self.lane(lane).try_add(1) {
            self.refused();
            return Err(Full::Share);
        }
        Ok(Place {
            account: Arc::clone(self),
            lane,
            among_all: false,
        })
    }

    /// Turns of notifications and answers that go to a server on connections: one
    /// that never takes them must not hold as many open files as there are asides.
    pub(crate) fn asides(&self) -> &Semaphore {
        &self.asides_at_once
    }

    /// Whether a server may ask its agent something just now: each question costs a
    /// record, and nothing else holds up a server that asks without end.
    pub(crate) fn may_be_asked(&self) -> bool {
        let mut questions = self
            .questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        questions.take()
    }

    fn lane(&self, lane: Lane) -> &Gauge {
        match lane {
            Lane::Call => &self.calls,
            Lane::Stream => &self.streams,
            Lane::Aside => &self.asides,
        }
    }

    /// Bytes it holds now.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.held.now()
    }

    fn refused(&self) {
        self.whole.refused.fetch_add(1, Ordering::Relaxed);
    }
}

// === impl Held ===

impl Held {
    /// Whose it is.
    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Holds so many bytes in all, if that fits; otherwise as many as before.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> Result<(), Full> {
        let grown = self.try_grow_to(bytes);
        if grown.is_err() {
            self.account.refused();
        }
        if grown == Err(Full::Whole) {
            // Who tried meanwhile may have failed for what was only tried here.
            self.account.whole.tell();
        }
        grown
    }

    /// The same for one who tries again.
    fn try_grow_to(&mut self, bytes: usize) -> Result<(), Full> {
        let Some(more) = bytes.checked_sub(self.bytes) else {
            self.shrink_to(bytes);
            return Ok(());
        };
        let account = &self.account;
        if !account.held.try_add(more) {
            return Err(Full::Share);
        }
        if !account.whole.held.try_add(more) {
            account.held.take(more);
            return Err(Full::Whole);
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Holds so many bytes in all, whether or not that fits.
    pub(crate) fn become_of(&mut self, bytes: usize) {
        match bytes.checked_sub(self.bytes) {
            Some(more) => {
                self.account.held.add(more);
                self.account.whole.held.add(more);
                self.bytes = bytes;
            }
            None => self.shrink_to(bytes),
        }
    }

    /// Gives everything beyond so many bytes back.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let Some(less) = self.bytes.checked_sub(bytes).filter(|less| *less > 0) else {
            return;
        };
        self.bytes = bytes;
        self.account.held.take(less);
        self.account.whole.give_back(less);
    }

    /// The message these bytes are: they are given back with its last copy.
    pub(crate) fn over(mut self, message: Bytes) -> Bytes {
        self.become_of(message.len() + WRAP);
        Bytes::from_owner(Counted {
            message,
            _held: self,
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

// === impl Place ===

impl Drop for Place {
    fn drop(&mut self) {
        self.account.lane(self.lane).take(1);
        if self.among_all {
            self.account.whole.calls.take(1);
        }
    }
}

// === impl Counted ===

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.message
    }
}

#[cfg(test)]
mod tests;

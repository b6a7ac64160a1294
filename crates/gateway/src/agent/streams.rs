//! The streams to an agent over HTTP: the one for what belongs to no answer, and
//! those of answers that it lost and fetches again.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::pending::Pending;
use crate::text::envelope::IdKey;
use crate::text::sse::Event;

/// How many messages may wait for an agent that reads slowly.
pub(crate) const OUTBOUND: usize = 256;
/// Answers one agent may resume at a time.
const MOST_RESUMED: usize = 64;
/// Event ids remembered for a session.
const MOST_EVENTS: usize = 1024;

/// The streams of one session.
#[derive(Default)]
pub(crate) struct Streams {
    open: Option<GetStream>,
    /// Hashes of the last event ids on streams of answers.
    answer_events: VecDeque<u64>,
    /// Requests whose answers came on such streams, and may have been lost there.
    answered: VecDeque<(IdKey, Pending)>,
    /// Places for streams of answers that are resumed; most sessions have none.
    resumed: Option<Arc<Semaphore>>,
    opened: u64,
}

/// An open GET stream of the agent.
struct GetStream {
    number: u64,
    events: mpsc::Sender<Event>,
    taken_over: CancellationToken,
}

/// A second GET stream without `Last-Event-ID`, or a resumed answer too many.
#[derive(Debug)]
pub(crate) struct StreamTaken;

/// A place for a resumed answer, given back when this is dropped.
pub(crate) type ResumedPlace = OwnedSemaphorePermit;

/// The receiving end of a GET stream.
pub(crate) struct Opened {
    pub(crate) number: u64,
    pub(crate) events: mpsc::Receiver<Event>,
    /// For the relay of the upstream's own stream.
    pub(crate) sender: mpsc::Sender<Event>,
    /// Cancelled when another connection takes the stream over.
    pub(crate) taken_over: CancellationToken,
}

// === impl Streams ===

impl Streams {
    /// The way into the GET stream, when the agent has one open.
    pub(crate) fn sender(&self) -> Option<&mpsc::Sender<Event>> {
        let open = self.open.as_ref().map(|stream| &stream.events);
        open.filter(|events| !events.is_closed())
    }

    /// Whether the agent reads any stream.
    pub(crate) fn any(&self) -> bool {
        let taken = |places: &Arc<Semaphore>| places.available_permits() < MOST_RESUMED;
        self.resumed.as_ref().is_some_and(taken) || self.sender().is_some()
    }

    /// Opens the GET stream. The one that is open stays, unless the agent says
    /// with `Last-Event-ID` that it lost it.
    pub(crate) fn open(&mut self, resumes: bool) -> Result<Opened, StreamTaken> {
        if let Some(old) = &self.open
            && !old.events.is_closed()
        {
            if !resumes {
                return Err(StreamTaken);
            }
            old.taken_over.cancel();
        }
        let (sender, events) = mpsc::channel(OUTBOUND);
        let taken_over = CancellationToken::new();
        self.opened += 1;
        let number = self.opened;
        self.open = Some(GetStream {
            number,
            events: sender.clone(),
            taken_over: taken_over.clone(),
        });
        Ok(Opened {
            number,
            events,
            sender,
            taken_over,
        })
    }

    /// Opens a stream for an answer that the agent lost: beside the GET stream,
    /// which is for what belongs to no answer.
    pub(crate) fn resume(&mut self) -> Result<(Opened, ResumedPlace), StreamTaken> {
        let places = || Arc::new(Semaphore::new(MOST_RESUMED));
        let places = self.resumed.get_or_insert_with(places);
        let place = Arc::clone(places).try_acquire_owned();
        let place = place.map_err(|_| StreamTaken)?;
        let (sender, events) = mpsc::channel(OUTBOUND);
        let opened = Opened {
            number: 0,
            events,
            sender,
            taken_over: CancellationToken::new(),
        };
        Ok((opened, place))
    }

    /// Forgets a GET stream that ended, unless another took its place.
    pub(super) fn close(&mut self, number: u64) {
        let open = self.open.as_ref();
        if open.is_some_and(|stream| stream.number == number) {
            self.open = None;
        }
    }

    /// Notes an event id that went out on the stream of an answer.
    pub(crate) fn note_answer_event(&mut self, id: &str) {
        if self.answer_events.len() >= MOST_EVENTS {
            self.answer_events.pop_front();
        }
        self.answer_events.push_back(hashed(&id));
    }

    /// Whether the event went out on the stream of an answer.
    pub(crate) fn is_answer_event(&self, id: &str) -> bool {
        self.answer_events.contains(&hashed(&id))
    }

    /// Keeps in mind a request that is answered and settled, if its agent can
    /// fetch the answer again.
    pub(crate) fn note_answered(&mut self, key: IdKey, pending: Pending) {
        if self.answer_events.is_empty() || pending.modern.is_some() {
            return;
        }
        self.answered.truncate(MOST_RESUMED - 1);
        let pending = Pending {
            open_call: None,
            arranges: None,
            left: None,
            ..pending
        };
        self.answered.push_front((key, pending));
    }

    /// A request whose answer comes again, because its agent lost it.
    pub(crate) fn answered_before(&self, key: &IdKey) -> Option<Pending> {
        let mut answered = self.answered.iter();
        let (_, pending) = answered.find(|(known, _)| known == key)?;
        Some(pending.clone())
    }
}

/// What stands for an id of any length.
pub(super) fn hashed(id: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

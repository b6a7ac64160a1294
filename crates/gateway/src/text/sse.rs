//! Server-sent events, read and written: the parts that MCP uses.
//!
//! Reading is incremental and bounded; writing puts each message on one line.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::host::budget::{Account, Full, Held};
use crate::host::deadline;
use crate::text::splice;

/// A message up to this length goes over the wire in one piece with what frames it.
const COPIED: usize = 16 * 1024;
/// A buffer that grew beyond this is not kept when its event is gone.
const KEPT: usize = 64 * 1024;

/// One event of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// The upstream's own event id, for resumption.
    pub(crate) id: Option<String>,
    /// How long the agent should wait before it reconnects, in milliseconds.
    pub(crate) retry: Option<u64>,
    /// A JSON-RPC message; none for events that only carry an id.
    pub(crate) message: Option<Bytes>,
}

impl Event {
    /// An event with a message and nothing else.
    pub(crate) fn of(message: Bytes) -> Self {
        Self {
            id: None,
            retry: None,
            message: Some(message),
        }
    }

    /// The event as it goes over the wire, in at most three pieces: a large message
    /// is not copied, or the copy is counted.
    pub(crate) fn encode(self, account: &Arc<Account>) -> [Bytes; 3] {
        let message = match self.message {
            None => Bytes::new(),
            Some(text) => account.carry_copy(&text, splice::one_line(text.clone())),
        };
        let mut out = Vec::with_capacity(message.len().min(COPIED) + 48);
        if let Some(id) = &self.id {
            out.extend_from_slice(b"id: ");
            out.extend_from_slice(id.as_bytes());
            out.push(b'\n');
        }
        if let Some(retry) = self.retry {
            out.extend_from_slice(format!("retry: {retry}\n").as_bytes());
        }
        out.extend_from_slice(b"data: ");
        if message.len() > COPIED {
            return [Bytes::from(out), message, Bytes::from_static(b"\n\n")];
        }
        out.extend_from_slice(&message);
        out.extend_from_slice(b"\n\n");
        [Bytes::from(out), Bytes::new(), Bytes::new()]
    }
}

/// A stream carried more than was allowed for one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Turns bytes into events, chunk by chunk.
#[derive(Debug)]
pub(crate) struct Reader {
    /// What is not yet a whole line.
    rest: BytesMut,
    /// How far `rest` has been searched for a line end.
    searched: usize,
    data: BytesMut,
    has_data: bool,
    event: Event,
    limit: usize,
    started: bool,
    /// What is held for the buffers.
    held: Held,
    /// Whether the last line ended with a CR that may have been half of its end.
    after_carriage: bool,
}

// === impl Reader ===

impl Reader {
    /// A reader that refuses events of more than `limit` bytes. What it buffers,
    /// and its events until their last copies are gone, is held on this account.
    pub(crate) fn new(limit: usize, account: &Arc<Account>) -> Self {
        Self {
            held: account.nothing(),
            rest: BytesMut::new(),
            searched: 0,
            data: BytesMut::new(),
            has_data: false,
            event: Event::default(),
            limit,
            started: false,
            after_carriage: false,
        }
    }

    /// Waits until there is room for a chunk; its sender is not read from meanwhile.
    pub(crate) async fn make_room(&mut self, chunk: &[u8]) -> Result<(), Full> {
        let account = Arc::clone(self.held.account());
        // Its lines are added to what has come of their event.
        let lines = match self.has_data {
            true => room_for(&self.data, self.rest.len() + chunk.len()),
            false => chunk.len(),
        };
        let needs = room_for(&self.rest, chunk.len()) + lines;
        account
            .wait_for(&mut self.held, needs, deadline::ROOM)
            .await
    }

    fn buffered(&self) -> usize {
        self.rest.capacity() + self.data.capacity()
    }

    /// Takes a chunk and returns the events that it completes.
    pub(crate) fn feed(&mut self, chunk: &[u8]) -> Result<Vec<Event>, TooLong> {
        let fed = self.take(chunk);
        if self.rest.is_empty() && self.rest.capacity() > KEPT {
            // A large event must not leave a large buffer.
            self.rest = BytesMut::new();
        }
        self.held.become_of(self.buffered());
        fed
    }

    fn take(&mut self, chunk: &[u8]) -> Result<Vec<Event>, TooLong> {
        append(&mut self.rest, chunk);
        if !self.started {
            if self.rest.len() < 3 && b"\xef\xbb\xbf".starts_with(&self.rest) {
                return Ok(Vec::new());
            }
            if self.rest.starts_with(b"\xef\xbb\xbf") {
                let _ = self.rest.split_to(3);
            }
            self.started = true;
        }
        let mut events = Vec::new();
        while let Some(line) = self.next_line() {
            if line.is_empty() {
                events.extend(self.finish());
            } else {
                self.field(line);
            }
            if self.data.len() > self.limit {
                return Err(TooLong);
            }
        }
        if self.rest.len() > self.limit {
            Err(TooLong)
        } else {
            Ok(events)
        }
    }

    /// A whole line without its end (LF, CR LF or CR).
    fn next_line(&mut self) -> Option<BytesMut> {
        if self.after_carriage && !self.rest.is_empty() {
            self.after_carriage = false;
            if self.rest.starts_with(b"\n") {
                let _ = self.rest.split_to(1);
            }
        }
        let unseen = self.rest.get(self.searched..)?;
        let Some(found) = memchr::memchr2(b'\n', b'\r', unseen) else {
            self.searched = self.rest.len();
            return None;
        };
        let end = self.searched + found;
        let carriage = self.rest.get(end) == Some(&b'\r');
        let skip = if carriage && self.rest.get(end + 1) == Some(&b'\n') {
            2
        } else {
            1
        };
        // LF may follow in the next chunk and belongs to this line end. Nobody
        // waits for it: it may be the last line for long.
        self.after_carriage = carriage && end + 1 == self.rest.len();
        let line = self.rest.split_to(end);
        let _ = self.rest.split_to(skip);
        self.searched = 0;
        if line.len() > KEPT && self.rest.len() <= KEPT {
            // What follows must not keep the buffer that a large line came in.
            self.rest = BytesMut::from(self.rest.as_ref());
        }
        Some(line)
    }

    fn field(&mut self, mut line: BytesMut) {
        let at = memchr::memchr(b':', &line);
        let mut value = line.split_off(at.map_or(line.len(), |at| at + 1));
        let name = line.get(..at.unwrap_or(line.len())).unwrap_or_default();
        if value.starts_with(b" ") {
            let _ = value.split_to(1);
        }
        match name {
            b"data" => {
                if self.has_data {
                    append(&mut self.data, b"\n");
                }
                // A small line must not keep the buffer that it came in.
                match !self.has_data && value.len() > KEPT {
                    true => self.data = value,
                    false => append(&mut self.data, &value),
                }
                self.has_data = true;
            }
            // An id goes back out in a header and an event line: plain text only.
            b"id" if value.len() <= 1024 && value.iter().all(|b| (0x20..0x7f).contains(b)) => {
                self.event.id = String::from_utf8(value.to_vec()).ok();
            }
            b"retry" => {
                self.event.retry = std::str::from_utf8(&value)
                    .ok()
                    .and_then(|v| v.parse().ok());
            }
            _ => {}
        }
    }

    fn finish(&mut self) -> Option<Event> {
        let mut event = std::mem::take(&mut self.event);
        let data = std::mem::take(&mut self.data);
        self.has_data = false;
        if !data.is_empty() {
            event.message = Some(self.held.account().carry(data.freeze()));
        }
        (event != Event::default()).then_some(event)
    }
}

/// How large a buffer becomes with so much more. One that is large already has
/// little room to spare: it is counted, whether or not anything is in it.
fn room_for(buffer: &BytesMut, more: usize) -> usize {
    let length = buffer.len() + more;
    match length <= buffer.capacity() {
        true => buffer.capacity(),
        false => length + length / 4,
    }
}

fn append(buffer: &mut BytesMut, more: &[u8]) {
    let room = room_for(buffer, more.len());
    if room > KEPT && room > buffer.capacity() {
        let mut larger = BytesMut::with_capacity(room);
        larger.extend_from_slice(buffer);
        *buffer = larger;
    }
    buffer.extend_from_slice(more);
}

#[cfg(test)]
mod tests;

//! What an instance printed: kept on disk within bounds, read by lines, by pages, and
//! as it comes. What is kept are the bytes as they were printed; what is read is text.

mod plain;
mod segments;

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use plain::plain;
use segments::{Hole, Plan, Segments};

/// What one instance printed. The last 4 to 8 MiB are kept.
pub struct Output {
    /// A std mutex: held for one write or for a look, never across an await.
    segments: Mutex<Segments>,
    state: watch::Sender<State>,
}

/// A place in the output, counted in bytes since the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Cursor(pub u64);

/// A part of the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Text and gaps in their order; two texts never follow each other.
    pub pieces: Vec<Piece>,
    /// Where the next page begins.
    pub next: Cursor,
    /// The end of the output when it was read; there is more as long as `next` is before it,
    /// except for an escape sequence or a character that is not whole yet.
    pub end: Cursor,
    /// Whether the instance ended, and so nothing will follow.
    pub ended: bool,
}

/// A piece of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Plain text: no escape sequences, lines end in LF. It is what a program that may be
    /// hostile printed.
    Text(String),
    /// Something that was printed here is lost.
    Gap(Gap),
}

/// Output that is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// How many bytes, if that is known: they were too old, or the disk did not take them.
    /// Nobody knows how many there were, if any, when nobody was there to see them.
    pub bytes: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    end: u64,
    ended: bool,
}

/// So many bytes are read at first for a line that is asked for.
const LINE: u64 = 256;
/// And never fewer than these.
const LEAST: u64 = 16 * 1024;

// === impl Output ===

impl Output {
    /// Opens what is kept in a directory, which is created when it is absent; more will be
    /// printed.
    ///
    /// # Errors
    /// When the directory cannot be read or created.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        let segments = Segments::open(directory)?;
        let end = segments.end();
        let (state, _) = watch::channel(State { end, ended: false });
        Ok(Self {
            segments: Mutex::new(segments),
            state,
        })
    }

    /// Keeps what was printed, and tells those who follow. What the disk does not take is
    /// a gap from then on, and so is the first failure of several.
    pub(crate) fn append(&self, bytes: &[u8]) -> Result<(), io::Error> {
        // Written on the spot: it goes into the page cache, as the journal does.
        let mut segments = self.segments();
        let was_cut = segments.is_cut();
        let written = segments.append(bytes);
        let end = segments.end();
        drop(segments);
        self.state.send_modify(|state| state.end = end);
        written.or_else(|error| if was_cut { Ok(()) } else { Err(error) })
    }

    /// Something may have been printed that nobody saw.
    pub(crate) fn missed(&self) {
        let mut segments = self.segments();
        segments.missed();
        let end = segments.end();
        drop(segments);
        self.state.send_modify(|state| state.end = end);
    }

    /// Nothing will be printed any more.
    pub(crate) fn finish(&self) {
        self.state.send_modify(|state| state.ended = true);
    }

    /// The output from a place on, as text of at most `most` bytes (but 16 KiB in any case)
    /// before it became text.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn page(&self, from: Cursor, most: u32) -> io::Result<Page> {
        let state = *self.state.borrow();
        let plan = self.segments().plan(from.0, u64::from(most).max(LEAST))?;
        let (pieces, next) = pieces(&plan, from.0)?;
        Ok(Page {
            pieces,
            next: Cursor(next),
            end: Cursor(plan.end),
            ended: state.ended && state.end == plan.end,
        })
    }

    /// The last lines, exactly so many if there are as many. A line that is not ended yet
    /// is one.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn last_lines(&self, lines: usize) -> io::Result<Page> {
        let mut size = (lines as u64).saturating_mul(LINE).max(LEAST);
        loop {
            let (first, end) = {
                let segments = self.segments();
                (segments.first(), segments.end())
            };
            let from = end.saturating_sub(size);
            let whole = from <= first;
            // What is older than what is kept is told when lines are missing for it.
            let from = if whole { 0 } else { from };
            let mut page = self.page(Cursor(from), u32::MAX)?;
            if !whole {
                begin_at_a_line(&mut page.pieces);
            }
            if whole || count(&page.pieces) >= lines {
                keep_last(&mut page.pieces, lines);
                return Ok(page);
            }
            size = size.saturating_mul(4);
        }
    }

    /// Waits until there is more than `end`, or nothing more will come.
    pub async fn grows(&self, end: Cursor) {
        let mut state = self.state.subscribe();
        let more = |state: &State| state.end > end.0 || state.ended;
        // The sender is in `self`.
        let _ = state.wait_for(more).await;
    }

    fn segments(&self) -> std::sync::MutexGuard<'_, Segments> {
        // Its fields agree at every point where something could stop.
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a plan reads, as text and gaps, and where to go on.
fn pieces(plan: &Plan, from: u64) -> io::Result<(Vec<Piece>, u64)> {
    let mut pieces = Vec::new();
    let mut next = from;
    let runs = plan.read()?;
    for (index, run) in runs.iter().enumerate() {
        if let Some((at, hole)) = run.before {
            pieces.push(gap(hole, run.start - at));
        }
        let read = plain(&run.bytes);
        let length = run.bytes.len();
        let hole_follows = index + 1 < runs.len() || plan.last.is_some();
        let fills_the_page = run.start + (length as u64) < plan.end;
        // Nothing completes what stands before a hole, or is longer than a page.
        let given_up = hole_follows || (fills_the_page && read.read == 0);
        next = run.start + if given_up { length } else { read.read } as u64;
        if !read.text.is_empty() {
            pieces.push(Piece::Text(read.text));
        }
    }
    if let Some((at, hole)) = plan.last {
        pieces.push(gap(hole, plan.end - at));
        next = plan.end;
    }
    Ok((pieces, next))
}

fn gap(hole: Hole, bytes: u64) -> Piece {
    Piece::Gap(Gap {
        bytes: match hole {
            Hole::Counted => Some(bytes),
            Hole::Unseen => None,
        },
    })
}

/// Drops the line that is not whole.
fn begin_at_a_line(pieces: &mut Vec<Piece>) {
    match pieces.first_mut() {
        Some(Piece::Text(text)) => match text.find('\n') {
            Some(end) => drop(text.drain(..=end)),
            None => drop(pieces.remove(0)),
        },
        Some(Piece::Gap(_)) | None => {}
    }
}

/// How many lines there are.
fn count(pieces: &[Piece]) -> usize {
    let lines = pieces.iter().map(|piece| match piece {
        Piece::Text(text) => text.lines().count(),
        Piece::Gap(_) => 0,
    });
    lines.sum()
}

/// Keeps the last lines, and the gaps among them.
fn keep_last(pieces: &mut Vec<Piece>, mut lines: usize) {
    let mut kept = Vec::new();
    while let Some(piece) = pieces.pop() {
        let piece = match piece {
            Piece::Gap(gap) => Piece::Gap(gap),
            Piece::Text(_) if lines == 0 => break,
            Piece::Text(text) => {
                let own = text.lines().count();
                if own > lines {
                    kept.push(Piece::Text(tail(&text, lines).to_owned()));
                    break;
                }
                lines -= own;
                Piece::Text(text)
            }
        };
        kept.push(piece);
    }
    kept.reverse();
    *pieces = kept;
}

/// The last lines of a text that has more.
fn tail(text: &str, lines: usize) -> &str {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let begin = body.rmatch_indices('\n').nth(lines.saturating_sub(1));
    begin.map_or(text, |(at, _)| text.get(at + 1..).unwrap_or_default())
}

#[cfg(test)]
mod tests;

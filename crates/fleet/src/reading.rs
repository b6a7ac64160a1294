//! What instances printed, as `read` answers it.

use std::io;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::output::{Cursor, Page, Piece};
use crate::refusal::Refusal;
use crate::rules::{Caller, asked_for};
use crate::terminal::Terminal;
use crate::tools::{Output, Read, Tool};

/// How long one reading follows: clients give up after a minute.
const FOLLOWED: Duration = Duration::from_secs(45);
/// Bytes of one answer, about.
const MOST: u32 = 256 * 1024;

// === impl Fleet ===

impl<T: Terminal> Fleet<T> {
    /// `read`; `progress` is told where the output is, and what came.
    pub(crate) async fn read(
        &self,
        caller: &Caller,
        asked: &Read,
        progress: &(dyn Fn(u64, &str) + Sync),
    ) -> Result<Output, Failure> {
        let found = self.rows().instance(&asked.of)?;
        let it = asked_for(caller, Tool::Read, &asked.of, found)?;
        let from = asked.cursor.as_deref().map(cursor).transpose()?;
        let output = match self.windows.output(&it.id) {
            Ok(output) => output,
            // It never got as far as a window.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Output::of(&it, String::new(), "0".to_owned(), self.now()));
            }
            Err(error) => return Err(unreadable(&error)),
        };
        let page = match from {
            Some(from) => output.page(from, MOST),
            None => {
                let lines = usize::try_from(asked.lines).unwrap_or(usize::MAX);
                output.last_lines(lines)
            }
        };
        let mut page = page.map_err(|error| unreadable(&error))?;
        let mut text = shown(&page);
        let until = Instant::now() + FOLLOWED;
        while asked.follow && !page.ended && text.len() < MOST as usize {
            if timeout_at(until, output.grows(page.end)).await.is_err() {
                break;
            }
            let more = output.page(page.next, MOST);
            page = more.map_err(|error| unreadable(&error))?;
            let new = shown(&page);
            if !new.is_empty() {
                progress(page.next.0, &new);
                text.push_str(&new);
            }
        }
        // It may have ended meanwhile.
        let it = self.rows().instance(&it.id)?.unwrap_or(it);
        Ok(Output::of(&it, text, page.next.0.to_string(), self.now()))
    }
}

fn cursor(text: &str) -> Result<Cursor, Refusal> {
    let cursor = text.parse().map(Cursor);
    cursor.map_err(|_| Refusal::Cursor {
        cursor: text.to_owned(),
    })
}

/// A page as text; what is missing is told where it is missing.
fn shown(page: &Page) -> String {
    let mut text = String::new();
    for piece in &page.pieces {
        match piece {
            Piece::Text(piece) => text.push_str(piece),
            Piece::Gap(gap) => match gap.bytes {
                Some(bytes) => text.push_str(&format!("[{bytes} bytes are not kept]\n")),
                None => text.push_str("[something may be missing here]\n"),
            },
        }
    }
    text
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::Inside(format!("output cannot be read: {error}"))
}

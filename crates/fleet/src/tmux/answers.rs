//! Matches what tmux answers to what it was asked. An answer is a block of lines between
//! two with the same mark (time, number, flags); blocks come in the order of the questions.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::notice::split;

/// What was asked and not answered yet. `By` is what the answer is for.
pub(super) struct Answers<By> {
    asked: VecDeque<Asked<By>>,
    /// The block that is open.
    block: Option<Block>,
    /// What the blocks before it of the same answer said.
    said: Vec<Vec<u8>>,
}

/// A question.
pub(super) struct Asked<By> {
    pub(super) by: By,
    /// So many blocks come if none fails.
    pub(super) blocks: usize,
    /// When it has to be answered.
    pub(super) until: Instant,
    pub(super) fence: Option<Fence>,
}

/// The last block but one has lines that an instance made. They may look like the end of
/// a block, so nothing ends it but the block that follows, whose only line is one that
/// nobody could know.
pub(super) struct Fence(pub(super) Vec<u8>);

/// What a line is.
pub(super) enum Line<By> {
    /// Part of no answer.
    Notice,
    /// Part of an answer that goes on.
    Inside,
    /// The end of one: its lines, or tmux's words for why there are none.
    Answered(By, Result<Vec<Vec<u8>>, String>),
    /// The end of one to what was not asked here, but by the command that started the
    /// client.
    Started(Result<(), String>),
}

struct Block {
    mark: Vec<u8>,
    lines: Vec<Vec<u8>>,
}

const BEGIN: &[u8] = b"%begin ";
/// The flag of an answer to what a client asked through its standard input.
const ASKED: &[u8] = b" 1";

// === impl Answers ===

impl<By> Answers<By> {
    pub(super) fn new() -> Self {
        Self {
            asked: VecDeque::new(),
            block: None,
            said: Vec::new(),
        }
    }

    /// Notes what was asked after everything before it.
    pub(super) fn expect(&mut self, asked: Asked<By>) {
        self.asked.push_back(asked);
    }

    /// Whether nothing is waited for.
    pub(super) fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// Takes the next line.
    pub(super) fn line(&mut self, line: &[u8]) -> Line<By> {
        let Some(block) = &mut self.block else {
            let Some(mark) = line.strip_prefix(BEGIN) else {
                return Line::Notice;
            };
            self.block = Some(Block {
                mark: mark.to_owned(),
                lines: Vec::new(),
            });
            return Line::Inside;
        };
        let asked = self.asked.front_mut();
        let asked = asked.filter(|_| block.mark.ends_with(ASKED));
        let fenced = asked.as_ref().and_then(|asked| asked.fence_ahead());
        if let Some(Fence(fence)) = fenced
            && line != fence
        {
            block.lines.push(line.to_owned());
            return Line::Inside;
        }
        if fenced.is_some() {
            // The lines before the fence ended the block and began its own.
            let begin = block.lines.pop().unwrap_or_default();
            block.lines.pop();
            begin
                .strip_prefix(BEGIN)
                .unwrap_or_default()
                .clone_into(&mut block.mark);
            if let Some(asked) = asked {
                (asked.blocks, asked.fence) = (1, None);
            }
            return Line::Inside;
        }
        let failed = match split(line, b' ') {
            (b"%end", mark) if mark == block.mark => false,
            (b"%error", mark) if mark == block.mark => true,
            _ => {
                block.lines.push(line.to_owned());
                return Line::Inside;
            }
        };
        let lines = std::mem::take(&mut block.lines);
        let words = || String::from_utf8_lossy(&lines.join(&b' ')).into_owned();
        self.block = None;
        let Some(asked) = asked else {
            return Line::Started(if failed { Err(words()) } else { Ok(()) });
        };
        asked.blocks = asked.blocks.saturating_sub(1);
        let result = if failed {
            Err(words())
        } else {
            self.said.extend(lines);
            if asked.blocks > 0 {
                return Line::Inside;
            }
            Ok(std::mem::take(&mut self.said))
        };
        self.said.clear();
        match self.asked.pop_front() {
            Some(asked) => Line::Answered(asked.by, result),
            None => Line::Inside,
        }
    }

    /// When the first question has to be answered.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.asked.front().map(|asked| asked.until)
    }

    /// Everybody who waits for an answer, which will not come any more.
    pub(super) fn abandon(self) -> impl Iterator<Item = By> {
        self.asked.into_iter().map(|asked| asked.by)
    }
}

// === impl Asked ===

impl<By> Asked<By> {
    /// The fence that ends the block that is coming.
    fn fence_ahead(&self) -> Option<&Fence> {
        self.fence.as_ref().filter(|_| self.blocks == 2)
    }
}

#[cfg(test)]
mod tests;

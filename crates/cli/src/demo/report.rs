//! What the demonstration prints, and at what pace.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use crate::terminal::{escape, style};

/// How long a reader gets for a line.
const LINE: Duration = Duration::from_millis(220);
const CHAPTER: Duration = Duration::from_millis(700);

/// The report: readable on a terminal, plain and fast elsewhere.
pub(super) struct Report {
    paced: bool,
}

// === impl Report ===

impl Report {
    pub(super) fn new(fast: bool) -> Self {
        Report {
            paced: !fast && std::io::stdout().is_terminal(),
        }
    }

    pub(super) async fn chapter(&self, title: &str) {
        self.print(&format!(
            "\n{}{}{}",
            style::STRONG,
            escape(title),
            anstyle::Reset
        ));
        self.pause(CHAPTER).await;
    }

    /// A command that is run just now.
    pub(super) async fn command(&self, words: &str) {
        self.print(&format!(
            "  {}${} provost {}",
            style::FAINT,
            anstyle::Reset,
            escape(words)
        ));
        self.pause(LINE).await;
    }

    pub(super) async fn remark(&self, text: &str) {
        self.print(&format!(
            "    {}{}{}",
            style::FAINT,
            escape(text),
            anstyle::Reset
        ));
        self.pause(LINE).await;
    }

    pub(super) async fn allowed(&self, what: &str, detail: &str) {
        self.line(style::GOOD, "allowed", what, detail).await;
    }

    pub(super) async fn refused(&self, what: &str, detail: &str) {
        self.line(style::ERROR, "refused", what, detail).await;
    }

    pub(super) async fn event(&self, word: &str, what: &str, detail: &str) {
        self.line(style::WARNING, word, what, detail).await;
    }

    /// Lines for the reader to take away, unpaced.
    pub(super) fn text(&self, text: &str) {
        text.lines()
            .for_each(|line| self.print(&format!("  {}", escape(line))));
    }

    async fn line(&self, colour: anstyle::Style, word: &str, what: &str, detail: &str) {
        let (faint, reset) = (style::FAINT, anstyle::Reset);
        self.print(&format!(
            "    {colour}{word:<8}{reset} {:<44} {faint}{}{reset}",
            escape(what),
            escape(detail)
        ));
        self.pause(LINE).await;
    }

    fn print(&self, line: &str) {
        // The report going nowhere is no reason to leave a daemon behind.
        drop(writeln!(anstream::stdout().lock(), "{line}"));
    }

    async fn pause(&self, length: Duration) {
        if self.paced {
            tokio::time::sleep(length).await;
        }
    }
}

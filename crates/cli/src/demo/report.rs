//! What the demonstration prints, and at what pace.

use std::cell::RefCell;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use serde::Serialize;

use crate::terminal::{escape, style};

/// How long a reader gets for a line.
const LINE: Duration = Duration::from_millis(170);
const CHAPTER: Duration = Duration::from_millis(500);

/// The report: readable on a terminal, plain and fast elsewhere, collected for scripts.
pub(super) struct Report {
    paced: bool,
    /// What happened so far, when scripts read along.
    collected: Option<RefCell<Vec<Step>>>,
}

/// One thing that happened.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    kind: &'static str,
    what: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    detail: String,
}

// === impl Report ===

impl Report {
    pub(super) fn new(fast: bool, json: bool) -> Self {
        let collected = json.then(RefCell::default);
        Report {
            paced: !fast && !json && std::io::stdout().is_terminal(),
            collected,
        }
    }

    /// What happened, for scripts.
    pub(super) fn steps(self) -> Option<Vec<Step>> {
        self.collected.map(RefCell::into_inner)
    }

    pub(super) async fn chapter(&self, title: &str) {
        self.say(
            "chapter",
            title,
            "",
            format!("\n{}{}{}", style::STRONG, escape(title), anstyle::Reset),
        );
        self.pause(CHAPTER).await;
    }

    /// A command that is run just now.
    pub(super) async fn command(&self, words: &str) {
        self.say(
            "command",
            words,
            "",
            format!(
                "  {}${} provost {}",
                style::FAINT,
                anstyle::Reset,
                escape(words)
            ),
        );
        self.pause(LINE).await;
    }

    pub(super) async fn remark(&self, text: &str) {
        self.say(
            "remark",
            text,
            "",
            format!("    {}{}{}", style::FAINT, escape(text), anstyle::Reset),
        );
        self.pause(LINE).await;
    }

    pub(super) async fn allowed(&self, what: &str, detail: &str) {
        self.line(style::GOOD, "allowed", what, detail).await;
    }

    pub(super) async fn refused(&self, what: &str, detail: &str) {
        self.line(style::ERROR, "refused", what, detail).await;
    }

    pub(super) async fn event(&self, word: &'static str, what: &str, detail: &str) {
        self.line(style::WARNING, word, what, detail).await;
    }

    /// Lines for the reader to take away, unpaced.
    pub(super) fn text(&self, text: &str) {
        text.lines()
            .for_each(|line| self.say("text", line, "", format!("  {}", escape(line))));
    }

    async fn line(&self, colour: anstyle::Style, word: &'static str, what: &str, detail: &str) {
        let (faint, reset) = (style::FAINT, anstyle::Reset);
        let shown = if detail.is_empty() {
            format!("    {colour}{word:<8}{reset} {}", escape(what))
        } else {
            format!(
                "    {colour}{word:<8}{reset} {:<40} {faint}{}{reset}",
                escape(what),
                escape(detail)
            )
        };
        self.say(word, what, detail, shown);
        self.pause(LINE).await;
    }

    fn say(&self, kind: &'static str, what: &str, detail: &str, line: String) {
        if let Some(collected) = &self.collected {
            collected.borrow_mut().push(Step {
                kind,
                what: what.to_owned(),
                detail: detail.to_owned(),
            });
            return;
        }
        // The report going nowhere is no reason to leave a daemon behind.
        drop(writeln!(
            anstream::stdout().lock(),
            "{}",
            line.trim_end_matches(' ')
        ));
    }

    async fn pause(&self, length: Duration) {
        if self.paced {
            tokio::time::sleep(length).await;
        }
    }
}

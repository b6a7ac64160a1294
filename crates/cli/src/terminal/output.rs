//! The output of a command: text for people or JSON for scripts, on stdout.

use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;

use super::escape_json;
use crate::failure::{Failure, Outcome};

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    /// On a terminal, unless `NO_COLOR` is set; everywhere when `CLICOLOR_FORCE` is.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Where a command writes its result.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

// === impl ColorWhen ===

impl ColorWhen {
    /// Makes this choice hold for every stream of the process.
    pub(crate) fn install(self) {
        let choice = match self {
            // `Auto` lets anstream look at NO_COLOR, CLICOLOR, CLICOLOR_FORCE and the terminal.
            ColorWhen::Auto => anstream::ColorChoice::Auto,
            ColorWhen::Always => anstream::ColorChoice::Always,
            ColorWhen::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
    }
}

// === impl Output ===

impl Output {
    /// An output in JSON or in text.
    pub(crate) fn new(json: bool) -> Self {
        Output { json }
    }

    /// Whether scripts read along.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Prints a value as JSON, or what `text` writes.
    pub(crate) fn show<T: Serialize>(
        self,
        value: &T,
        text: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Outcome {
        if self.json {
            return self.write_json(serde_json::to_string_pretty(value));
        }
        self.write(text)
    }

    /// Prints one JSON line, or what `text` writes: for streams of records.
    pub(crate) fn show_line<T: Serialize>(
        self,
        value: &T,
        text: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Outcome {
        if self.json {
            return self.write_json(serde_json::to_string(value));
        }
        self.write(text)
    }

    fn write_json(self, body: serde_json::Result<String>) -> Outcome {
        let body =
            body.map_err(|error| Failure::internal("cannot print the answer").because(error))?;
        self.write(|out| writeln!(out, "{}", escape_json(&body)))
    }

    /// Writes to stdout whatever the format; a reader that went away is not an error.
    pub(crate) fn write(self, text: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Outcome {
        let mut out = anstream::stdout().lock();
        match text(&mut out).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            // `provost log | head`: nobody is left to tell.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure {
                quiet: true,
                ..Failure::refused("stdout was closed")
            }),
            Err(error) => Err(Failure::unavailable("cannot write to stdout").because(error)),
        }
    }

    /// A remark for the person at the terminal, on stderr; scripts do not see it.
    pub(crate) fn remark(self, text: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        if !self.json {
            let mut stream = anstream::stderr().lock();
            // Nothing can be done about a closed stderr.
            drop(text(&mut stream).and_then(|()| stream.flush()));
        }
    }
}

//! The one place that prints a failure.

use std::io::Write;

pub(crate) use provost_admin::{Failure, Outcome};

use crate::exit;
use crate::terminal::{escape, escape_json, style};

/// Prints a failure to stderr, as text or as one JSON line.
pub(crate) fn report(failure: &Failure, json: bool) {
    // Nobody is left to tell when stderr is closed.
    drop(print(failure, &mut anstream::stderr().lock(), json));
}

fn print(failure: &Failure, stream: &mut dyn Write, json: bool) -> std::io::Result<()> {
    if failure.quiet {
        return Ok(());
    }
    if json {
        let body = serde_json::json!({ "error": {
            "kind": failure.kind, "code": exit::code(failure.kind), "message": failure.message,
            "causes": failure.causes, "hint": failure.hint,
        }});
        return writeln!(stream, "{}", escape_json(&body.to_string()));
    }
    let (error, note, reset) = (style::ERROR, style::FAINT, anstyle::Reset);
    writeln!(stream, "{error}error{reset}: {}", escape(&failure.message))?;
    for cause in &failure.causes {
        writeln!(stream, "  {note}caused by{reset}: {}", escape(cause))?;
    }
    if let Some(hint) = &failure.hint {
        writeln!(stream, "  {}hint{reset}: {}", style::HINT, escape(hint))?;
    }
    stream.flush()
}

#[cfg(test)]
mod tests;

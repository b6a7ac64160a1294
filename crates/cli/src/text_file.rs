//! Files that a command reads as text.

use std::io::Read;
use std::path::Path;

use crate::failure::{Failure, Outcome};

/// The largest file that is read.
const LARGEST: u64 = 16 << 20;

/// Reads a text file, `-` for stdin, with a failure that says which file and why.
pub(crate) fn read_file(path: &Path) -> Outcome<String> {
    let name = path.display();
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().take(LARGEST + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| unread("file", path, &error))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST) {
        return Err(
            Failure::refused(format!("file `{name}` is too large")).because("16 MiB are the most")
        );
    }
    String::from_utf8(bytes).map_err(|error| {
        Failure::refused(format!("file `{name}` is not UTF-8"))
            .because(format!("byte {} is not", error.utf8_error().valid_up_to()))
    })
}

/// The failure when a file cannot be read; `what` says what kind of file it is.
pub(crate) fn unread(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    let refusal = format!("cannot read {what} `{}`", path.display());
    match error.kind() {
        std::io::ErrorKind::NotFound => Failure::not_found(refusal),
        _ => Failure::unavailable(refusal),
    }
    .because(error)
}

/// How a file is called in reports.
pub(crate) fn shown(path: &Path) -> String {
    if path.as_os_str() == "-" {
        "<stdin>".to_owned()
    } else {
        path.display().to_string()
    }
}

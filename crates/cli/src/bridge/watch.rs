//! Watches a policy file: every save is seen, also those that rename a new file over the old one.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::failure::{Failure, Outcome};
use crate::watched::Watched;

/// Editors write in several steps; this long after the last one the file is read.
const SETTLE: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_millis(500);

/// What became of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Saved {
    /// It has another text.
    Text(String),
    /// There is none any more.
    Gone,
}

/// Tells when the text of one file has changed.
pub(crate) struct PolicyWatch {
    path: PathBuf,
    /// Whether it was told that there is no file.
    gone: bool,
    /// The last text that was seen; `None` when it has to be told again.
    text: Option<String>,
    /// A save between the first reading and the start of the watch gave no event.
    unread: bool,
    watched: Watched,
}

// === impl PolicyWatch ===

impl PolicyWatch {
    /// Watches `path`, whose text is known to be `text`.
    pub(crate) fn start(path: &Path, text: String) -> Outcome<Self> {
        let fail = |error: notify::Error| {
            Failure::unavailable(format!("cannot watch policy file `{}`", path.display()))
                .because(error)
        };
        // The directory, not the file: a rename puts another file there. The file behind a link too.
        let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let mut directories = vec![parent(path)];
        if parent(&real) != parent(path) {
            directories.push(parent(&real));
        }
        let watched = Watched::begin(&directories, |event| !event.kind.is_access());
        Ok(PolicyWatch {
            path: path.to_owned(),
            gone: false,
            text: Some(text),
            unread: true,
            watched: watched.map_err(fail)?,
        })
    }

    /// Waits for a text that differs from the last one, or for the end of the file.
    pub(crate) async fn changed(&mut self) -> Saved {
        loop {
            if !std::mem::take(&mut self.unread) {
                self.wait().await;
            }
            // A file that is just being replaced, or not UTF-8, is looked at again with the next event.
            let read = std::fs::read_to_string(&self.path);
            let gone = matches!(&read, Err(error) if error.kind() == ErrorKind::NotFound);
            let was_gone = std::mem::replace(&mut self.gone, gone);
            match read {
                // What was gone and is there again is told, whatever it says.
                Ok(text) if was_gone || self.text.as_ref() != Some(&text) => {
                    self.text = Some(text.clone());
                    return Saved::Text(text);
                }
                Err(_) if gone && !was_gone => return Saved::Gone,
                _ => {}
            }
        }
    }

    /// The last text reached nobody: it counts as changed at the next event, whatever it is.
    pub(crate) fn not_taken(&mut self) {
        self.text = None;
    }

    /// Waits until something has happened beside the file, and nothing more does.
    async fn wait(&mut self) {
        self.watched.happened().await;
        // Other files of the directory may change without end, so the wait has one.
        let latest = Instant::now() + LONGEST;
        while Instant::now() < latest
            && tokio::time::timeout(SETTLE, self.watched.happened())
                .await
                .is_ok()
        {}
    }
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn saved(watch: &mut PolicyWatch) -> Saved {
        tokio::time::timeout(Duration::from_secs(10), watch.changed())
            .await
            .expect("the change is seen")
    }

    async fn next(watch: &mut PolicyWatch) -> String {
        match saved(watch).await {
            Saved::Text(text) => text,
            Saved::Gone => panic!("the file is there"),
        }
    }

    #[tokio::test]
    async fn sees_writes_and_atomic_renames_and_goes_on_seeing() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("policy.json");
        std::fs::write(&file, "1").unwrap();
        let mut watch = PolicyWatch::start(&file, "1".into()).unwrap();
        std::fs::write(&file, "2").unwrap();
        assert_eq!(next(&mut watch).await, "2");
        for text in ["3", "4"] {
            let beside = scratch.path().join("policy.json.tmp");
            std::fs::write(&beside, text).unwrap();
            std::fs::rename(&beside, &file).unwrap();
            assert_eq!(next(&mut watch).await, text);
        }
        std::fs::remove_file(&file).unwrap();
        assert_eq!(saved(&mut watch).await, Saved::Gone);
        std::fs::write(&file, "5").unwrap();
        assert_eq!(next(&mut watch).await, "5");
    }

    #[tokio::test]
    async fn a_save_before_the_watch_is_seen_and_a_text_that_was_not_taken_is_told_again() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("policy.json");
        std::fs::write(&file, "2").unwrap();
        let mut watch = PolicyWatch::start(&file, "1".into()).unwrap();
        assert_eq!(next(&mut watch).await, "2");
        watch.not_taken();
        std::fs::write(&file, "2").unwrap();
        assert_eq!(next(&mut watch).await, "2");
    }
}

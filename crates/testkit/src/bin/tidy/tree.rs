//! The checkout as the checks see it: text files under version control, and what Cargo knows.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// The checkout.
pub(crate) struct Tree {
    /// The text files that are tracked or would be, by path from the top.
    pub(crate) files: Vec<TextFile>,
    /// All paths that are tracked or would be, text or not.
    pub(crate) paths: Vec<String>,
    /// `cargo metadata`.
    pub(crate) metadata: Value,
}

/// A text file.
pub(crate) struct TextFile {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Tree {
    /// Reads the checkout that this program was built from.
    pub(crate) fn read() -> Result<Tree> {
        let root = provost_testkit::process::root();
        let listing = output(Command::new("git").current_dir(&root).args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]))?;
        let mut paths: Vec<String> = listing
            .split('\0')
            .filter(|path| !path.is_empty())
            .map(str::to_owned)
            .collect();
        paths.sort();
        paths.dedup();
        paths.retain(|path| root.join(path).exists()); // a deleted file is listed until the deletion is committed
        let read = |path: &String| {
            let bytes = std::fs::read(root.join(path)).ok()?;
            Some(TextFile {
                path: path.clone(),
                text: String::from_utf8(bytes).ok()?,
            })
        };
        let files = paths.iter().filter_map(read).collect();
        Ok(Tree {
            files,
            paths,
            metadata: metadata(root)?,
        })
    }

    /// The file of that path.
    pub(crate) fn file(&self, path: &str) -> Option<&TextFile> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The Rust files of our crates.
    pub(crate) fn rust(&self) -> impl Iterator<Item = &TextFile> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// A tree made up for a test.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)], metadata: Value) -> Tree {
        let file = |(path, text): &(&str, &str)| TextFile {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        };
        let paths = files.iter().map(|(path, _)| (*path).to_owned()).collect();
        Tree {
            files: files.iter().map(file).collect(),
            paths,
            metadata,
        }
    }
}

fn metadata(root: PathBuf) -> Result<Value> {
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let arguments = ["metadata", "--format-version", "1", "--locked"];
    let text = output(Command::new(cargo).current_dir(root).args(arguments))?;
    serde_json::from_str(&text).context("cargo's metadata is not JSON")
}

fn output(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("{:?} does not start", command.get_program()))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{:?} failed: {errors}",
        command.get_program()
    );
    String::from_utf8(output.stdout).context("a path is not UTF-8")
}

//! The table of what was tried: a checked-in document, each row of which is confirmed by the test that made it.
//!
//! A test that finds its row different fails. To write the rows anew: `make compatibility`.

use crate::process::root;
use std::fmt::Write;
use std::fs::File;
use std::path::PathBuf;

/// The variable that makes tests write their rows instead of confirming them.
pub const WRITE: &str = "PROVOST_WRITE_TABLES";

fn document() -> PathBuf {
    root().join("docs/compatibility.md")
}

/// Confirms a row, or writes it. The first cells, `key` of them, name the row.
///
/// # Panics
/// When the document says something else, or nothing.
pub fn confirm(heading: &str, cells: &[&str], key: usize) {
    let row = line(cells);
    let name = line(&cells[..key]);
    let write = std::env::var_os(WRITE).is_some();
    let held = write.then(lock);
    let text = std::fs::read_to_string(document()).expect("the table is checked in");
    let place = format!("## {heading}\n");
    let start = text
        .find(&place)
        .unwrap_or_else(|| panic!("no heading `{heading}`"));
    let (before, section) = text.split_at(start);
    let end = section[place.len()..]
        .find("\n## ")
        .map_or(section.len(), |end| end + place.len() + 1);
    let (section, after) = section.split_at(end);
    let mut rows: Vec<&str> = section.lines().collect();
    let found = rows.iter().position(|line| line.starts_with(&name));
    if !write {
        let found = found.map_or("nothing", |at| rows[at]);
        assert_eq!(
            found, row,
            "docs/compatibility.md says otherwise; `make compatibility` writes it"
        );
        return;
    }
    let first = rows.iter().position(|line| line.starts_with("| ---"));
    let first = first.expect("a table has a head") + 1;
    match found {
        Some(at) => rows[at] = &row,
        None => rows.insert(first, &row),
    }
    let length = rows[first..]
        .iter()
        .take_while(|line| line.starts_with('|'));
    let end = first + length.count();
    rows[first..end].sort_unstable();
    let blank = if after.is_empty() { "" } else { "\n" };
    let section = rows.join("\n").trim_end().to_owned();
    let text = format!("{before}{section}\n{blank}{after}");
    std::fs::write(document(), text).expect("the table can be written");
    drop(held);
}

fn line(cells: &[&str]) -> String {
    let mut line = String::from("|");
    for cell in cells {
        write!(line, " {cell} |").expect("a string takes everything");
    }
    line
}

/// Tests run in processes of their own, and write one after the other.
fn lock() -> File {
    let file = File::create(root().join("target/compatibility.lock")).expect("target exists");
    file.lock().expect("a file can be locked");
    file
}

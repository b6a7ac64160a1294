//! The numbered list of bad input, what is excepted from it, and which tests carry its numbers.
//!
//! A test belongs to item 41 of group V when its name, or that of a module it is in, begins with `v41_`. The program
//! `negative` makes the table from a test run, the check `tidy` sees to it that no item is forgotten.

use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;

/// The list, as it is checked in.
pub const ITEMS: &str = include_str!("negative/items.txt");
/// The exceptions, as they are checked in.
pub const EXCEPTIONS: &str = include_str!("negative/exceptions.txt");

/// One item of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// `T`, `J`, `V`, `S`, `A`, `C`, `P`, `U`, `L`, or `D`.
    pub group: char,
    /// Counted through all groups but `D`, which has numbers of its own.
    pub number: u32,
    /// The faces it must be tested on; none: wherever it fits.
    pub faces: Vec<String>,
    /// What it leaves behind.
    pub trace: String,
    /// What it is.
    pub what: String,
    /// Why it is not tested, or not entirely.
    pub exception: Option<String>,
}

/// Reads the list with its exceptions.
///
/// # Errors
/// When a line cannot be read, a number is missing, or an exception is none of the list's.
pub fn items() -> Result<Vec<Item>> {
    let mut exceptions = exceptions(EXCEPTIONS)?;
    let lines = ITEMS
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let items = lines
        .map(|line| item(line, &mut exceptions))
        .collect::<Result<Vec<_>>>()?;
    let (defects, list): (Vec<&Item>, Vec<&Item>) =
        items.iter().partition(|item| item.group == 'D');
    let numbers: Vec<u32> = list.iter().map(|item| item.number).collect();
    ensure!(
        numbers == (1..=110).collect::<Vec<_>>(),
        "the numbers are not 1 to 110"
    );
    let numbers: Vec<u32> = defects.iter().map(|item| item.number).collect();
    ensure!(
        numbers.is_sorted_by(|before, after| before < after),
        "the numbers of group D are not in order"
    );
    ensure!(
        exceptions.is_empty(),
        "exceptions of no item: {:?}",
        exceptions.keys()
    );
    Ok(items)
}

/// Reasons by number; those of group `D` are written `D95`.
fn exceptions(text: &str) -> Result<BTreeMap<String, String>> {
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| {
            let (number, reason) = line
                .split_once(' ')
                .with_context(|| format!("no reason: {line}"))?;
            Ok((number.to_owned(), reason.trim().to_owned()))
        })
        .collect()
}

fn item(line: &str, exceptions: &mut BTreeMap<String, String>) -> Result<Item> {
    let mut words = line.split_whitespace();
    let (Some(group), Some(number), Some(faces), Some(trace)) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        bail!("too short: {line}");
    };
    let number: u32 = number.parse().with_context(|| line.to_owned())?;
    let any = faces == "any";
    let key = match group {
        "D" => format!("D{number:02}"),
        _ => number.to_string(),
    };
    Ok(Item {
        group: group.chars().next().with_context(|| line.to_owned())?,
        number,
        faces: faces
            .split('+')
            .filter(|_| !any)
            .map(str::to_owned)
            .collect(),
        trace: trace.to_owned(),
        what: words.collect::<Vec<_>>().join(" "),
        exception: exceptions.remove(&key),
    })
}

// === impl Item ===

impl Item {
    /// What the names of its tests begin with.
    pub fn prefix(&self) -> String {
        format!("{}{:02}_", self.group.to_ascii_lowercase(), self.number)
    }

    /// Whether it has to have tests: it is not excepted, or only in part.
    pub fn is_due(&self) -> bool {
        self.exception
            .as_ref()
            .is_none_or(|reason| reason.starts_with("in part"))
    }

    /// Whether a test of this path (`negative::t::t01_x::http`) is one of its tests.
    pub fn owns(&self, path: &str) -> bool {
        path.split("::")
            .any(|part| part.starts_with(&self.prefix()))
    }
}

/// The face that a test of this path looks at; `elsewhere` when it is neither.
pub fn face(path: &str) -> &'static str {
    let last = path.rsplit("::").next().unwrap_or_default();
    if last.starts_with("http") || last.ends_with("_over_http") {
        "http"
    } else if last.starts_with("stdio") || last.ends_with("_over_stdio") {
        "stdio"
    } else {
        "elsewhere"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_whole() {
        let items = items().unwrap();
        let list: Vec<&Item> = items.iter().filter(|item| item.group != 'D').collect();
        assert_eq!(list.len(), 110);
        assert!(items.iter().all(|item| !item.what.is_empty()));
        assert_eq!(
            (items[0].prefix().as_str(), items[109].prefix().as_str()),
            ("t01_", "l110_")
        );
        assert!(items[88].is_due() && !items[89].is_due());
    }

    #[test]
    fn tests_are_found_by_their_names() {
        let item = &items().unwrap()[0];
        assert!(item.owns("negative::t::t01_a_host::http") && !item.owns("negative::t::t010_x"));
        assert_eq!(face("negative::t::t01_a_host::http_to_stdio"), "http");
        assert_eq!(face("journal::l104_x_over_stdio"), "stdio");
        assert_eq!(face("audit::l103_x"), "elsewhere");
    }
}

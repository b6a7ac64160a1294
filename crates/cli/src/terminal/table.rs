//! Aligned tables.

use std::io::{self, IsTerminal, Write};

use anstyle::Style;

use super::{escape, style};
use crate::environment::Environment;

/// A table that knows its widths only when it is printed.
pub(crate) struct Table {
    head: Vec<Cell>,
    rows: Vec<Vec<Cell>>,
}

/// One piece of foreign or own text with a style.
#[derive(Clone)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

// === impl Cell ===

impl Cell {
    /// Unstyled text.
    pub(crate) fn plain(text: impl AsRef<str>) -> Self {
        Cell::styled(text, style::PLAIN)
    }

    /// Text in a style.
    pub(crate) fn styled(text: impl AsRef<str>, style: Style) -> Self {
        Cell {
            text: escape(text.as_ref()).into_owned(),
            style,
        }
    }

    /// Leaves so many characters of it.
    pub(crate) fn shorten(&mut self, most: usize) {
        if let Some((end, _)) = self.text.char_indices().nth(most.saturating_sub(1))
            && self.width() > most
        {
            self.text.truncate(end);
            self.text.push('…');
        }
    }

    /// Puts it at the right end of a column.
    pub(crate) fn align_right(&mut self, column: usize) {
        self.text = format!("{:>column$}", self.text);
    }

    pub(crate) fn width(&self) -> usize {
        self.text.chars().count()
    }

    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(
            out,
            "{}{}{}",
            self.style,
            self.text,
            self.style.render_reset()
        )
    }
}

// === impl Table ===

impl Table {
    /// An empty table with these headings.
    pub(crate) fn new(head: &[&'static str]) -> Self {
        let head = head.iter().map(|head| Cell::styled(head, style::FAINT));
        Table::with_head(head.collect())
    }

    /// An empty table with headings of its own.
    pub(crate) fn with_head(head: Vec<Cell>) -> Self {
        Table {
            head,
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Prints headings and rows, in the width that there is: the last column goes on below where it
    /// does not fit.
    pub(crate) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        self.print_within(out, width())
    }

    fn print_within(&self, out: &mut dyn Write, within: Option<usize>) -> io::Result<()> {
        let whole = |lines: &[Vec<Cell>]| -> usize {
            widths_of(lines).iter().map(|width| width + GAP).sum()
        };
        let mut lines: Vec<Vec<Cell>> = std::iter::once(&self.head)
            .chain(&self.rows)
            .cloned()
            .collect();
        let fits = |lines: &[Vec<Cell>]| within.is_none_or(|within| whole(lines) <= within + GAP);
        if !fits(&lines) {
            // Where there is little room, none is spent on what says nothing.
            let says = |column: usize| {
                let mut cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.any(|cell| !matches!(cell.text.as_str(), "" | "-"))
            };
            let shown: Vec<bool> = (0..self.head.len()).map(says).collect();
            for line in &mut lines {
                let mut column = shown.iter();
                line.retain(|_| column.next().is_none_or(|shown| *shown));
            }
        }
        // Then on names that nobody has chosen.
        for (is_long, most) in [(is_id as fn(&str) -> bool, SHORT_ID), (is_run, SHORT_RUN)] {
            if fits(&lines) {
                break;
            }
            let cells = lines.iter_mut().flatten();
            cells
                .filter(|cell| is_long(&cell.text))
                .for_each(|cell| cell.shorten(most));
        }
        let mut widths = widths_of(&lines);
        if let Some(within) = within {
            narrow(&lines, &mut widths, within);
        }
        lines.iter_mut().try_for_each(|cells| {
            if let Some((_, before)) = cells.split_last_mut() {
                for (cell, width) in before.iter_mut().zip(&widths) {
                    cell.shorten(*width);
                }
            }
            line(out, cells, &widths, within)
        })
    }
}

fn widths_of(lines: &[Vec<Cell>]) -> Vec<usize> {
    let columns = lines.first().map_or(0, Vec::len);
    let widths = (0..columns).map(|column| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(Cell::width).max().unwrap_or(0)
    });
    widths.collect()
}

/// Makes the widest columns before the last one narrower until they have room on a line, so that
/// the terminal breaks none of them. Times and numbers stay whole.
fn narrow(lines: &[Vec<Cell>], widths: &mut [usize], within: usize) {
    let Some((head, rows)) = lines.split_first() else {
        return;
    };
    let Some((_, before)) = widths.split_last_mut() else {
        return;
    };
    let least: Vec<usize> = (0..before.len())
        .map(|column| {
            let mut cells = rows.iter().filter_map(|row| row.get(column));
            let is_number = cells.all(|cell| cell.text.starts_with(|c: char| c.is_ascii_digit()));
            let heading = head.get(column).map_or(0, Cell::width);
            if is_number {
                usize::MAX
            } else {
                heading.max(SHORTEST)
            }
        })
        .collect();
    while before.iter().map(|width| width + GAP).sum::<usize>() > within + GAP {
        let wide = before.iter_mut().zip(&least);
        let wide = wide.filter(|(width, least)| **width > **least);
        let Some((widest, _)) = wide.max_by_key(|(width, _)| **width) else {
            return;
        };
        *widest -= 1;
    }
}

/// The id of a grant or a server: a letter and many digits.
fn is_id(text: &str) -> bool {
    text.len() > SHORT_ID
        && ["g-", "s-"].iter().any(|begin| text.starts_with(begin))
        && text.chars().skip(2).all(|c| c.is_ascii_hexdigit())
}

/// A name that `run` made.
fn is_run(text: &str) -> bool {
    text.starts_with("run-")
}

/// Prints one line of a table with these widths of columns; the last one has none.
pub(crate) fn line(
    out: &mut dyn Write,
    cells: &[Cell],
    widths: &[usize],
    within: Option<usize>,
) -> io::Result<()> {
    let Some((last, before)) = cells.split_last() else {
        return writeln!(out);
    };
    let used: usize = widths
        .iter()
        .take(before.len())
        .map(|width| width + GAP)
        .sum();
    let place = Place::of(last, used, within);
    for (column, (cell, width)) in before.iter().zip(widths).enumerate() {
        cell.print(out)?;
        // Nothing stands behind the end of a line.
        if column + 1 < before.len() || !matches!(place, Place::Below(_)) {
            let padding = width.saturating_sub(cell.width()) + GAP;
            write!(out, "{:padding$}", "")?;
        }
    }
    let (indent, room) = match place {
        Place::Beside => {
            last.print(out)?;
            return writeln!(out);
        }
        Place::Wrapped(room) => (used, room),
        Place::Below(room) => {
            write!(out, "\n{:BELOW$}", "")?;
            (BELOW, room)
        }
    };
    for (number, text) in wrapped(&last.text, room).into_iter().enumerate() {
        if number > 0 {
            write!(out, "\n{:indent$}", "")?;
        }
        let style = last.style;
        write!(out, "{style}{text}{}", style.render_reset())?;
    }
    writeln!(out)
}

/// Enough of an id to tell it from others.
const SHORT_ID: usize = 10;
/// Enough of the name that `run` gave.
const SHORT_RUN: usize = 16;
/// No column is made narrower.
const SHORTEST: usize = 4;
/// Between two columns.
const GAP: usize = 2;
/// How far what goes on below is indented.
const BELOW: usize = 4;
/// A column narrower than this, or than a word, is no place for a sentence.
const NARROWEST: usize = 30;

/// Where the last cell of a line stands.
enum Place {
    /// It fits.
    Beside,
    /// In its column, in lines of so many characters.
    Wrapped(usize),
    /// On lines of its own.
    Below(usize),
}

// === impl Place ===

impl Place {
    fn of(last: &Cell, used: usize, within: Option<usize>) -> Self {
        match within {
            Some(within) if used + last.width() > within && last.width() > 0 => {
                let words = last.text.split_whitespace();
                let longest = words.map(|word| word.chars().count()).max();
                let least = longest.unwrap_or_default().max(NARROWEST);
                match within.saturating_sub(used) {
                    room if room >= least => Place::Wrapped(room),
                    _ => Place::Below(within.saturating_sub(BELOW)),
                }
            }
            Some(_) | None => Place::Beside,
        }
    }
}

/// Lines of at most `room` characters, broken at spaces; a longer word stays whole, so that it can
/// be copied.
fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// How wide the terminal is: as `COLUMNS` says, or the terminal itself. Nobody minds long lines in a
/// file or a pipe.
pub(crate) fn width() -> Option<usize> {
    let said = Environment::setting("COLUMNS").ok().flatten();
    if let Some(columns) = said.and_then(|columns| columns.parse().ok()) {
        return Some(columns);
    }
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(&stdout).ok()?;
    // A terminal that does not know says 0.
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_the_last_is_not_padded() {
        let mut table = Table::new(&["NAME", "URL"]);
        table.row(vec![Cell::plain("a-long-name"), Cell::plain("http://a")]);
        table.row(vec![Cell::plain("b"), Cell::plain("c\u{1b}")]);
        let mut bytes = Vec::new();
        table.print(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let text = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(
            text,
            "NAME         URL\na-long-name  http://a\nb            c\\x1b\n"
        );
    }

    #[test]
    fn d51_a_column_that_says_nothing_leaves_its_room_to_others() {
        let mut table = Table::new(&["NAME", "DRAFT", "ID"]);
        table.row(["a", "-", "g-0123456789"].map(Cell::plain).to_vec());
        table.row(["b", "-", "g-9876543210"].map(Cell::plain).to_vec());
        let printed = |within| {
            let mut bytes = Vec::new();
            table.print_within(&mut bytes, Some(within)).unwrap();
            let text = String::from_utf8(bytes).unwrap();
            anstream::adapter::strip_str(&text).to_string()
        };
        assert!(printed(25).starts_with("NAME  DRAFT  ID\na     -      g-0"));
        assert!(printed(24).starts_with("NAME  ID\na     g-0"));
    }

    #[test]
    fn names_that_nobody_chose_are_cut_before_any_column_breaks() {
        let mut table = Table::new(&["LABEL", "SERVER", "EXPIRES", "ID"]);
        let row = [
            "laptop",
            "run-npx-server-filesystem-a263b6296164",
            "2026-11-30 23:08",
            "g-0123456789abcdef0123",
        ];
        table.row(row.map(Cell::plain).to_vec());
        let printed = |within| {
            let mut bytes = Vec::new();
            table.print_within(&mut bytes, Some(within)).unwrap();
            let text = String::from_utf8(bytes).unwrap();
            let text = anstream::adapter::strip_str(&text).to_string();
            let row = text.lines().find(|line| line.starts_with("laptop"));
            row.unwrap().trim_end().to_owned()
        };
        assert_eq!(
            printed(80),
            "laptop  run-npx-server-filesystem-a263b6296164  2026-11-30 23:08  g-0123456…"
        );
        assert_eq!(
            printed(60),
            "laptop  run-npx-server-…  2026-11-30 23:08  g-0123456…"
        );
        assert_eq!(printed(36), "laptop  run-npx-s…  2026-11-30 23:08");
    }

    #[test]
    fn d51_the_last_column_goes_on_where_there_is_room() {
        let mut table = Table::new(&["TIME", "CALL", "DETAIL"]);
        let row = |call: &str, detail: &str| {
            let cells = ["10:00:00", call, detail].map(Cell::plain);
            cells.to_vec()
        };
        table.row(row("read", "fits"));
        table.row(row(
            "write",
            "only files of the project can be read  /tools/read/require/args.path-under",
        ));
        let printed = |within| {
            let mut bytes = Vec::new();
            table.print_within(&mut bytes, Some(within)).unwrap();
            let text = String::from_utf8(bytes).unwrap();
            anstream::adapter::strip_str(&text).to_string()
        };
        assert_eq!(
            printed(60),
            "TIME      CALL   DETAIL\n\
             10:00:00  read   fits\n\
             10:00:00  write  only files of the project can be read\n                 \
             /tools/read/require/args.path-under\n"
        );
        assert_eq!(
            printed(40),
            "TIME      CALL   DETAIL\n\
             10:00:00  read   fits\n\
             10:00:00  write\n    only files of the project can be\n    read\n    \
             /tools/read/require/args.path-under\n"
        );
    }
}

//! Aligned tables.

use std::io::{self, Write};

use anstyle::Style;

use super::{escape, style};

/// A table that knows its widths only when it is printed.
pub(crate) struct Table {
    head: Vec<&'static str>,
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

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

// === impl Table ===

impl Table {
    /// An empty table with these headings.
    pub(crate) fn new(head: &[&'static str]) -> Self {
        Table {
            head: head.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Prints headings and rows, the last column unpadded.
    pub(crate) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let widths: Vec<usize> = self
            .head
            .iter()
            .enumerate()
            .map(|(column, head)| {
                let cells = self
                    .rows
                    .iter()
                    .filter_map(|row| row.get(column))
                    .map(Cell::width);
                cells.max().unwrap_or(0).max(head.chars().count())
            })
            .collect();
        let head: Vec<Cell> = self
            .head
            .iter()
            .map(|head| Cell::styled(head, style::FAINT))
            .collect();
        line(out, &head, &widths)?;
        self.rows.iter().try_for_each(|row| line(out, row, &widths))
    }
}

fn line(out: &mut dyn Write, cells: &[Cell], widths: &[usize]) -> io::Result<()> {
    let last = cells.len().saturating_sub(1);
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        write!(
            out,
            "{}{}{}",
            cell.style,
            cell.text,
            cell.style.render_reset()
        )?;
        if column < last {
            let padding = width.saturating_sub(cell.width()) + 2;
            write!(out, "{:padding$}", "")?;
        }
    }
    writeln!(out)
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
}

//! What reaches a terminal: escaping of foreign text, styles, tables, and the output of a command.

mod counted;
mod escape;
mod output;
pub(crate) mod style;
mod table;

pub(crate) use counted::counted;
pub(crate) use escape::{escape, escape_block, escape_json};
pub(crate) use output::{ColorWhen, Output};
pub(crate) use table::{Cell, Table, line, width};

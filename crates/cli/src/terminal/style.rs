//! The few styles Provost uses. The stream decides whether they are shown.

use anstyle::{AnsiColor, Style};

/// Refusals and failures.
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
/// Things that work but deserve a look.
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// Success, allowed calls.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What to do next.
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default();
/// Side remarks.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// Headings and names.
pub(crate) const STRONG: Style = Style::new().bold();
/// No style.
pub(crate) const PLAIN: Style = Style::new();

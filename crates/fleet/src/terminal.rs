//! What the fleet needs of a terminal: a window for each instance, keys into it,
//! bytes out of it, and word of its end. Real terminals and fakes are on the other
//! side of this border.

use std::ffi::OsString;
use std::future::Future;

use provost_store::fleet::InstanceId;

/// What programs are told about the terminal they run in (`TERM`).
pub const TERM: &str = "screen-256color";

/// Windows by the instances they belong to. What happens in them comes out of a
/// channel that whoever makes a terminal hands out with it, in order.
pub trait Terminal: Send + Sync + 'static {
    /// Opens a window in which `opening.argv` runs, exec'd as it is: no shell reads it.
    /// When this returns the program is started. After [`TerminalError::NoAnswer`] it may
    /// be, and if it is not, [`Event::Closed`] says so.
    fn open(&self, opening: Opening<'_>) -> impl Future<Output = Result<(), TerminalError>> + Send;

    /// Gives the program in the window what a keyboard would.
    fn enter(
        &self,
        instance: &InstanceId,
        input: Input<'_>,
    ) -> impl Future<Output = Result<(), TerminalError>> + Send;

    /// Gives a window another size; its program is told.
    fn resize(
        &self,
        instance: &InstanceId,
        size: Size,
    ) -> impl Future<Output = Result<(), TerminalError>> + Send;

    /// What the window shows, line by line from the top, without blanks at the ends.
    fn screen(
        &self,
        instance: &InstanceId,
    ) -> impl Future<Output = Result<Vec<String>, TerminalError>> + Send;

    /// Has the window's first process end (SIGTERM), and returns when it is gone. One
    /// that stays for seconds loses its window.
    fn close(
        &self,
        instance: &InstanceId,
    ) -> impl Future<Output = Result<(), TerminalError>> + Send;

    /// The windows there are, in the order of their instances. Asks nobody.
    fn windows(&self) -> Vec<Window>;

    /// The command with which a person looks at a window and types into it, once.
    fn attaching(&self, instance: &InstanceId) -> Result<Vec<OsString>, TerminalError>;
}

/// A window that is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// Whose it is.
    pub instance: &'a InstanceId,
    /// The program, by its path or looked for in `PATH`, and its arguments: two words
    /// at least.
    pub argv: &'a [OsString],
    /// How large it is at first.
    pub size: Size,
}

/// Columns and rows of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Characters in a line.
    pub columns: u16,
    /// Lines.
    pub rows: u16,
}

/// What is entered.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// As if typed, key by key.
    Text(Typable<'a>),
    /// As if pasted: programs that asked for it see where it begins and ends, and every
    /// byte arrives as it is.
    Paste(Typable<'a>),
    /// One key.
    Key(Key),
}

/// A text without characters that a terminal takes for keys: of the control characters
/// it has only tabs and ends of lines. Anything else could end a paste early and press
/// keys of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Typable<'a>(&'a str);

/// A text has a character that a terminal takes for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text has a control character (U+{:04X}) at byte {at}", u32::from(*character))]
pub struct NotTypable {
    /// The first such character.
    pub character: char,
    /// Where it stands.
    pub at: usize,
}

/// Keys with names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Key {
    Enter,
    Escape,
    Tab,
    Backspace,
    Up,
    Down,
    Left,
    Right,
    /// The letter together with Control; `a` to `z`.
    Control(char),
}

/// One window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Whose it is.
    pub instance: InstanceId,
    /// Whether a person looks at it now.
    pub attached: bool,
}

/// What happens in windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The program wrote these bytes.
    Output {
        /// In this window.
        instance: InstanceId,
        /// Never empty; escape sequences and characters may be divided between events.
        bytes: Vec<u8>,
    },
    /// The program may have written something that nobody saw.
    Missed(InstanceId),
    /// The window is gone, and its first process with it.
    Closed(InstanceId),
    /// A person looks at the window now.
    Attached(InstanceId),
    /// Nobody looks at the window any more.
    Detached(InstanceId),
    /// The terminal itself ended, and all windows with it: each is told by `Closed` next.
    ServerGone,
}

/// A terminal did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum TerminalError {
    /// There is no window of this instance.
    #[error("`{0}` has no window")]
    NoWindow(InstanceId),
    /// There is a window of this instance already.
    #[error("`{0}` has a window already")]
    HasWindow(InstanceId),
    /// The terminal refused, in its own words.
    #[error("the terminal refused: {0}")]
    Refused(String),
    /// The terminal did not answer in time, or ended before it did: what was asked may
    /// have been done.
    #[error("the terminal gave no answer")]
    NoAnswer,
    /// The terminal could not be started or reached.
    #[error("the terminal cannot be reached")]
    Unreachable(#[source] std::io::Error),
}

// === impl Typable ===

impl<'a> Typable<'a> {
    /// Takes a text that has no other control characters than tabs and ends of lines.
    ///
    /// # Errors
    /// Names the first one that it has.
    pub fn new(text: &'a str) -> Result<Self, NotTypable> {
        let key = |character: char| character.is_control() && !"\t\n\r".contains(character);
        match text.char_indices().find(|(_, character)| key(*character)) {
            None => Ok(Self(text)),
            Some((at, character)) => Err(NotTypable { character, at }),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

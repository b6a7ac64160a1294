//! Run agents in terminals and know what state they are in.
//!
//! So far its lowest layer: windows of a terminal with a program in each, keys into them,
//! what they print, and how they end. This room must not know what an agent is for, nor
//! that there is a gateway.

mod exit;
mod farewell;
mod instance;
mod launch;
mod output;
mod place;
mod terminal;
mod tmux;
mod windows;

pub use exit::Exit;
pub use farewell::farewell;
pub use instance::{InstanceId, NoInstanceId};
pub use launch::{Launch, LaunchError, Program};
pub use output::{Cursor, Gap, Output, Page, Piece};
pub use place::Place;
pub use terminal::{
    Event, Input, Key, NotTypable, Opening, Size, TERM, Terminal, TerminalError, Typable, Window,
};
pub use tmux::{Tmux, TmuxError};
pub use windows::{News, StartError, Windows};

//! Run agents in terminals and know what state they are in.
//!
//! Below: windows of a terminal with a program in each, keys into them, what they print,
//! and how they end; they do not know what an agent is for. Beside them: what the fleet's
//! tools look like, who may call which, and the rules for making instances; these know of
//! no terminal. Nothing here knows that there is a gateway.

mod call;
mod delivery;
mod exit;
mod failure;
mod farewell;
mod fleet;
mod id;
mod launch;
mod lives;
pub mod mail;
mod output;
mod pass;
mod place;
mod places;
mod reading;
mod refusal;
mod role;
mod rules;
#[cfg(test)]
mod scene;
mod schema;
mod settings;
pub mod survey;
pub mod tasks;
mod terminal;
mod tmux;
pub mod tools;
mod windows;
mod work;

pub use exit::Exit;
pub use failure::Failure;
pub use farewell::farewell;
pub use fleet::{Fleet, SERVER};
pub use launch::{Launch, LaunchError, Program};
pub use lives::INSTANCE;
pub use output::{Cursor, Gap, Output, Page, Piece};
pub use pass::furnish;
pub use place::Place;
pub use places::{PlaceRefused, Places};
pub use provost_store::fleet::{InstanceId, NoInstanceId};
pub use refusal::{Limit, Refusal, Rule};
pub use role::{Reach, listed, may_call, may_spawn};
pub use rules::{
    Caller, Limits, SPAWN_WINDOW, SubtreeLimits, admit_again, admitted, asked_for, leader,
    may_go_on, may_watch,
};
pub use settings::Settings;
pub use terminal::{
    Event, Input, Key, NotTypable, Opening, Size, TERM, Terminal, TerminalError, Typable, Window,
};
pub use tmux::{Tmux, TmuxError};
pub use windows::{News, StartError, Windows};

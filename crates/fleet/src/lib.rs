//! Run agents in terminals and know what state they are in.
//!
//! So far: what its tools look like, who may call which, and the rules for making
//! instances. Nothing here knows of a terminal.

mod failure;
mod id;
pub mod mail;
mod places;
mod refusal;
mod role;
mod rules;
#[cfg(test)]
mod scene;
pub mod survey;
pub mod tasks;
pub mod tools;

pub use failure::Failure;
pub use places::{PlaceRefused, Places};
pub use refusal::{Limit, Refusal};
pub use role::{Reach, listed, may_call, may_spawn};
pub use rules::{
    Caller, Limits, SPAWN_WINDOW, SubtreeLimits, admit_again, admitted, asked_for, leader,
    may_go_on, may_watch,
};

//! What all calls share, and what is in force at this moment.

pub(crate) mod backend;
pub(crate) mod directory;
pub(crate) mod eras;
pub(crate) mod present;
pub(crate) mod questions;
pub(crate) mod rights;
pub(crate) mod route;
pub(crate) mod tasks;
pub(crate) mod worker;

//! Helps people write policies: test cases, explanations, warnings, import, scaffolds, learning from records, the schema. Pure, and never on the way of a
//! call.

mod brief;
pub mod cases;
pub mod explain;
pub mod import;
pub mod learn;
mod not_json;
mod offer;
mod print;
pub mod scaffold;
mod schema;
mod unused;
mod warnings;
mod yaml;

pub use not_json::parse;
pub use offer::Offer;
pub use print::to_json;
pub use schema::schema;
pub use unused::uncharged;
pub use warnings::{unknown_tools, warnings};

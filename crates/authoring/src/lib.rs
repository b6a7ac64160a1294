//! Helps people write policies: test cases, explanations, warnings, import, the schema. Pure, and never on the way of a
//! call.

pub mod cases;
pub mod explain;
pub mod import;
mod not_json;
mod offer;
mod print;
mod schema;
mod unused;
mod warnings;
mod yaml;

pub use not_json::parse;
pub use offer::Offer;
pub use print::to_json;
pub use schema::schema;
pub use unused::uncharged;
pub use warnings::warnings;

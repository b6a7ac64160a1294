//! Given a call, policies and counts, decide. No I/O, no clock, no async.

pub mod amount;
pub mod call;
pub mod decimal;
pub mod import;
pub mod json;
pub mod ledger;
pub mod limit;
pub mod text;
mod yaml;

pub use amount::Amount;
pub use call::{Call, Caller, Moment};
pub use ledger::{CounterState, Full, FullReason, Ledger};
pub use limit::{Alignment, Charge, CounterId, PolicyRef, RefundRule, RuleId, Window};
pub use text::Text;

//! Given a call, policies and counts, decide. No I/O, no clock, no async.

pub mod amount;
pub mod call;
pub mod decimal;
pub mod document;
pub mod duration;
pub mod glob;
pub mod invisible;
pub mod json;
pub mod judge;
pub mod ledger;
pub mod lengths;
pub mod limit;
pub mod method;
pub mod operator;
pub mod path;
pub mod text;
pub mod words;
mod work;

pub use amount::Amount;
pub use call::{Call, Caller, Moment};
pub use document::{Diagnostic, Policy, Severity};
pub use judge::{Allowed, Asked, Enforced, Refusal, Verdict, judge, judge_within};
pub use ledger::{CounterState, Full, FullReason, Ledger};
pub use limit::{Alignment, Charge, CounterId, PolicyRef, RefundRule, RuleId, Window};
pub use text::Text;
pub use work::Work;

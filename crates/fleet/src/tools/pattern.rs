//! Patterns of subscriptions.

use provost_store::fleet::InstanceId;
use regex::{Regex, RegexBuilder};

/// The most bytes of a pattern.
const LONGEST: usize = 500;

/// The most bytes of what a pattern is compiled to.
const LARGEST: usize = 1 << 20;

/// A regular expression on ids of instances. It matches in linear time.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// It is too long.
    #[error("a pattern has at most {LONGEST} bytes")]
    Long,
    /// It is no regular expression, or one that becomes too large.
    #[error("it is not a regular expression: {0}")]
    Unreadable(String),
}

// === impl Pattern ===

impl Pattern {
    /// Reads a pattern.
    pub fn read(text: &str) -> Result<Self, BadPattern> {
        if text.len() > LONGEST {
            return Err(BadPattern::Long);
        }
        let built = RegexBuilder::new(text).size_limit(LARGEST).build();
        built.map(Self).map_err(|error| {
            // Its last line says what is wrong; those before draw the place.
            let words = error.to_string();
            let last = words.lines().last().unwrap_or_default();
            BadPattern::Unreadable(last.trim_start_matches("error: ").to_owned())
        })
    }

    /// Whether it matches an id, anywhere in it.
    pub fn matches(&self, id: &InstanceId) -> bool {
        self.0.is_match(id.as_str())
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

//! What was looked at, and how it is.

use provost_admin::Trouble;
use serde::Serialize;

use crate::failure::Failure;

/// What was looked at, and how it is.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) state: Health,
    pub(super) about: String,
    pub(super) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<String>,
}

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Health {
    Ok,
    Warning,
    Broken,
}

#[derive(Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

// === impl Findings ===

impl Findings {
    pub(super) fn ok(&mut self, about: &str, message: impl Into<String>) {
        self.0.push(Finding {
            state: Health::Ok,
            about: about.into(),
            message: message.into(),
            hint: None,
        });
    }

    pub(super) fn add(
        &mut self,
        state: Health,
        about: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.0.push(Finding {
            state,
            about: about.into(),
            message: message.into(),
            hint: Some(hint.into()),
        });
    }

    pub(super) fn trouble(&mut self, trouble: &Trouble) {
        let state = match trouble.broken {
            true => Health::Broken,
            false => Health::Warning,
        };
        self.add(state, &trouble.about, &trouble.message, &trouble.hint);
    }

    pub(super) fn failure(&mut self, about: &str, failure: Failure) {
        let message = std::iter::once(failure.message)
            .chain(failure.causes)
            .collect::<Vec<_>>()
            .join(": ");
        self.0.push(Finding {
            state: Health::Broken,
            about: about.into(),
            message,
            hint: failure.hint,
        });
    }
}

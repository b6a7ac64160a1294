//! What was found so far.

use provost_policy::json::{self, Bounds, Value, line_column};
use provost_policy::{Diagnostic, Severity};

/// Findings by JSON pointer; lines and columns are looked up at the end.
#[derive(Default)]
pub(super) struct Warnings(Vec<Warning>);

struct Warning {
    pointer: String,
    message: String,
    hint: Option<String>,
}

/// More findings than this help nobody.
const MOST_FINDINGS: usize = 100;

// === impl Warnings ===

impl Warnings {
    pub(super) fn add(
        &mut self,
        pointer: impl Into<String>,
        message: impl Into<String>,
        hint: &str,
    ) {
        if self.0.len() == MOST_FINDINGS {
            return;
        }
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        self.0.push(Warning {
            pointer: pointer.into(),
            message: message.into(),
            hint,
        });
    }

    pub(super) fn located(self, text: &str) -> Vec<Diagnostic> {
        let document = json::read(text.as_bytes(), Bounds::default());
        let mut found: Vec<_> = self
            .0
            .into_iter()
            .map(
                |Warning {
                     pointer,
                     message,
                     hint,
                 }| {
                    let offset = document
                        .as_ref()
                        .map_or(0, |document| offset(document.root(), &pointer));
                    let (line, column) = line_column(text.as_bytes(), offset);
                    Diagnostic {
                        severity: Severity::Warning,
                        pointer,
                        line,
                        column,
                        message,
                        hint,
                    }
                },
            )
            .collect();
        found.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        found
    }
}

/// Where the value of a pointer begins; where a member does, its key.
fn offset(root: Value<'_>, pointer: &str) -> usize {
    let mut here = root;
    let mut offset = root.span().start;
    for segment in pointer.split('/').skip(1) {
        let name = segment.replace("~1", "/").replace("~0", "~");
        let member = here.members().find(|member| member.key.is_str(&name));
        let element = name
            .parse()
            .ok()
            .and_then(|index: usize| here.elements().nth(index));
        if let Some(member) = member {
            offset = member.key.span().start;
            here = member.value;
        } else if let Some(element) = element {
            offset = element.span().start;
            here = element;
        } else {
            break;
        }
    }
    offset
}

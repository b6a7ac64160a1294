//! What starts a subscription, and what an agent hears by it. Every shape but the
//! exact one is refused, so that nobody can read more into it than was judged.

use provost_policy::json::{Kind, Value};

use crate::text::era::Era;

/// A request that starts a subscription.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subscribes {
    pub(crate) era: Era,
    pub(crate) method: &'static str,
    /// The members that say to what, and their types.
    pub(crate) members: &'static [(&'static str, Form)],
}

/// The type of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Flag,
    Texts,
}

/// Every request that starts one. In the modern era the members stand in
/// `params.notifications`, in the legacy one in `params`.
pub(crate) const SUBSCRIPTIONS: &[Subscribes] = &[
    Subscribes {
        era: Era::Legacy,
        method: "resources/subscribe",
        members: &[("uri", Form::Text)],
    },
    Subscribes {
        era: Era::Modern,
        method: "subscriptions/listen",
        members: &[
            (TOOLS, Form::Flag),
            (PROMPTS, Form::Flag),
            (RESOURCES, Form::Flag),
            (URIS, Form::Texts),
            // Of the tasks extension.
            (TASKS, Form::Texts),
        ],
    },
];

const TOOLS: &str = "toolsListChanged";
const PROMPTS: &str = "promptsListChanged";
const RESOURCES: &str = "resourcesListChanged";
const URIS: &str = "resourceSubscriptions";
const TASKS: &str = "taskIds";

/// The changes that one `subscriptions/listen` asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) tools: bool,
    prompts: bool,
    resources: bool,
    /// Resources, whose changes are judged as `resources/subscribe`.
    pub(crate) uris: Vec<String>,
    pub(crate) tasks: Vec<String>,
}

/// Checks a request that starts a subscription, and returns what a modern one
/// asks for; nothing for every other request.
pub(crate) fn wanted(
    era: Era,
    method: &str,
    params: Option<Value<'_>>,
) -> Result<Wanted, &'static str> {
    let row = SUBSCRIPTIONS
        .iter()
        .find(|row| row.era == era && row.method == method);
    match (row, era) {
        (None, _) => Ok(Wanted::default()),
        (Some(_), Era::Legacy) => match params.and_then(|params| params.get("uri")?.as_str()) {
            Some(_) => Ok(Wanted::default()),
            None => Err("`params.uri` must be a string"),
        },
        (Some(row), Era::Modern) => listen(row, params),
    }
}

fn listen(row: &Subscribes, params: Option<Value<'_>>) -> Result<Wanted, &'static str> {
    let members = params.iter().flat_map(|params| params.members());
    for member in members {
        if !matches!(member.name().as_ref(), "_meta" | "notifications") {
            return Err("`params` of a subscription holds `notifications` and nothing else");
        }
    }
    let asked = params.and_then(|params| params.get("notifications"));
    let asked = asked
        .filter(|asked| asked.kind() == Kind::Object)
        .ok_or("`params.notifications` must be an object")?;
    for member in asked.members() {
        let name = member.name();
        let known = row.members.iter().find(|(known, _)| *known == name);
        let (_, form) = known.ok_or("`params.notifications` has an unknown member")?;
        if !form.fits(member.value) {
            return Err("a member of `params.notifications` has the wrong type");
        }
    }
    Ok(Wanted::of(asked))
}

// === impl Form ===

impl Form {
    fn fits(self, value: Value<'_>) -> bool {
        match self {
            Self::Text => value.kind() == Kind::String,
            Self::Flag => value.kind() == Kind::Bool,
            Self::Texts => {
                value.kind() == Kind::Array
                    && value.elements().all(|text| text.kind() == Kind::String)
            }
        }
    }
}

// === impl Wanted ===

impl Wanted {
    /// Whether any change was asked for.
    pub(crate) fn anything(&self) -> bool {
        *self != Self::default()
    }

    fn of(asked: Value<'_>) -> Self {
        let flag = |name: &str| asked.get(name).and_then(Value::as_bool) == Some(true);
        let texts = |name: &str| {
            let list = asked.get(name);
            let list = list.iter().flat_map(|list| list.elements());
            list.filter_map(|text| text.as_str().map(|text| text.into_owned()))
                .collect()
        };
        Self {
            tools: flag(TOOLS),
            prompts: flag(PROMPTS),
            resources: flag(RESOURCES),
            uris: texts(URIS),
            tasks: texts(TASKS),
        }
    }

    /// Whether a notification was asked for. Others than of changes are sorted
    /// out elsewhere.
    pub(crate) fn hears(&self, method: &str, params: Option<Value<'_>>) -> bool {
        let text = |member: &str| params.and_then(|params| params.get(member)?.as_str());
        match method {
            "notifications/tools/list_changed" => self.tools,
            "notifications/prompts/list_changed" => self.prompts,
            "notifications/resources/list_changed" => self.resources,
            // Servers may name a part of what was subscribed to.
            "notifications/resources/updated" => {
                text("uri").is_some_and(|uri| self.uris.iter().any(|known| is_part(&uri, known)))
            }
            "notifications/tasks" => {
                text("taskId").is_some_and(|task| self.tasks.iter().any(|known| *known == task))
            }
            _ => true,
        }
    }
}

/// Whether a resource is the one that was subscribed to, or below it.
pub(crate) fn is_part(uri: &str, known: &str) -> bool {
    let rest = uri.strip_prefix(known);
    let below =
        |rest: &str| rest.is_empty() || rest.starts_with(['/', '#', '?']) || known.ends_with('/');
    !known.is_empty() && rest.is_some_and(below)
}

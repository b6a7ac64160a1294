//! What a modern request says of itself in `params._meta`.

use provost_policy::json::{Kind, Value};

use crate::message::answer::Failure;
use crate::text::meta::{CAPABILITIES, CLIENT, TASKS, VERSION};

/// The client capabilities that one request, or a session of the legacy era, declares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Declared {
    names: Vec<String>,
    forms: bool,
    urls: bool,
    sampling_tools: bool,
    tasks: bool,
}

/// Capabilities that are remembered of an agent, and how long their names are:
/// those that decide anything are few and short.
const MOST_NAMES: usize = 64;
const LONGEST_NAME: usize = 64;

/// What a modern request has to say of itself, besides the revision.
pub(crate) fn read(params: Option<Value<'_>>) -> Result<Declared, Failure> {
    let meta = params.and_then(|params| params.get("_meta"));
    let wrong = |problem: &str| Failure::bad_meta(problem);
    let Some(meta) = meta.filter(|meta| meta.kind() == Kind::Object) else {
        return Err(wrong("`params._meta` is missing"));
    };
    match meta.get(VERSION).map(Value::kind) {
        Some(Kind::String) => {}
        Some(_) => {
            return Err(wrong(
                "the protocol version in `params._meta` must be a string",
            ));
        }
        None => return Err(wrong("`params._meta` names no protocol version")),
    }
    if meta
        .get(CLIENT)
        .is_some_and(|client| client.kind() != Kind::Object)
    {
        return Err(wrong("the client info in `params._meta` must be an object"));
    }
    match meta.get(CAPABILITIES) {
        Some(capabilities) if capabilities.kind() == Kind::Object => Ok(Declared::of(capabilities)),
        Some(_) => Err(wrong(
            "the client capabilities in `params._meta` must be an object",
        )),
        None => Err(wrong("`params._meta` declares no client capabilities")),
    }
}

// === impl Declared ===

impl Declared {
    /// What is declared; the legacy era declares it once, in `initialize`.
    pub(crate) fn of(capabilities: Value<'_>) -> Self {
        let names = capabilities
            .members()
            .map(|member| member.name().into_owned());
        let extensions = capabilities.get("extensions");
        let elicitation = capabilities.get("elicitation");
        let mode = |mode: &str| elicitation.and_then(|modes| modes.get(mode)).is_some();
        let sampling = capabilities.get("sampling");
        Self {
            names: names
                .filter(|name| name.len() <= LONGEST_NAME)
                .take(MOST_NAMES)
                .collect(),
            // Whoever names no mode means forms.
            forms: mode("form") || !mode("url"),
            urls: mode("url"),
            sampling_tools: sampling.is_some_and(|sampling| sampling.get("tools").is_some()),
            tasks: extensions.is_some_and(|extensions| extensions.get(TASKS).is_some()),
        }
    }

    /// Whether a capability was declared, as far as a question with these params
    /// needs it.
    pub(crate) fn covers(&self, capability: &str, params: Option<Value<'_>>) -> bool {
        let asks = |member: &str| params.is_some_and(|params| params.get(member).is_some());
        let mode = params.and_then(|params| params.get("mode")?.as_str());
        let enough = match capability {
            "elicitation" if mode.as_deref() == Some("url") => self.urls,
            "elicitation" => self.forms,
            "sampling" if asks("tools") || asks("toolChoice") => self.sampling_tools,
            _ => true,
        };
        enough && self.names.iter().any(|name| name == capability)
    }

    /// Whether a call may be answered with a task.
    pub(crate) fn takes_tasks(&self) -> bool {
        self.tasks
    }
}

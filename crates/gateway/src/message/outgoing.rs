//! A request on its way upstream: the judged bytes, and where in them stands
//! what may be replaced.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::HeaderMap;
use provost_policy::json::Value;

use crate::host::budget::Account;
use crate::message::continuation::{Continued, Fingerprint};
use crate::message::modern::{self, Declared};
use crate::text::asking::{STATE, Wanted};
use crate::text::brief::{NAME, brief};
use crate::text::envelope::{self, Id, IdKey, Message};
use crate::text::era::Era;
use crate::text::meta::DECISION_KEY;
use crate::text::splice::{self, Splice};
use crate::text::{meta, protocol};

/// The bytes that were judged, ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    text: Bytes,
    id_at: Range<usize>,
    id: String,
    key: IdKey,
    token: Option<(Range<usize>, String)>,
    /// What never leaves as it came: keys of ours that the agent put into `_meta`,
    /// and the seal around the state of a call that is continued.
    replaced: Vec<Splice>,
    modern: Option<Arc<Modern>>,
}

/// What goes along with a request of the modern era.
#[derive(Debug)]
pub(crate) struct Modern {
    /// Repeated from the body, for an upstream over HTTP.
    pub(crate) headers: HeaderMap,
    /// What the agent can be asked in the answer.
    pub(crate) declared: Declared,
    /// What an answer that asks is bound to.
    pub(crate) print: Fingerprint,
    /// The call that this request continues.
    pub(crate) continued: Option<Continued>,
    /// What it subscribes to.
    pub(crate) wanted: Wanted,
    /// The name under which its result may carry questions.
    pub(crate) carries: &'static str,
}

impl Outgoing {
    /// Notes where id and progress token stand in `text`.
    pub(crate) fn new(text: &Bytes, id: Id<'_>, params: Option<Value<'_>>) -> Self {
        let meta = params.and_then(|params| params.get("_meta"));
        let token = meta
            .and_then(|meta| meta.get("progressToken"))
            .map(|token| (token.span(), token.raw().to_owned()));
        let ours = meta.and_then(|meta| without(text, meta, DECISION_KEY));
        Self {
            text: text.clone(),
            id_at: id.span(),
            id: id.raw().to_owned(),
            key: id.key(),
            token,
            replaced: ours.into_iter().collect(),
            modern: None,
        }
    }

    /// The same request with the server's own state in place of the sealed one.
    pub(crate) fn unsealed(mut self, params: Option<Value<'_>>, state: Option<&str>) -> Self {
        let Some(params) = params else { return self };
        self.replaced.extend(match (params.get(STATE), state) {
            (Some(sealed), Some(state)) => Some(Splice::new(sealed.span(), state)),
            (Some(_), None) => without(&self.text, params, STATE),
            (None, _) => None,
        });
        self
    }

    /// The same request without a part of it.
    pub(crate) fn without(mut self, part: Splice) -> Self {
        self.replaced.push(part);
        self
    }

    /// The same request, of the modern era.
    pub(crate) fn with(mut self, modern: Modern) -> Self {
        self.modern = Some(Arc::new(modern));
        self
    }

    /// What goes along with it, if it is of the modern era.
    pub(crate) fn modern(&self) -> Option<&Arc<Modern>> {
        self.modern.as_ref()
    }

    /// The era it is of.
    pub(crate) fn era(&self) -> Era {
        match self.modern {
            Some(_) => Era::Modern,
            None => Era::Legacy,
        }
    }

    /// A request of our own.
    pub(crate) fn own(id: &str, method: &str, params: &str) -> Option<Self> {
        let text = Bytes::from(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#
        ));
        let parsed = envelope::parse(&text).ok()?;
        match envelope::read(&parsed).ok()? {
            Message::Request { id, params, .. } => Some(Self::new(&text, id, params)),
            Message::Notification { .. } | Message::Response { .. } => None,
        }
    }

    /// A request of our own in the modern era; `rest` is what `params` holds
    /// beside `_meta`, each member with a comma before it.
    pub(crate) fn own_modern(id: &str, method: &str, rest: &str) -> Option<Self> {
        let params = format!(
            r#"{{"_meta":{{"{}":"{}","{}":{{}},"{}":{{"name":"provost","version":"{}"}}}}{rest}}}"#,
            meta::VERSION,
            protocol::MODERN,
            meta::CAPABILITIES,
            meta::CLIENT,
            env!("CARGO_PKG_VERSION"),
        );
        let message = Self::own(id, method, &params)?;
        Some(message.with(Modern {
            headers: modern::headers(method, None, None),
            declared: Declared::default(),
            print: Fingerprint::default(),
            continued: None,
            wanted: Wanted::default(),
            carries: "",
        }))
    }

    /// The agent's id, as JSON text.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The agent's id, comparable.
    pub(crate) fn key(&self) -> &IdKey {
        &self.key
    }

    /// The agent's progress token, as JSON text.
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_ref().map(|(_, token)| token.as_str())
    }

    /// Whether two `initialize` open the same: revision and capabilities.
    pub(crate) fn opens_like(&self, other: &Self) -> bool {
        let (Ok(this), Ok(other)) = (envelope::parse(&self.text), envelope::parse(&other.text))
        else {
            return false;
        };
        let same = |name| {
            let raw = |root: Value<'_>| Some(root.get("params")?.get(name)?.raw().to_owned());
            raw(this.root()) == raw(other.root())
        };
        same("protocolVersion") && same("capabilities")
    }

    /// Who opens with this `initialize`, and what for, in words for the log.
    pub(crate) fn opens_as(&self) -> String {
        let Ok(parsed) = envelope::parse(&self.text) else {
            return String::new();
        };
        let params = parsed.root().get("params");
        let text = |value: Option<Value<'_>>| {
            let text = value.and_then(Value::as_str).unwrap_or_default();
            brief(&text, NAME).escape_debug().to_string()
        };
        let info = |member| text(params.and_then(|p| p.get("clientInfo")?.get(member)));
        let version = text(params.and_then(|p| p.get("protocolVersion")));
        let capabilities = params.and_then(|params| params.get("capabilities"));
        let capabilities = capabilities.map_or(Cow::Borrowed("none"), |all| brief(all.raw(), NAME));
        format!(
            "`{}` {} (protocol {version}, capabilities {})",
            info("name"),
            info("version"),
            capabilities.escape_debug()
        )
    }

    /// The message for an upstream session that is this agent's alone.
    pub(super) fn verbatim(&self, account: &Arc<Account>) -> Bytes {
        let message = splice::apply(self.text.clone(), self.replaced.clone());
        account.carry_copy(&self.text, message)
    }

    /// The message for a process that several sessions may share: `number`
    /// stands for id and progress token. It is one line.
    pub(super) fn numbered(&self, number: u64, account: &Arc<Account>) -> Bytes {
        let mut splices = self.replaced.clone();
        splices.push(Splice::new(self.id_at.clone(), number.to_string()));
        if let Some((at, _)) = &self.token {
            splices.push(Splice::new(at.clone(), number.to_string()));
        }
        account.carry(splice::one_line(splice::apply(self.text.clone(), splices)))
    }
}

/// Takes a member out of an object in `text`.
fn without(text: &Bytes, object: Value<'_>, key: &str) -> Option<Splice> {
    let member = object.members().find(|member| member.name() == key)?;
    let whole = std::str::from_utf8(text).ok()?;
    Some(splice::without_member(
        whole,
        member.key.span(),
        member.value.span(),
    ))
}

//! The way from one session to its upstream, whatever kind that is, with the
//! care for upstream sessions and processes that come and go.

use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use provost_policy::Caller;
use provost_store::Transport;
use tracing::debug;

use crate::host::budget::Account;
use crate::host::deadline;
use crate::message::cleared::{Cleared, Sending};
use crate::message::fault::{Fault, FaultKind};
use crate::message::outgoing::Outgoing;
use crate::state::route::Route;
use crate::state::worker::Worker;
use crate::text::envelope::{self, IdKey, is_result};
use crate::text::era::Era;
use crate::text::headers::SESSION_ID;
use crate::upstream::http::{self, HttpUpstream, SessionHeaders};
use crate::upstream::{Exchange, Lines, Upstream, Witness, builtin};

/// Id and revision of the upstream's session.
struct Ids {
    session: Option<String>,
    version: Option<String>,
}

// === impl Ids ===

impl Ids {
    fn headers(&self) -> SessionHeaders<'_> {
        SessionHeaders {
            session: self.session.as_deref(),
            version: self.version.as_deref(),
            ..SessionHeaders::default()
        }
    }
}

// === impl Route ===

impl Route {
    /// Opens the upstream's side of the session with the agent's `initialize`.
    pub(crate) async fn open(
        &self,
        worker: &Worker,
        message: Cleared<Outgoing>,
    ) -> Result<Exchange, Fault> {
        match self.upstream()? {
            Upstream::Http(http) => {
                let sending = message.sending(self.session.account());
                let answer = http.post(worker.number, sending, SessionHeaders::default());
                let answer = answer.await?;
                self.session.state().upstream = answer.header(&SESSION_ID).map(str::to_owned);
                exchange(answer, self.session.account(), worker).await
            }
            Upstream::Stdio(spec) => {
                let child = self.child(worker, spec, Era::Legacy)?;
                let opened = child.initialize(&self.session, message).await?;
                if is_result(&opened) {
                    child.keep_user(&self.session);
                }
                Ok(Exchange::Message(opened))
            }
            Upstream::Builtin(builtin) => {
                builtin::request(builtin, self.caller(), message, self.session.account())
            }
        }
    }

    /// Sends a request. An upstream session or process that is gone is opened
    /// again first; the agent does not notice.
    pub(crate) async fn request(
        &self,
        worker: &Worker,
        message: Cleared<Outgoing>,
    ) -> Result<Exchange, Fault> {
        let sent = self.forward(worker, message).await;
        // Whatever stands there now may be another server.
        sent.inspect_err(|fault| {
            if fault.is_of_the_server() {
                self.backend.eras.doubt();
            }
        })
    }

    /// The same, whatever it says about the server that it failed. A modern request
    /// stands alone: there is nothing to be opened for it.
    pub(super) async fn forward(
        &self,
        worker: &Worker,
        message: Cleared<Outgoing>,
    ) -> Result<Exchange, Fault> {
        let account = self.session.account();
        match self.upstream()? {
            Upstream::Stdio(spec) => {
                let child = self.child(worker, spec, message.message().era())?;
                let (number, lines) = Box::pin(child.request(&self.session, message)).await?;
                Ok(Exchange::Lines(Lines::of_child(child, number, lines)))
            }
            Upstream::Http(http) => match message.message().modern() {
                None => {
                    let sending = || message.sending(account);
                    self.send_or_reopen(worker, http, sending).await
                }
                Some(modern) => {
                    let with = SessionHeaders {
                        modern: Some(&modern.headers),
                        ..SessionHeaders::default()
                    };
                    let answer = http.post(worker.number, message.sending(account), with);
                    exchange(answer.await?, account, worker).await
                }
            },
            Upstream::Builtin(builtin) => {
                builtin::request(builtin, self.caller(), message, account)
            }
        }
    }

    /// What was seen to go wrong with the server, if anything can have been.
    pub(crate) fn witness(&self, worker: &Worker) -> Option<Arc<Witness>> {
        match self.backend.upstream.as_ref()? {
            Upstream::Http(http) => Some(Arc::clone(&http.witness)),
            Upstream::Stdio(spec) => worker.shared.children.witness(&spec.server),
            Upstream::Builtin(_) => None,
        }
    }

    /// Sends a notification, or an answer to a question of the upstream.
    pub(crate) async fn notify(
        &self,
        worker: &Worker,
        message: Cleared<Bytes>,
    ) -> Result<(), Fault> {
        match self.upstream()? {
            Upstream::Stdio(spec) => {
                let child = self.found_child(worker, spec, Era::Legacy);
                let child = child.ok_or_else(Fault::not_sent)?;
                child.notify(&self.session, message).await
            }
            Upstream::Http(http) => {
                let limit = worker.shared.settings.call_timeout;
                let _place = deadline::place(limit, self.session.account().asides())
                    .await
                    .map_err(|_| Fault::queue_timeout())?;
                let sent = self.send_or_reopen(worker, http, || message.sending());
                sent.await.map(drop)
            }
            // It knows all that it needs to know.
            Upstream::Builtin(_) => Ok(()),
        }
    }

    /// The agent is ready: a process hears of it once, an upstream session each time.
    pub(crate) async fn announce(
        &self,
        worker: &Worker,
        message: Cleared<Bytes>,
    ) -> Result<(), Fault> {
        match self.upstream()? {
            Upstream::Stdio(spec) => {
                let child = self.found_child(worker, spec, Era::Legacy);
                let child = child.ok_or_else(Fault::not_sent)?;
                child.announce(&self.session, message).await
            }
            Upstream::Http(_) | Upstream::Builtin(_) => self.notify(worker, message).await,
        }
    }

    /// Whether the upstream has streams of its own beside its answers.
    pub(crate) fn has_streams(&self) -> bool {
        match self.backend.upstream {
            Some(Upstream::Http(_)) => true,
            Some(Upstream::Stdio(_) | Upstream::Builtin(_)) | None => false,
        }
    }

    /// Tells the upstream that a request is not wanted any more. A modern one
    /// over HTTP hears of it by the end of its stream.
    pub(crate) async fn cancel(&self, worker: &Worker, era: Era, key: &IdKey, reason: &str) {
        match self.upstream() {
            Ok(Upstream::Http(_)) if era == Era::Modern => {}
            // The call ended when its answer was not wanted any more.
            Ok(Upstream::Builtin(_)) => {}
            Ok(Upstream::Stdio(spec)) => {
                if let Some(child) = self.found_child(worker, spec, era) {
                    child.cancel(&self.session, key).await;
                }
            }
            Ok(Upstream::Http(http)) => {
                let id = match key {
                    IdKey::Number(number) => number.to_string(),
                    IdKey::Text(text) => serde_json::Value::from(text.as_ref()).to_string(),
                };
                let message = format!(
                    r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"{reason}"}}}}"#
                );
                let message =
                    Cleared::own("the agent went away or cancelled", Bytes::from(message));
                if let Err(fault) = self.post(worker, http, message.sending()).await {
                    debug!(?fault, "A cancellation did not reach its server");
                }
            }
            Err(_) => {}
        }
    }

    /// Opens the upstream's stream for messages outside of any answer. `None`
    /// when it offers none.
    pub(crate) async fn stream(
        &self,
        worker: &Worker,
        last_event: Option<&str>,
    ) -> Result<Option<http::Answer>, Fault> {
        let http = match self.upstream()? {
            Upstream::Http(http) => http,
            // What it says beside its answers comes as lines do.
            Upstream::Stdio(_) | Upstream::Builtin(_) => return Ok(None),
        };
        let stream = Cleared::own("the agent's stream", ());
        let ids = self.ids();
        let with = SessionHeaders {
            last_event,
            ..ids.headers()
        };
        let answer = http.get(worker.number, stream.sending(), with).await?;
        match answer.status {
            StatusCode::OK if answer.is_event_stream() => Ok(Some(answer)),
            StatusCode::NOT_FOUND if ids.session.is_some() => Err(Fault::session_lost()),
            _ => Ok(None),
        }
    }

    /// Ends the upstream's side of the session.
    pub(crate) async fn close(&self, worker: &Worker) {
        match &self.backend.upstream {
            Some(Upstream::Http(http)) => {
                let ids = self.ids();
                if ids.session.is_none() {
                    return;
                }
                let end = Cleared::own("the session ended", ());
                let ended = http.delete(worker.number, end.sending(), ids.headers());
                if let Ok(answer) = ended.await {
                    // Read to its end, so that the connection can be used again.
                    let _ = answer.read(64 * 1024).await;
                }
            }
            Some(Upstream::Stdio(spec)) => {
                for era in [Era::Legacy, Era::Modern] {
                    let key = self.process_key(spec, era);
                    worker.shared.children.session_ended(&key, &self.session);
                }
            }
            Some(Upstream::Builtin(_)) | None => {}
        }
    }

    /// Who calls, for what is built in.
    fn caller(&self) -> Caller {
        Caller {
            grant: self.session.grant.clone(),
            server: self.backend.server.id.0.clone(),
            session: self.session.counts_apart(),
        }
    }

    /// How its server is reached.
    pub(super) fn upstream(&self) -> Result<&Upstream, Fault> {
        let missing = || match self.backend.server.transport {
            Some(Transport::Builtin) => Fault::unsent(FaultKind::Absent),
            Some(Transport::Http { .. } | Transport::Stdio { .. }) | None => {
                Fault::unsent(FaultKind::Unusable)
            }
        };
        self.backend.upstream.as_ref().ok_or_else(missing)
    }

    fn ids(&self) -> Ids {
        let state = self.session.state();
        Ids {
            session: state.upstream.clone(),
            version: state.version.clone(),
        }
    }

    /// Sends a message of a session. One that is lost is opened again, and gets the
    /// same message once more: the upstream says that it did nothing with it.
    async fn send_or_reopen<'c>(
        &self,
        worker: &Worker,
        http: &Arc<HttpUpstream>,
        sending: impl Fn() -> Sending<'c>,
    ) -> Result<Exchange, Fault> {
        let generation = self.session.state().generation;
        let lost = match self.post(worker, http, sending()).await {
            Err(fault) if fault.kind == FaultKind::SessionLost => fault,
            other => return other,
        };
        // The upstream has read the message once, whatever it said.
        let sent = |fault: Fault| Fault {
            sent: lost.sent,
            ..fault
        };
        let reopened = Box::pin(self.reopen(worker, http, generation));
        reopened.await.map_err(sent)?;
        self.post(worker, http, sending()).await.map_err(sent)
    }

    /// Sends one message of a session.
    pub(super) async fn post(
        &self,
        worker: &Worker,
        http: &Arc<HttpUpstream>,
        sending: Sending<'_>,
    ) -> Result<Exchange, Fault> {
        let ids = self.ids();
        let answer = http.post(worker.number, sending, ids.headers()).await?;
        if ids.session.is_some() && answer.status == StatusCode::NOT_FOUND {
            // The body is of no interest, but the connection is.
            let _ = answer.read(64 * 1024).await;
            return Err(Fault::session_lost());
        }
        if ids.session.is_some() && answer.status == StatusCode::BAD_REQUEST {
            let limit = worker.shared.settings.result_limit;
            let body = answer.read_counted(limit, self.session.account()).await?;
            return if speaks_of_session(&body) {
                Err(Fault::session_lost())
            } else {
                Ok(Exchange::Message(body))
            };
        }
        exchange(answer, self.session.account(), worker).await
    }
}

/// Reads what can be read at once.
pub(super) async fn exchange(
    answer: http::Answer,
    account: &Arc<Account>,
    worker: &Worker,
) -> Result<Exchange, Fault> {
    let limit = worker.shared.settings.result_limit;
    match answer.status {
        StatusCode::OK if answer.is_event_stream() => Ok(Exchange::Events(answer)),
        StatusCode::OK | StatusCode::ACCEPTED | StatusCode::NO_CONTENT => answer
            .read_counted(limit, account)
            .await
            .map(Exchange::Message),
        // Some servers send their JSON-RPC error with an HTTP error.
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::INTERNAL_SERVER_ERROR => {
            let (status, witness) = (answer.status.as_u16(), answer.witness());
            let body = answer.read_counted(limit, account).await?;
            if is_error(&body) {
                Ok(Exchange::Message(body))
            } else {
                witness.sent(&body);
                Err(Fault::status(status))
            }
        }
        other => Err(Fault::status(other.as_u16())),
    }
}

/// Whether a body is a JSON-RPC error, with an id or (before the id was read) without.
fn is_error(body: &Bytes) -> bool {
    envelope::parse_upstream(body).is_ok_and(|parsed| parsed.root().get("error").is_some())
}

/// Whether a 400 is about the session: several servers answer so where the
/// specification wants a 404.
fn speaks_of_session(body: &Bytes) -> bool {
    let Ok(parsed) = envelope::parse_upstream(body) else {
        return false;
    };
    let message = parsed
        .root()
        .get("error")
        .and_then(|error| error.get("message"));
    let text = message.and_then(|message| message.as_str());
    let anonymous = parsed.root().get("id").is_none_or(|id| id.is_null());
    anonymous && text.is_some_and(|text| text.to_ascii_lowercase().contains("session"))
}

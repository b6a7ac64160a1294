//! The way from one session to its upstream, whatever kind that is, with the
//! care for upstream sessions and processes that come and go.

use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use provost_store::{Processes, Status};
use tracing::{debug, info};

use crate::host::budget::Account;
use crate::host::deadline;
use crate::message::cleared::{Cleared, Sending};
use crate::message::fault::{Fault, FaultKind};
use crate::message::outgoing::Outgoing;
use crate::stage::{ask, settle};
use crate::state::route::Route;
use crate::state::worker::Worker;
use crate::text::envelope::is_result;
use crate::text::envelope::{self, IdKey};
use crate::text::era::Era;
use crate::text::headers::SESSION_ID;
use crate::text::protocol::INITIALIZED;
use crate::upstream::child::{ChildSpec, Holder};
use crate::upstream::http::{self, HttpUpstream, SessionHeaders};
use crate::upstream::{ChildLines, Exchange, Upstream, Use, Witness};

/// Why an upstream is told what was said in the session it lost.
const AGAIN: &str = "an upstream session is opened again";

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
                    child.stay(&self.session);
                }
                Ok(Exchange::Message(opened))
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
        let sent = match message.message().modern() {
            Some(_) => self.modern_request(worker, message).await,
            None => self.legacy_request(worker, message).await,
        };
        // Whatever stands there now may be another server.
        sent.inspect_err(|fault| {
            if fault.is_of_the_server() {
                self.site.eras.doubt();
            }
        })
    }

    /// What was seen to go wrong with the server, if anything can have been.
    pub(crate) fn witness(&self, worker: &Worker) -> Option<Arc<Witness>> {
        match self.site.upstream.as_ref()? {
            Upstream::Http(http) => Some(Arc::clone(&http.witness)),
            Upstream::Stdio(spec) => worker.shared.children.get()?.witness(&spec.server),
        }
    }

    async fn legacy_request(
        &self,
        worker: &Worker,
        message: Cleared<Outgoing>,
    ) -> Result<Exchange, Fault> {
        match self.upstream()? {
            Upstream::Stdio(spec) => {
                let child = self.child(worker, spec, Era::Legacy)?;
                let sent = Box::pin(child.request(&self.session, message)).await?;
                Ok(Exchange::Lines(ChildLines::new(child, sent)))
            }
            Upstream::Http(http) => {
                let sending = || message.sending(self.session.account());
                self.send_or_reopen(worker, http, sending).await
            }
        }
    }

    /// Sends a request of the modern era, which stands alone.
    pub(crate) async fn modern_request(
        &self,
        worker: &Worker,
        message: Cleared<Outgoing>,
    ) -> Result<Exchange, Fault> {
        match self.upstream()? {
            Upstream::Stdio(spec) => {
                let child = self.child(worker, spec, Era::Modern)?;
                let sent = Box::pin(child.request(&self.session, message)).await?;
                Ok(Exchange::Lines(ChildLines::new(child, sent)))
            }
            Upstream::Http(http) => {
                let modern = message.message().modern();
                let with = SessionHeaders {
                    modern: modern.map(|modern| &modern.headers),
                    ..SessionHeaders::default()
                };
                let sending = message.sending(self.session.account());
                let answer = http.post(worker.number, sending, with);
                exchange(answer.await?, self.session.account(), worker).await
            }
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
                let _turn = deadline::place(limit, self.session.account().asides())
                    .await
                    .map_err(|_| Fault::no_turn())?;
                let sent = self.send_or_reopen(worker, http, || message.sending());
                sent.await.map(drop)
            }
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
            Upstream::Http(_) => self.notify(worker, message).await,
        }
    }

    /// Whether the upstream has streams of its own beside its answers.
    pub(crate) fn has_streams(&self) -> bool {
        matches!(self.site.upstream, Some(Upstream::Http(_)))
    }

    /// Tells the upstream that a request is not wanted any more. A modern one
    /// over HTTP hears of it by the end of its stream.
    pub(crate) async fn cancel(&self, worker: &Worker, era: Era, key: &IdKey, reason: &str) {
        match self.upstream() {
            Ok(Upstream::Http(_)) if era == Era::Modern => {}
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
                    debug!(?fault, "A cancellation did not reach its upstream");
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
        let Upstream::Http(http) = self.upstream()? else {
            return Ok(None);
        };
        let stream = Cleared::own("the agent's stream", ());
        let (session, version) = self.ids();
        let with = SessionHeaders {
            session: session.as_deref(),
            version: version.as_deref(),
            last_event,
            modern: None,
        };
        let answer = http.get(worker.number, stream.sending(), with).await?;
        match answer.status {
            StatusCode::OK if answer.is_event_stream() => Ok(Some(answer)),
            StatusCode::NOT_FOUND if session.is_some() => Err(Fault::session_lost()),
            _ => Ok(None),
        }
    }

    /// Opens a lost upstream session again, if nobody else did in the meantime.
    pub(crate) async fn restore(&self, worker: &Worker) -> Result<(), Fault> {
        match self.upstream()? {
            Upstream::Http(http) => {
                let generation = self.session.state().generation;
                Box::pin(self.reopen(worker, http, generation)).await
            }
            Upstream::Stdio(_) => Ok(()),
        }
    }

    /// Ends the upstream's side of the session.
    pub(crate) async fn close(&self, worker: &Worker) {
        match &self.site.upstream {
            Some(Upstream::Http(http)) => {
                let (session, version) = self.ids();
                if session.is_none() {
                    return;
                }
                let with = SessionHeaders {
                    session: session.as_deref(),
                    version: version.as_deref(),
                    ..SessionHeaders::default()
                };
                let end = Cleared::own("the session ended", ());
                if let Ok(answer) = http.delete(worker.number, end.sending(), with).await {
                    // Read to its end, so that the connection can be used again.
                    let _ = answer.read(64 * 1024).await;
                }
            }
            Some(Upstream::Stdio(spec)) => {
                if let Some(children) = worker.shared.children.get() {
                    for era in [Era::Legacy, Era::Modern] {
                        let holder = self.holder(spec, era);
                        children.detach(&spec.server, holder, era, &self.session);
                    }
                }
            }
            None => {}
        }
    }

    /// The process this session's messages go to, used until the value is dropped.
    /// A session that is open uses it from its first message to its end, and so
    /// does a connection of the modern era; other modern requests by themselves.
    pub(crate) fn child(
        &self,
        worker: &Worker,
        spec: &Arc<ChildSpec>,
        era: Era,
    ) -> Result<Use, Fault> {
        let children = worker.shared.children.get().ok_or_else(Fault::not_sent)?;
        let session = &self.session;
        let spec = &self.started_by(worker, spec);
        // A process that agents of several grants share is the server's own.
        let account = match spec.processes {
            Processes::Shared => &self.site.account,
            Processes::Session | Processes::Grant => session.account(),
        };
        let child = children.attach(spec, self.holder(spec, era), era, session, account)?;
        let stays = match era {
            Era::Legacy => session.is_open(),
            Era::Modern => session.is_stdio(),
        };
        if stays {
            child.stay(session);
        }
        Ok(child)
    }

    /// The process of this session, if there is one, which stays as long as the value.
    pub(crate) fn process(&self, worker: &Worker) -> Option<Use> {
        match &self.site.upstream {
            Some(Upstream::Stdio(spec)) => {
                let era = self.session.era().unwrap_or(Era::Legacy);
                self.found_child(worker, spec, era)
            }
            Some(Upstream::Http(_)) | None => None,
        }
    }

    /// The same where only a process that is there is of interest.
    fn found_child(&self, worker: &Worker, spec: &Arc<ChildSpec>, era: Era) -> Option<Use> {
        let children = worker.shared.children.get()?;
        let spec = &self.started_by(worker, spec);
        children.find(spec, self.holder(spec, era), era, &self.session)
    }

    /// What is started for this session: what its agent brought along, or what is
    /// registered.
    fn started_by(&self, worker: &Worker, registered: &Arc<ChildSpec>) -> Arc<ChildSpec> {
        let agent = self.session.agent;
        let own = agent.and_then(|agent| worker.shared.stdio.child_of(agent));
        own.unwrap_or_else(|| Arc::clone(registered))
    }

    /// This session has no use for its process of that era any more.
    pub(crate) fn part(&self, worker: &Worker, era: Era) {
        if let (Some(Upstream::Stdio(spec)), Some(children)) =
            (&self.site.upstream, worker.shared.children.get())
        {
            children.part(&spec.server, self.holder(spec, era), era, &self.session);
        }
    }

    /// Whose process this session's messages of that era go to. A modern request
    /// stands alone, so all of a grant may share a process.
    fn holder(&self, spec: &ChildSpec, era: Era) -> Holder {
        let session = &self.session;
        match (session.agent, spec.processes, era) {
            (Some(agent), _, _) => Holder::Agent(agent),
            (None, Processes::Shared, _) => Holder::Shared,
            (None, Processes::Session, Era::Legacy) => Holder::Session {
                grant: session.grant.clone(),
                session: session.id.clone(),
            },
            (None, Processes::Session | Processes::Grant, _) => {
                Holder::Grant(session.grant.clone())
            }
        }
    }

    fn upstream(&self) -> Result<&Upstream, Fault> {
        self.site.upstream.as_ref().ok_or_else(Fault::unusable)
    }

    fn ids(&self) -> (Option<String>, Option<String>) {
        let state = self.session.state();
        (state.upstream.clone(), state.version.clone())
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

    async fn post(
        &self,
        worker: &Worker,
        http: &Arc<HttpUpstream>,
        sending: Sending<'_>,
    ) -> Result<Exchange, Fault> {
        let (session, version) = self.ids();
        let with = SessionHeaders {
            session: session.as_deref(),
            version: version.as_deref(),
            ..SessionHeaders::default()
        };
        let answer = http.post(worker.number, sending, with).await?;
        if session.is_some() && answer.status == StatusCode::NOT_FOUND {
            // The body is of no interest, but the connection is.
            let _ = answer.read(64 * 1024).await;
            return Err(Fault::session_lost());
        }
        if session.is_some() && answer.status == StatusCode::BAD_REQUEST {
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

    async fn reopen(
        &self,
        worker: &Worker,
        http: &Arc<HttpUpstream>,
        generation: u64,
    ) -> Result<(), Fault> {
        let limit = worker.shared.settings.call_timeout;
        let _reopening = deadline::lock(limit, &self.session.reopening)
            .await
            .map_err(|_| Fault::no_turn())?;
        let opening = {
            let state = self.session.state();
            if state.over.is_some() {
                return Err(Fault::not_sent());
            }
            if state.generation != generation {
                return Ok(());
            }
            state.opening.clone()
        };
        let opening = opening.ok_or_else(Fault::not_sent)?;
        let opening = Cleared::own(AGAIN, opening);
        let not_sent = |fault: Fault| Fault {
            sent: false,
            ..fault
        };
        let sending = opening.sending(self.session.account());
        let answer = http.post(worker.number, sending, SessionHeaders::default());
        let answer = answer.await.map_err(not_sent)?;
        let upstream = answer.header(&SESSION_ID).map(str::to_owned);
        let limit = worker.shared.settings.result_limit;
        let exchange = exchange(answer, self.session.account(), worker)
            .await
            .map_err(not_sent)?;
        let opened = exchange
            .answer(limit, self.session.account())
            .await
            .is_ok_and(|m| is_result(&m));
        if !opened {
            return Err(Fault::not_sent());
        }
        {
            let mut state = self.session.state();
            state.upstream = upstream;
            state.generation += 1;
        }
        info!(server.name = %self.site.server.name, "Opened a lost session with server `{}` again", self.site.server.name);
        let initialized = Cleared::own(AGAIN, Bytes::from_static(INITIALIZED));
        let told = self.post(worker, http, initialized.sending()).await;
        told.map_err(not_sent)?;
        self.repeat_standing(worker, http).await;
        Ok(())
    }

    /// Repeats what the agent had arranged in the session that was lost.
    async fn repeat_standing(&self, worker: &Worker, http: &Arc<HttpUpstream>) {
        let level = self.session.state().arrangements.level();
        if let Some(level) = level {
            let level = Cleared::own(AGAIN, level);
            self.repeat(worker, http, &level).await;
        }
        let subscriptions = self.session.state().arrangements.subscriptions();
        for message in subscriptions {
            let again = ask::subscribe_again(&worker.shared, &self.session, message);
            let Some((message, kept)) = again else { return };
            let status = self.repeat(worker, http, &message).await;
            settle::settle(&worker.shared, &kept, status);
        }
    }

    /// Asks for something again. Whatever the server answers, the agent had its
    /// answer long ago.
    async fn repeat(
        &self,
        worker: &Worker,
        http: &Arc<HttpUpstream>,
        message: &Cleared<Outgoing>,
    ) -> Status {
        let limit = worker.shared.settings.result_limit;
        let account = self.session.account();
        let answered = async {
            let exchange = self.post(worker, http, message.sending(account)).await?;
            exchange.answer(limit, account).await
        };
        match answered.await {
            Ok(answer) if is_result(&answer) => Status::Ok,
            Ok(_) => Status::RpcError,
            Err(fault) => fault.ending(&self.site.server.name).0,
        }
    }
}

/// Reads what can be read at once.
async fn exchange(
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

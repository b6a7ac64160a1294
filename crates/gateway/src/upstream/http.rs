//! An upstream over streamable HTTP: requests, and answers with bounded bodies.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tracing::{debug, trace};

use crate::host::budget::Account;
use crate::host::budget::gather::{BodyBounds, DoesNotFit, Gathered};
use crate::host::deadline;
use crate::message::cleared::Sending;
use crate::message::fault::Fault;
use crate::text::headers::{LAST_EVENT_ID, PROTOCOL_VERSION, SESSION_ID};
use crate::upstream::Witness;
use crate::upstream::connections::{Age, Connections, Sender, Target, Timeouts};

/// One upstream reached by URL.
pub(crate) struct HttpUpstream {
    /// Path and query alone, as HTTP/1.1 wants it; the host goes in a header.
    uri: Uri,
    /// All of it, as HTTP/2 wants it, without that header.
    whole: Uri,
    authority: HeaderValue,
    /// Credentials and other headers the operator set; values are marked sensitive.
    headers: HeaderMap,
    connections: Connections,
    timeouts: Timeouts,
    /// What was seen to go wrong with it.
    pub(crate) witness: Arc<Witness>,
}

/// The URL of an upstream cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadUrl {
    // The URL is not repeated: its query may hold a secret.
    #[error("its URL begins with neither `http://` nor `https://`")]
    Scheme,
    #[error("its URL names no host")]
    Host,
    #[error("the certificate roots of this machine cannot be read")]
    Roots,
}

/// What goes along with a message: never a header of the agent's own.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SessionHeaders<'s> {
    pub(crate) session: Option<&'s str>,
    pub(crate) version: Option<&'s str>,
    pub(crate) last_event: Option<&'s str>,
    /// What a modern request repeats of its body.
    pub(crate) modern: Option<&'s HeaderMap>,
}

/// An answer whose body is not yet read; gives its connection back when it is.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    lease: Lease,
    wait: Duration,
}

struct Lease {
    upstream: Arc<HttpUpstream>,
    worker: usize,
    sender: Sender,
}

// === impl HttpUpstream ===

impl HttpUpstream {
    /// Prepares an upstream; connects only when it is used.
    pub(crate) fn new(
        url: &str,
        headers: HeaderMap,
        workers: usize,
        timeouts: Timeouts,
        tls: &dyn Fn() -> Option<TlsConnector>,
    ) -> Result<Self, BadUrl> {
        let uri: Uri = url.parse().map_err(|_| BadUrl::Scheme)?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(BadUrl::Scheme),
        };
        let authority = uri.authority().ok_or(BadUrl::Host)?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(BadUrl::Host);
        }
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let tls = if secure {
            let name = ServerName::try_from(host.clone()).map_err(|_| BadUrl::Host)?;
            Some((tls().ok_or(BadUrl::Roots)?, name))
        } else {
            None
        };
        let target = Target {
            port: authority
                .port_u16()
                .unwrap_or(if secure { 443 } else { 80 }),
            host,
            tls,
            timeouts,
        };
        let authority = HeaderValue::from_str(authority.as_str()).map_err(|_| BadUrl::Host)?;
        let witness = Arc::<Witness>::default();
        Ok(Self {
            uri: uri.path_and_query().map_or_else(
                || Uri::from_static("/"),
                |path| {
                    path.as_str()
                        .parse()
                        .unwrap_or_else(|_| Uri::from_static("/"))
                },
            ),
            whole: uri,
            authority,
            headers,
            connections: Connections::new(target, workers, Arc::clone(&witness)),
            timeouts,
            witness,
        })
    }

    /// Sends one message and returns the head of the answer.
    pub(crate) async fn post(
        self: &Arc<Self>,
        worker: usize,
        sending: Sending<'_>,
        with: SessionHeaders<'_>,
    ) -> Result<Answer, Fault> {
        let mut request = self.request(Method::POST, with);
        let headers = request.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(
            header::ACCEPT,
            HeaderValue::from_static("application/json, text/event-stream"),
        );
        self.exchange(worker, sending, request).await
    }

    /// Opens the upstream's stream for messages outside of any request.
    pub(crate) async fn get(
        self: &Arc<Self>,
        worker: usize,
        sending: Sending<'_>,
        with: SessionHeaders<'_>,
    ) -> Result<Answer, Fault> {
        let mut request = self.request(Method::GET, with);
        let accept = HeaderValue::from_static("text/event-stream");
        request.headers_mut().insert(header::ACCEPT, accept);
        self.exchange(worker, sending, request).await
    }

    /// Ends an upstream session.
    pub(crate) async fn delete(
        self: &Arc<Self>,
        worker: usize,
        sending: Sending<'_>,
        with: SessionHeaders<'_>,
    ) -> Result<Answer, Fault> {
        let request = self.request(Method::DELETE, with);
        self.exchange(worker, sending, request).await
    }

    /// A request without its body, which comes with the permit.
    fn request(&self, method: Method, with: SessionHeaders<'_>) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::default());
        *request.method_mut() = method;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(header::HOST, self.authority.clone());
        let ours = [
            (SESSION_ID, with.session),
            (PROTOCOL_VERSION, with.version),
            (LAST_EVENT_ID, with.last_event),
        ];
        for (name, value) in ours {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
                headers.insert(name, value);
            }
        }
        let modern = with.modern.into_iter().flatten();
        for (name, value) in modern.chain(&self.headers) {
            headers.insert(name, value.clone());
        }
        request
    }

    /// Sends on a connection that is there or a new one. A connection that turns
    /// out to be closed before anything was written is replaced; after the first
    /// byte nothing is ever sent twice.
    async fn exchange(
        self: &Arc<Self>,
        worker: usize,
        sending: Sending<'_>,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Answer, Fault> {
        let (method, host) = (request.method(), self.connections.host());
        trace!(
            "Sending a {method} to `{host}`, allowed by {}",
            sending.permit()
        );
        loop {
            let (mut sender, age) = Box::pin(self.connections.take(worker)).await?;
            // One that was given back before it had sent everything may never be.
            let ready = deadline::within(self.timeouts.connect, sender.ready()).await;
            if !matches!(ready, Ok(Ok(()))) {
                match age {
                    Age::Fresh => return Err(Fault::not_sent()),
                    Age::OpenCall => continue,
                }
            }
            self.address(&mut request, &sender);
            *request.body_mut() = Full::new(sending.body()?);
            let answer = tokio::time::timeout(self.timeouts.answer, sender.try_send(request));
            match answer.await {
                Err(_) => return Err(Fault::slow()),
                Ok(Ok(response)) => return Ok(self.answer(response, sender, worker)),
                Ok(Err(mut failed)) => match (failed.take_message(), age) {
                    (Some(unsent), Age::OpenCall) => request = unsent,
                    (Some(_), Age::Fresh) => return Err(Fault::not_sent()),
                    (None, _) => {
                        debug!(error = %failed.error(), "The connection to a server was lost before its answer came");
                        self.witness
                            .failed(format!("the connection was lost: {}", failed.error()));
                        return Err(Fault::broken());
                    }
                },
            }
        }
    }

    /// HTTP/1.1 names the host in a header, HTTP/2 in the target.
    fn address(&self, request: &mut Request<Full<Bytes>>, sender: &Sender) {
        match sender {
            Sender::Exclusive(_) => {
                *request.uri_mut() = self.uri.clone();
                // Unless the operator set one.
                let headers = request.headers_mut();
                if !headers.contains_key(header::HOST) {
                    headers.insert(header::HOST, self.authority.clone());
                }
            }
            Sender::Multiplexed(_) => {
                *request.uri_mut() = self.whole.clone();
                request.headers_mut().remove(header::HOST);
            }
        }
    }

    fn answer(
        self: &Arc<Self>,
        response: Response<Incoming>,
        sender: Sender,
        worker: usize,
    ) -> Answer {
        let (head, body) = response.into_parts();
        let lease = Lease {
            upstream: Arc::clone(self),
            worker,
            sender,
        };
        let wait = self.timeouts.answer;
        Answer {
            status: head.status,
            headers: head.headers,
            body,
            lease,
            wait,
        }
    }
}

// === impl Answer ===

impl Answer {
    /// The value of a header as text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Where it is noted when this is no message.
    pub(crate) fn witness(&self) -> Arc<Witness> {
        Arc::clone(&self.lease.upstream.witness)
    }

    /// Whether the body is a stream of events.
    pub(crate) fn is_event_stream(&self) -> bool {
        self.header(&header::CONTENT_TYPE)
            .and_then(|value| value.split(';').next())
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
    }

    /// Reads a whole body of at most `limit` bytes, on the account of whoever it
    /// is for. While there is no room for more of it, its sender is not read from.
    pub(crate) async fn read_counted(
        mut self,
        limit: usize,
        account: &Arc<Account>,
    ) -> Result<Bytes, Fault> {
        let allowed = BodyBounds {
            bytes: limit,
            expected: self.body.size_hint().exact(),
            wait: Some(deadline::ROOM),
        };
        let mut whole = Gathered::new(account, allowed);
        while !self.body.is_end_stream()
            && let Some(piece) = self.next().await?
        {
            whole.take(piece).await.map_err(|why| match why {
                DoesNotFit::TooLarge => Fault::bad_answer(),
                DoesNotFit::NoRoom(full) => Fault::no_room(full),
            })?;
        }
        Ok(self.done(whole.done()))
    }

    /// Reads what is left of a body that nobody wants, so that its connection can
    /// be used again; says whether there was more than `limit`, and what there was.
    pub(crate) async fn read(mut self, limit: usize) -> Result<Bytes, Fault> {
        let mut whole = BytesMut::new();
        while let Some(more) = self.next().await? {
            if whole.len() + more.len() > limit {
                return Err(Fault::bad_answer());
            }
            whole.extend_from_slice(&more);
        }
        Ok(self.done(whole.freeze()))
    }

    /// The next part of the body, `None` at its end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let next = deadline::within(self.wait, self.next_whenever());
        next.await.map_err(|_| Fault::slow())?
    }

    /// The same of a stream that may be silent for as long as it likes.
    pub(crate) async fn next_whenever(&mut self) -> Result<Option<Bytes>, Fault> {
        while let Some(frame) = self.body.frame().await {
            if let Ok(data) = frame.map_err(|_| Fault::broken())?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// Gives the connection back and passes `whole` through.
    fn done(self, whole: Bytes) -> Bytes {
        let Lease {
            upstream,
            worker,
            sender,
        } = self.lease;
        upstream.connections.give_back(worker, sender);
        whole
    }
}

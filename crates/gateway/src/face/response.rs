//! Responses of the HTTP face.

use std::borrow::Cow;

use bytes::Bytes;
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};

use super::body::Out;
use crate::host::unidentified::Reason;
use crate::message::answer::{self, Failure, RETRY_AFTER_MS};

/// Why a request of a known grant was refused, in words for its record.
#[derive(Debug, Clone)]
pub(super) struct Why(pub(super) Cow<'static, str>);

/// Nobody with this token is known, or any more.
pub(super) fn unauthorized() -> Response<Out> {
    challenging(refused(StatusCode::UNAUTHORIZED, Reason::Grant.answer()))
}

/// A 401 says what would help.
pub(super) fn challenging(mut response: Response<Out>) -> Response<Out> {
    if response.status() == StatusCode::UNAUTHORIZED {
        let bearer = HeaderValue::from_static("Bearer");
        let headers = response.headers_mut();
        headers.insert(header::WWW_AUTHENTICATE, bearer);
    }
    response
}

/// There is no room for it; why is recorded.
pub(super) fn no_room(failure: Failure) -> Response<Out> {
    let mut response = failed(&failure);
    response.extensions_mut().insert(failure);
    response
}

/// A refusal in words, for the sender and for the record.
pub(super) fn refused(status: StatusCode, why: impl Into<Cow<'static, str>>) -> Response<Out> {
    let why = why.into();
    let mut response = Response::new(Out::Whole(Some(Bytes::from(format!("{why}\n")))));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    explained(response, why)
}

/// The same refusal with other words for the record: the operator may know more.
pub(super) fn explained(
    mut response: Response<Out>,
    why: impl Into<Cow<'static, str>>,
) -> Response<Out> {
    response.extensions_mut().insert(Why(why.into()));
    response
}

/// An HTTP method that does nothing here.
pub(super) fn not_allowed(allowed: &'static str) -> Response<Out> {
    let why = format!("its HTTP method is not one of: {allowed}");
    let mut response = refused(StatusCode::METHOD_NOT_ALLOWED, why);
    let allow = HeaderValue::from_static(allowed);
    response.headers_mut().insert(header::ALLOW, allow);
    response
}

pub(super) fn plain(status: StatusCode) -> Response<Out> {
    let mut response = Response::new(Out::empty());
    *response.status_mut() = status;
    response
}

/// A failure that is not the answer to any request.
pub(super) fn failed(failure: &Failure) -> Response<Out> {
    json(failure.http, failure.body(None))
}

pub(super) fn json(status: u16, body: Bytes) -> Response<Out> {
    let mut response = Response::new(Out::Whole(Some(body)));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    if answer::passes_soon(status) {
        let soon = HeaderValue::from(RETRY_AFTER_MS.div_ceil(1000));
        response.headers_mut().insert(header::RETRY_AFTER, soon);
    }
    response
}

/// A response that is a stream of events.
pub(super) fn event_stream(body: Out) -> Response<Out> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// A stream is open already.
pub(super) fn conflict() -> Response<Out> {
    refused(
        StatusCode::CONFLICT,
        "its session has an open stream already; to take that one over, send `Last-Event-ID`",
    )
}

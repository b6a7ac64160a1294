//! Requests of a known grant that end before their message is read: they leave a
//! record. What nobody is known for is only counted (`host/unidentified.rs`).

use hyper::{Method, Response, StatusCode};

use super::body::Out;
use super::response::{Why, failed};
use crate::message::answer::Failure;
use crate::path::{self, Agent};
use crate::state::worker::Worker;

/// Records that a request of a known grant was refused for its HTTP form.
pub(super) fn recorded(
    worker: &Worker,
    agent: &Agent,
    method: &Method,
    refusal: Response<Out>,
) -> Response<Out> {
    let status = refusal.status();
    if let Some(failure) = refusal.extensions().get::<Failure>() {
        let method = format!("({method})");
        return failed(&path::recorded_busy(
            worker,
            agent,
            &method,
            failure.clone(),
        ));
    }
    // A grant that ended meanwhile is nobody's; stopping is nobody's fault.
    if matches!(
        status,
        StatusCode::UNAUTHORIZED | StatusCode::SERVICE_UNAVAILABLE
    ) {
        return refusal;
    }
    let code = status.as_u16();
    let problem = match refusal.extensions().get::<Why>() {
        Some(Why(why)) => format!("{why} (HTTP {code})"),
        None => format!("HTTP {status}"),
    };
    match path::record_envelope(worker, agent, &format!("({method})"), &problem) {
        Ok(()) => refusal,
        Err(_) => failed(&Failure::record_unavailable()),
    }
}

//! The way to the store: through the daemon when one runs, otherwise directly.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use provost_store::Store;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::{Control, Reply, Request, Response, execute};
use crate::daemon::{self, PATIENCE};
use crate::exit::Kind;
use crate::failure::{Failure, Outcome};
use crate::locations::Places;
use crate::runtime::block_on;
use crate::terminal::{escape, style};

/// Administration of one data directory.
pub(crate) struct Admin {
    places: Places,
}

// === impl Admin ===

impl Admin {
    /// Administration of these places.
    pub(crate) fn new(places: Places) -> Self {
        Admin { places }
    }

    /// The directories.
    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    /// Executes a request: the daemon does it when one runs, otherwise this process.
    pub(crate) fn ask(&self, request: Request) -> Outcome<Response> {
        self.ask_keeping(&mut None, request)
    }

    /// Executes one of several requests: a store this process has to open stays open for the next.
    pub(crate) fn ask_keeping(
        &self,
        kept: &mut Option<Store>,
        request: Request,
    ) -> Outcome<Response> {
        if let Some(store) = kept {
            return execute(store, request);
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answered = block_on(async {
                match connect_admin(&self.places).await? {
                    Some(stream) => post(stream, "/v1/command", &request).await.map(Some),
                    None => Ok(None),
                }
            })?;
            if let Some(response) = answered {
                return Ok(response);
            }
            // Whoever has the store without a socket is a short command like this one, or a
            // daemon that is just starting or leaving.
            match daemon::try_open_store(&self.places) {
                Ok(store) => {
                    name_damage(&store);
                    return execute(kept.insert(store), request);
                }
                Err(failure) if failure.kind == Kind::Conflict && Instant::now() < deadline => {
                    daemon::wait_a_moment();
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Asks the daemon, which must run.
    pub(crate) fn control<T: DeserializeOwned>(&self, control: &Control) -> Outcome<T> {
        block_on(async {
            let stream = connect_admin(&self.places)
                .await?
                .ok_or_else(|| daemon::none_runs(&self.places))?;
            post(stream, "/v1/control", control).await
        })
    }

    /// Whether a daemon runs.
    pub(crate) fn daemon_runs(&self) -> Outcome<bool> {
        Ok(block_on(connect_admin(&self.places))?.is_some())
    }

    /// Opens the store in this process.
    pub(crate) fn open(&self) -> Outcome<Store> {
        daemon::open_store(&self.places).inspect(name_damage)
    }
}

/// Names what opening found damaged: without a daemon there is no log that says it.
fn name_damage(store: &Store) {
    static ONCE: std::sync::Once = std::sync::Once::new();
    let damage = &store.report().damage;
    let Some(first) = damage.first() else { return };
    ONCE.call_once(|| {
        let (colour, reset) = (style::WARNING, anstyle::Reset);
        let more = match damage.len() {
            1 => String::new(),
            places => format!("; {places} places in all"),
        };
        // Nothing can be done about a closed stderr.
        drop(writeln!(
            anstream::stderr().lock(),
            "{colour}warning{reset}: the journal is damaged: {}{more}",
            escape(&first.to_string())
        ));
    });
}

/// Connects to the daemon's admin socket; `None` when nobody listens there.
pub(crate) async fn connect_admin(places: &Places) -> Outcome<Option<UnixStream>> {
    connect(&places.admin_socket()).await
}

/// Connects to a socket; `None` when there is none or a dead daemon left it behind.
pub(crate) async fn connect(path: &Path) -> Outcome<Option<UnixStream>> {
    use std::io::ErrorKind;
    match UnixStream::connect(path).await {
        Ok(stream) => {
            let owner = stream.peer_cred().map_err(|error| {
                Failure::unavailable(format!(
                    "nobody is known behind socket `{}`",
                    path.display()
                ))
                .because(error)
            })?;
            let own = rustix::process::getuid().as_raw();
            check_owner(path, owner.uid(), own).map(|()| Some(stream))
        }
        // Not there, or stale: the process that bound it is gone.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(Failure::unavailable(format!(
            "cannot connect to socket `{}`",
            path.display()
        ))
        .because(error)
        .hint("only the user who started the daemon can talk to it")),
    }
}

/// Only a daemon of this very user is told anything: in a shared directory another user may have
/// put a socket where ours belongs.
fn check_owner(path: &Path, owner: u32, own: u32) -> Outcome {
    if owner == own {
        return Ok(());
    }
    Err(Failure::refused(format!(
        "socket `{}` belongs to another user",
        path.display()
    ))
    .because(format!(
        "user {owner} listens there, this command runs as user {own}; nothing was sent"
    ))
    .hint("run it as the user of the daemon, or remove the socket"))
}

/// Sends one request and reads the whole answer.
pub(crate) async fn post<T: DeserializeOwned>(
    stream: UnixStream,
    path: &str,
    body: &impl Serialize,
) -> Outcome<T> {
    let bytes = whole(send(stream, path, body).await?).await?;
    let reply: Reply<T> = serde_json::from_slice(&bytes).map_err(|error| {
        Failure::internal("the daemon's answer is not understood")
            .because(error)
            .hint("client and daemon may be of different versions; restart the daemon")
    })?;
    reply.into_result()
}

/// Reads a page of plain text.
pub(crate) async fn get(stream: UnixStream, path: &str) -> Outcome<String> {
    let response = exchange(stream, hyper::Request::get(path), Bytes::new()).await?;
    let bytes = whole(response).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The body of an answer, to its end.
async fn whole(response: hyper::Response<Incoming>) -> Outcome<Bytes> {
    let body = response.into_body().collect().await;
    Ok(body.map_err(|error| gone().because(error))?.to_bytes())
}

/// Sends one request and hands back the answer with its body still coming.
pub(crate) async fn send(
    stream: UnixStream,
    path: &str,
    body: &impl Serialize,
) -> Outcome<hyper::Response<Incoming>> {
    let body = serde_json::to_vec(body)
        .map_err(|error| Failure::internal("cannot write the request").because(error))?;
    exchange(stream, hyper::Request::post(path), Bytes::from(body)).await
}

async fn exchange(
    stream: UnixStream,
    request: hyper::http::request::Builder,
    body: Bytes,
) -> Outcome<hyper::Response<Incoming>> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| gone().because(error))?;
    tokio::spawn(connection);
    let request = request
        .header("host", "provost")
        .header("content-type", "application/json")
        .body(Full::new(body))
        .map_err(|error| Failure::internal("cannot write the request").because(error))?;
    sender
        .send_request(request)
        .await
        .map_err(|error| gone().because(error))
}

fn gone() -> Failure {
    Failure::unavailable("the daemon went away").hint("try again; `provost doctor` says how it is")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_of_another_user_is_refused() {
        let path = Path::new("/tmp/provost-1000/admin.sock");
        assert_eq!(check_owner(path, 1000, 1000), Ok(()));
        let refused = check_owner(path, 1001, 1000).unwrap_err();
        assert_eq!(refused.kind, Kind::Refused);
        assert!(refused.causes.concat().contains("user 1001 listens there"));
    }
}

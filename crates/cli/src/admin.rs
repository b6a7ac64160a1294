//! The way to administration: through the daemon when one runs, otherwise in this process.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use provost_admin::{
    Actor, Administration, AnyRequest, AuditExport, Failure, FailureKind, Listing, Outcome, PAGE,
    PATIENCE, Reply, Request, RequestKind, no_daemon, open, open_for, wait_a_moment,
};
use provost_store::Store;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

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

    /// Asks for something: the daemon does it when one runs, otherwise this process.
    pub(crate) fn ask<R: Request>(&self, request: R) -> Outcome<R::Answer> {
        self.ask_keeping(&mut None, request)
    }

    /// Everything that is listed, page by page.
    pub(crate) fn list<L: Listing>(&self, listing: L) -> Outcome<Vec<L::Item>> {
        self.list_at_most(u32::MAX, listing)
    }

    /// The first so many of what is listed.
    pub(crate) fn list_at_most<L: Listing>(&self, most: u32, listing: L) -> Outcome<Vec<L::Item>> {
        let mut all = Vec::new();
        self.pages(most, listing, |page| {
            all.extend(page);
            Ok(())
        })?;
        Ok(all)
    }

    /// The first so many of what is listed, a page at a time.
    pub(crate) fn pages<L: Listing>(
        &self,
        most: u32,
        mut listing: L,
        mut visit: impl FnMut(Vec<L::Item>) -> Outcome,
    ) -> Outcome {
        let (mut store, mut left) = (None, most);
        loop {
            let asked = left.min(PAGE);
            listing.paging().limit = Some(asked);
            let page = self.ask_keeping(&mut store, listing.clone())?;
            left = left.saturating_sub(asked);
            visit(page.items)?;
            if page.next.is_none() || left == 0 {
                return Ok(());
            }
            listing.paging().cursor = page.next;
        }
    }

    /// One of several questions: a store this process has to open stays open for the next.
    fn ask_keeping<R: Request>(&self, kept: &mut Option<Store>, request: R) -> Outcome<R::Answer> {
        if let Some(store) = kept {
            return here(store, request);
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answered = block_on(async {
                match connect_admin(&self.places).await? {
                    Some(stream) => ask(stream, request.clone()).await.map(Some),
                    None => Ok(None),
                }
            })?;
            if let Some(answer) = answered {
                return Ok(answer);
            }
            if R::KIND.needs_daemon() {
                return Err(no_daemon(&self.places.data));
            }
            // Whoever has the store without a socket is a short command like this one, or a
            // daemon that is just starting or leaving.
            match open_for(&self.places.store(), R::KIND) {
                Ok(store) => {
                    name_damage(&store);
                    return here(kept.insert(store), request);
                }
                Err(failure)
                    if failure.kind == FailureKind::Conflict && Instant::now() < deadline =>
                {
                    wait_a_moment();
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Whether a daemon runs.
    pub(crate) fn daemon_runs(&self) -> Outcome<bool> {
        Ok(block_on(connect_admin(&self.places))?.is_some())
    }

    /// Opens the store in this process, for a request.
    pub(crate) fn open(&self, request: RequestKind) -> Outcome<Store> {
        open(&self.places.store(), request).inspect(name_damage)
    }
}

/// Executes a request in this process.
pub(crate) fn here<R: Request>(store: &Store, request: R) -> Outcome<R::Answer> {
    Administration::of(store).answer(&Actor::local(), request)
}

/// Exports in this process.
pub(crate) fn here_export(store: &Store, what: &AuditExport, out: &mut dyn Write) -> Outcome {
    Administration::of(store).export(&Actor::local(), what, out)
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
                    "cannot find out which user listens on socket `{}`",
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

/// Asks the daemon at the other end.
pub(crate) async fn ask<R: Request>(stream: UnixStream, request: R) -> Outcome<R::Answer> {
    let request: AnyRequest = request.into();
    let bytes = whole(send(stream, "/v1/command", &request).await?).await?;
    understood::<Reply<R::Answer>>(&bytes)?.into_result()
}

fn understood<T: DeserializeOwned>(bytes: &[u8]) -> Outcome<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        Failure::internal("the daemon's answer cannot be read")
            .because(error)
            .hint("this command and the daemon may be of different versions; restart the daemon")
    })
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
    let fail = |error: &dyn std::fmt::Display| {
        Failure::internal("the request cannot be written").because(error)
    };
    let body = serde_json::to_vec(body).map_err(|error| fail(&error))?;
    let request = hyper::Request::post(path)
        .header("host", "provost")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| fail(&error))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| gone().because(error))?;
    tokio::spawn(connection);
    let answer = sender.send_request(request).await;
    answer.map_err(|error| gone().because(error))
}

fn gone() -> Failure {
    Failure::unavailable("the daemon closed the connection without an answer")
        .hint("try again; `provost doctor` checks the daemon")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_of_another_user_is_refused() {
        let path = Path::new("/tmp/provost-1000/admin.sock");
        assert_eq!(check_owner(path, 1000, 1000), Ok(()));
        let refused = check_owner(path, 1001, 1000).unwrap_err();
        assert_eq!(refused.kind, FailureKind::Refused);
        assert!(refused.causes.concat().contains("user 1001 listens there"));
    }
}

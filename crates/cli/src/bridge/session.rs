//! Opening a session with the daemon, which may just be starting or just be leaving.

use std::time::{Duration, Instant};

use provost_admin::Reply;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::hello::{Hello, MAX_LINE, Welcome, read_line};
use crate::admin::connect;
use crate::daemon::{Signals, connect_or_start, end_at_once};
use crate::failure::{Failure, Outcome};
use crate::locations::Places;

/// How long a daemon may take to answer a hello; it may have a policy to compile and a disk to wait for.
const ANSWER: Duration = Duration::from_secs(30);
/// How long to try again when a daemon leaves at the very moment it is asked.
const PATIENCE: Duration = Duration::from_secs(20);

/// Connects to the daemon of these places, which is started when there is none, and says hello.
/// A signal ends the process, as it would without us.
pub(crate) async fn open_session(
    places: &Places,
    hello: &Hello,
    signals: &mut Signals,
) -> Outcome<(BufReader<UnixStream>, Welcome)> {
    tokio::select! {
        opened = try_open(places, hello) => opened,
        signal = signals.next() => end_at_once(signal),
    }
}

async fn try_open(places: &Places, hello: &Hello) -> Outcome<(BufReader<UnixStream>, Welcome)> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let stream = connect_or_start(places, deadline).await?;
        if let Some(session) = greet(stream, hello).await? {
            return Ok(session);
        }
        if Instant::now() >= deadline {
            return Err(Failure::unavailable("the daemon went away again and again")
                .hint(format!("its log is `{}`", places.daemon_log().display())));
        }
    }
}

/// Sends a changed policy of a run to the daemon that serves it.
pub(crate) async fn send_policy(places: &Places, hello: &Hello) -> Outcome<Welcome> {
    let gone =
        || Failure::unavailable("the daemon went away; the changed policy was not taken over");
    let stream = connect(&places.agent_socket()).await?.ok_or_else(gone)?;
    Ok(greet(stream, hello).await?.ok_or_else(gone)?.1)
}

/// `None` when the daemon closed the connection without an answer: it was just leaving.
async fn greet(
    stream: UnixStream,
    hello: &Hello,
) -> Outcome<Option<(BufReader<UnixStream>, Welcome)>> {
    let mut line = serde_json::to_vec(hello)
        .map_err(|error| Failure::internal("cannot write the hello").because(error))?;
    line.push(b'\n');
    let mut stream = BufReader::new(stream);
    if stream.write_all(&line).await.is_err() {
        return Ok(None);
    }
    let answer = tokio::time::timeout(ANSWER, read_line(&mut stream, MAX_LINE)).await;
    let Some(answer) = answer.map_err(|_| Failure::unavailable("the daemon does not answer"))??
    else {
        return Ok(None);
    };
    let reply: Reply<Welcome> = serde_json::from_slice(&answer).map_err(|error| {
        Failure::internal("the daemon's answer is not understood")
            .because(error)
            .hint("restart the daemon; it may be of another version")
    })?;
    Ok(Some((stream, reply.into_result()?)))
}

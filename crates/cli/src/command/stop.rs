//! `provost stop`.

use clap::Args;
use http_body_util::BodyExt;
use provost_admin::{Stop as End, no_daemon};
use serde::Serialize;

use crate::admin::{ask, connect_admin, send};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::locations::Places;
use crate::runtime::block_on;

/// Stop the running daemon; calls in flight finish first
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  provost stop

It waits until the daemon has ended, and exits with 5 when none runs. The next
`provost run` or `connect` starts a daemon again, and so does a service manager
that is set up to.")]
pub(crate) struct Stop {}

/// What was ended.
#[derive(Debug, Serialize)]
struct Stopped {
    pid: u32,
    /// Agents over stdio that it served.
    clients: usize,
    data: std::path::PathBuf,
}

// === impl Stop ===

impl Stop {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let places = context.places()?;
        let stopped = block_on(stop(&places))?;
        context.output.show(&stopped, |out| {
            writeln!(
                out,
                "the daemon on `{}` (process {}) has ended",
                stopped.data.display(),
                stopped.pid
            )
        })
    }
}

/// Asks the daemon to end and follows it to its end. How long that takes is bounded by the daemon's
/// own deadlines, and a process that dies closes the connection.
async fn stop(places: &Places) -> Outcome<Stopped> {
    let none = || no_daemon(&places.data);
    // First, because the sockets are removed when it begins to stop.
    let stream = connect_admin(places).await?.ok_or_else(none)?;
    let mut attached = send(stream, "/v1/attached", &()).await?.into_body();
    let stream = connect_admin(places).await?.ok_or_else(none)?;
    let status = ask(stream, End {}).await?;
    while let Some(frame) = attached.frame().await {
        // The body ends in order only when the daemon has.
        frame.map_err(|_| {
            Failure::unavailable(format!(
                "the daemon (process {}) ended before everything was in order",
                status.pid
            ))
            .hint("nothing recorded is lost; its log may say more")
        })?;
    }
    Ok(Stopped {
        pid: status.pid,
        clients: status.clients,
        data: places.data.clone(),
    })
}

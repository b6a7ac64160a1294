//! What is asked of the system for every TCP connection, to agents and upstreams alike.

use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::TcpStream;
use tracing::debug;

/// Probes that stay unanswered before a silent peer counts as gone.
const PROBES: u32 = 4;

/// Sends small messages at once, and notices a peer that vanished without a
/// word: one that acknowledges nothing for `dead_after` is gone, and so is one
/// that lets what was sent to it lie for that long.
pub(crate) fn prepare(socket: &TcpStream, dead_after: Duration) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    if let Err(error) = watch(socket, dead_after) {
        // Without it a vanished peer is noticed later, by its silence.
        debug!(%error, "TCP keep-alive could not be set for a connection");
    }
    Ok(())
}

/// How often an HTTP/2 peer is asked whether it is alive, and how long it may take
/// to say so.
pub(crate) fn ping(dead_after: Duration) -> Duration {
    dead_after / 6
}

fn watch(socket: &TcpStream, dead_after: Duration) -> rustix::io::Result<()> {
    // The system counts in whole seconds.
    let idle = (dead_after / 2).max(Duration::from_secs(1));
    let between = (idle / PROBES).max(Duration::from_secs(1));
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, idle)?;
    sockopt::set_tcp_keepintvl(socket, between)?;
    sockopt::set_tcp_keepcnt(socket, PROBES)?;
    #[cfg(target_os = "linux")]
    {
        let dead_after = u32::try_from(dead_after.as_millis()).unwrap_or(u32::MAX);
        sockopt::set_tcp_user_timeout(socket, dead_after)?;
    }
    Ok(())
}

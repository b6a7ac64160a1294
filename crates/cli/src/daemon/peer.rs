//! Who is at the other end of a socket.

use tokio::net::UnixStream;
use tracing::warn;

/// Whether the peer runs as the user of this daemon. The mode of the socket says the same; this
/// holds even if somebody changed it.
pub(super) fn is_own_user(stream: &UnixStream) -> bool {
    let own = rustix::process::getuid().as_raw();
    match stream.peer_cred() {
        Ok(peer) if peer.uid() == own => true,
        Ok(peer) => {
            warn!(
                peer.uid = peer.uid(),
                "Refused a socket connection of another user"
            );
            false
        }
        Err(error) => {
            warn!("Refused a socket connection of an unknown user: {error}");
            false
        }
    }
}

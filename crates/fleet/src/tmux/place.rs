//! Which tmux, with which socket and settings, in which environment.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use tokio::net::UnixStream;
use tokio::process::Command;

use super::version::{LONGEST_SOCKET, TmuxError};
use crate::place::{self, Place};
use crate::terminal::TERM;

/// The session that all windows belong to.
pub(crate) const SESSION: &str = "fleet";

/// What every tmux process is started with.
#[derive(Debug, Clone)]
pub(super) struct TmuxPlace {
    pub(super) program: PathBuf,
    pub(super) socket: PathBuf,
    configuration: PathBuf,
    environment: Vec<(OsString, OsString)>,
}

// === impl TmuxPlace ===

impl TmuxPlace {
    /// Writes the settings and notes where everything is.
    pub(super) fn prepare(
        place: &Place,
        program: PathBuf,
        environment: Vec<(OsString, OsString)>,
    ) -> Result<Self, TmuxError> {
        let socket = place.socket();
        if socket.as_os_str().len() > LONGEST_SOCKET {
            return Err(TmuxError::LongPath(socket.display().to_string()));
        }
        let configuration = place.configuration();
        place::write_file(&configuration, settings().as_bytes())?;
        Ok(Self {
            program,
            socket,
            configuration,
            environment,
        })
    }

    /// A tmux process, of which the caller says what it does. No shell takes part.
    pub(super) fn command(&self) -> Command {
        #[expect(clippy::disallowed_methods, reason = "the fleet runs tmux")]
        let mut command = Command::new(&self.program);
        command
            .args(self.addressing())
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            // Keys that end the daemon do not reach it.
            .process_group(0)
            .kill_on_drop(true);
        command
    }

    /// The arguments that make a tmux process talk to our server: characters in UTF-8, our
    /// socket, our settings and nobody else's.
    pub(super) fn addressing(&self) -> [OsString; 5] {
        [
            "-u".into(),
            "-S".into(),
            self.socket.clone().into(),
            "-f".into(),
            self.configuration.clone().into(),
        ]
    }

    /// Whether a server is there. Starts nothing.
    pub(super) async fn is_served(&self) -> bool {
        match UnixStream::connect(&self.socket).await {
            Ok(_) => true,
            // A server that is busy is there.
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }
}

/// The settings of our tmux. Nothing of a user's own is read.
///
/// Not among them: `window-size manual`. tmux 3.3 ends with an error when it is set for
/// all windows; ours get it one by one.
fn settings() -> String {
    format!(
        "\
# Written anew at each start.
set -s default-terminal {TERM}
set -s set-clipboard off
set -s escape-time 20
set -s exit-empty on
set -g update-environment ''
set -g history-limit 2000
set -g default-size 120x40
set -g assume-paste-time 0
set -g status off
set -g mouse off
set -g bell-action none
set -g monitor-bell off
set -g set-titles off
set -g automatic-rename off
set -g allow-rename off
set -gq allow-passthrough off
set -gq allow-set-title off
set -g aggressive-resize off
set -g remain-on-exit on
# Whoever attaches can look, scroll, type and leave.
unbind -a -T root
unbind -a -T prefix
bind -T prefix C-b send-prefix
bind -T prefix d detach-client
bind -T prefix [ copy-mode
"
    )
}

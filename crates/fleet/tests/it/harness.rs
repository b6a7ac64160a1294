//! A fleet's directory with a tmux of its own, and programs to run in it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use provost_fleet::{
    Exit, Input, InstanceId, Key, News, Piece, Place, Program, Size, TERM, Tmux, TmuxError,
    Typable, Windows,
};
use provost_testkit::process::wrapper_program;
use provost_testkit::wait::within;
use provost_testkit::wait_until;
use tempfile::TempDir;
use tokio::sync::mpsc;

pub(crate) const SIZE: Size = Size {
    columns: 100,
    rows: 30,
};

/// Settings that a user may have, and that must not matter.
const OWN_SETTINGS: &str = "set -g base-index 1\nset -g pane-base-index 1\nset -g renumber-windows on\n\
    set -g remain-on-exit on\nset -g default-command 'exec cat'\nset -g destroy-unattached on\n\
    set -g automatic-rename on\nset -g mouse on\nset -g history-limit 1\n";

pub(crate) struct Room {
    pub(crate) server: Server,
    pub(crate) windows: Arc<Windows<Tmux>>,
    pub(crate) news: mpsc::Receiver<News>,
}

/// The tmux server of a folder, which ends with the test.
pub(crate) struct Server(pub(crate) TempDir);

/// A fleet without windows.
pub(crate) async fn room() -> Room {
    room_with("tmux".into()).await.unwrap()
}

/// The same with another program for tmux.
pub(crate) async fn room_with(tmux: PathBuf) -> Result<Room, TmuxError> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".tmux.conf"), OWN_SETTINGS).unwrap();
    let (windows, news) = fleet_in(folder.path(), tmux).await?;
    Ok(Room {
        server: Server(folder),
        windows: Arc::new(windows),
        news,
    })
}

async fn fleet_in(
    folder: &Path,
    tmux: PathBuf,
) -> Result<(Windows<Tmux>, mpsc::Receiver<News>), TmuxError> {
    let place = Place::create(folder.join("fleet")).unwrap();
    let environment = environment(folder);
    let (terminal, events) = Tmux::start(&place, tmux, environment).await?;
    let wrapper = vec![wrapper_program().into_os_string(), "agent".into()];
    Ok(Windows::take_over(terminal, events, place, wrapper))
}

fn environment(folder: &Path) -> Vec<(OsString, OsString)> {
    vec![
        ("PATH".into(), std::env::var_os("PATH").unwrap()),
        ("HOME".into(), folder.into()),
        ("LANG".into(), "C.UTF-8".into()),
        ("TERM".into(), TERM.into()),
    ]
}

impl Room {
    /// Where programs of tests may write.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.server.0.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    pub(crate) fn shell(&self, script: &str) -> Program {
        Program {
            program: "sh".into(),
            args: vec!["-c".into(), script.into()],
            environment: environment(self.server.0.path()),
            directory: self.server.0.path().to_owned(),
        }
    }

    /// Runs a shell script in a window, in the room's folder.
    pub(crate) async fn run(&self, instance: &str, script: &str) {
        let program = self.shell(script);
        self.windows
            .start(&id(instance), program, SIZE)
            .await
            .unwrap();
    }

    /// How the next instance ends; whatever else is told is skipped.
    pub(crate) async fn end(&mut self) -> (String, Option<Exit>) {
        loop {
            if let News::Ended(instance, exit) = self.next().await {
                return (instance.to_string(), exit);
            }
        }
    }

    pub(crate) async fn next(&mut self) -> News {
        within("news", self.news.recv()).await.unwrap()
    }

    /// Waits until an instance has printed this.
    pub(crate) async fn printed(&self, instance: &str, text: &str) {
        let output = self.windows.output(&id(instance)).unwrap();
        let printed = async {
            loop {
                let page = output.last_lines(1000).unwrap();
                if all_text(&page.pieces).contains(text) {
                    return;
                }
                assert!(!page.ended, "`{text}` was never printed: {:?}", page.pieces);
                output.grows(page.end).await;
            }
        };
        within(&format!("`{text}` from {instance}"), printed).await;
    }

    pub(crate) async fn paste(&self, instance: &str, text: &str) {
        self.enter(instance, Input::Paste(Typable::new(text).unwrap()))
            .await;
    }

    pub(crate) async fn press(&self, instance: &str, key: Key) {
        self.enter(instance, Input::Key(key)).await;
    }

    pub(crate) async fn enter(&self, instance: &str, input: Input<'_>) {
        use provost_fleet::Terminal;
        let terminal = self.windows.terminal();
        terminal.enter(&id(instance), input).await.unwrap();
    }

    /// Lets go of everything as a daemon does that is killed, and begins again.
    pub(crate) async fn again(self) -> Room {
        let clients = self.control_clients();
        let Room {
            server,
            windows,
            news,
        } = self;
        drop((windows, news));
        for client in clients {
            wait_until("the client is gone", || !lives(client)).await;
        }
        let (windows, news) = fleet_in(server.0.path(), "tmux".into()).await.unwrap();
        Room {
            server,
            windows: Arc::new(windows),
            news,
        }
    }

    /// The processes of control clients: the server was one, too, by its command line.
    pub(crate) fn control_clients(&self) -> Vec<i32> {
        let socket = self.file("fleet/tmux").display().to_string();
        let own = std::process::id().to_string();
        processes(|number| {
            let line = std::fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            let (_, parent) = state(number);
            parent == own && line.contains(&socket) && line.contains("\0-C\0")
        })
    }

    /// A tmux process for the test's own questions.
    pub(crate) fn tmux(&self, args: &[&str]) -> String {
        self.server.tmux(args)
    }
}

impl Server {
    fn tmux(&self, args: &[&str]) -> String {
        let output = Command::new("tmux")
            .arg("-S")
            .arg(self.0.path().join("fleet/tmux"))
            .args(args)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

pub(crate) fn id(name: &str) -> InstanceId {
    name.parse().unwrap()
}

pub(crate) fn all_text(pieces: &[Piece]) -> String {
    let text = pieces.iter().map(|piece| match piece {
        Piece::Text(text) => text.as_str(),
        Piece::Gap(_) => "",
    });
    text.collect()
}

/// The numbers of processes that fit.
fn processes(fits: impl Fn(i32) -> bool) -> Vec<i32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers.filter(|&number| fits(number)).collect()
}

/// The state of a process, and its parent; both empty when there is none.
fn state(number: i32) -> (String, String) {
    let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
    let mut fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let mut next = || fields.next().unwrap_or_default().to_owned();
    (next(), next())
}

pub(crate) fn lives(number: i32) -> bool {
    !["", "Z", "X"].contains(&state(number).0.as_str())
}

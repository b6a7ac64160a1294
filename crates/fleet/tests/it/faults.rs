//! What ends under us, and what cannot be used.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use provost_fleet::{Exit, Key, News, Place, Terminal, Tmux, TmuxError};
use provost_testkit::wait_until;
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Room, all_text, id, lives, room, room_with};

fn kill(number: i32) {
    kill_process(Pid::from_raw(number).unwrap(), Signal::KILL).unwrap();
}

/// A program for tmux that is a script.
fn script(folder: &tempfile::TempDir, text: &str) -> PathBuf {
    let file = folder.path().join("tmux script");
    std::fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).unwrap();
    file
}

async fn refusal(tmux: PathBuf) -> String {
    match room_with(tmux).await {
        Ok(_) => panic!("it was taken"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_tmux_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = refusal("no-such-tmux".into()).await;
    assert_eq!(
        missing,
        "tmux is not installed: `no-such-tmux` was not found"
    );
    let old = refusal(script(&folder, "echo tmux 3.1c")).await;
    assert_eq!(old, "tmux 3.1 is too old: agents need 3.2 or later");
    let other = script(&folder, "echo screen 4");
    let name = other.display().to_string();
    let words = format!("`{name}` is no tmux: it says `screen 4` when asked for its version");
    assert_eq!(refusal(other).await, words);
}

#[tokio::test]
async fn a_socket_with_a_long_path_is_refused_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let long = folder.path().join("x".repeat(100));
    let place = Place::create(long).unwrap();
    let refused = Tmux::start(&place, "tmux".into(), Vec::new()).await;
    assert!(matches!(refused, Err(TmuxError::LongPath(_))));
}

#[tokio::test]
async fn a_server_that_is_killed_takes_its_windows_and_can_be_had_again() {
    let mut room = room().await;
    for name in ["a", "b"] {
        let script = format!(
            "(setsid -f sleep 600 >/dev/null 2>&1 </dev/null &); echo $$ > {name}; echo last; read x"
        );
        room.run(name, &script).await;
        room.printed(name, "last").await;
    }
    let own: i32 = room.text("a").trim().parse().unwrap();
    let server: i32 = room
        .tmux(&["display-message", "-p", "#{pid}"])
        .trim()
        .parse()
        .unwrap();
    kill(server);
    assert_eq!(room.next().await, News::TerminalGone);
    let (first, _) = room.end().await;
    let (second, _) = room.end().await;
    assert_eq!((first.as_str(), second.as_str()), ("a", "b"));
    wait_until("the program is gone", || !lives(own)).await;
    // By the signal, or because there was nothing to read any more.
    wait_until("how it ended is known", || {
        room.windows.exit(&id("a")).is_some()
    })
    .await;
    let page = room
        .windows
        .output(&id("a"))
        .unwrap()
        .last_lines(1)
        .unwrap();
    assert_eq!(all_text(&page.pieces), "last\n");
    assert!(room.windows.terminal().windows().is_empty());
    room.run("a", "exit 5").await;
    assert_eq!(room.end().await, ("a".to_owned(), Some(Exit::Code(5))));
}

#[tokio::test]
async fn a_server_that_is_told_to_end_is_noticed() {
    let mut room = room().await;
    room.run("a", "echo ready; read x").await;
    room.printed("a", "ready").await;
    room.tmux(&["kill-server"]);
    // Word of the window may come before that of the server.
    assert_eq!(room.end().await.0, "a");
    room.run("a", "exit 5").await;
    assert_eq!(room.end().await, ("a".to_owned(), Some(Exit::Code(5))));
}

#[tokio::test]
async fn a_control_client_that_is_killed_is_replaced() {
    let mut room = room().await;
    room.run("a", "echo first; read x; echo second; exit 2")
        .await;
    room.printed("a", "first").await;
    let [client] = room.control_clients().try_into().unwrap();
    kill(client);
    let other = |room: &Room| {
        room.control_clients()
            .iter()
            .any(|&number| number != client)
    };
    wait_until("there is another", || other(&room)).await;
    provost_testkit::wait_for("the window is reached", async || {
        room.windows.terminal().screen(&id("a")).await.ok()
    })
    .await;
    room.press("a", Key::Enter).await;
    assert_eq!(room.end().await, ("a".to_owned(), Some(Exit::Code(2))));
    let page = room
        .windows
        .output(&id("a"))
        .unwrap()
        .last_lines(9)
        .unwrap();
    assert!(
        all_text(&page.pieces).ends_with("second\n"),
        "{:?}",
        page.pieces
    );
}

/// Some versions of tmux can come to refuse every control client.
#[tokio::test]
async fn without_a_control_client_everything_can_still_be_told() {
    let folder = tempfile::tempdir().unwrap();
    let flag = folder.path().join("refuse");
    let text = format!(
        "for word; do [ \"$word\" = -C ] && [ -e '{}' ] && exit 1; done; exec tmux \"$@\"",
        flag.display()
    );
    let mut room = room_with(script(&folder, &text)).await.unwrap();
    room.run(
        "a",
        "stty raw -echo; printf 'ready\\r\\n'; head -c 17 > got; exit 8",
    )
    .await;
    room.printed("a", "ready").await;
    std::fs::write(&flag, "").unwrap();
    let [client] = room.control_clients().try_into().unwrap();
    kill(client);
    wait_until("there is none", || room.control_clients().is_empty()).await;
    let words = "\"it's\" $(x);\n-e ;";
    // A request that was on its way to the client gets no answer.
    provost_testkit::wait_for("the window is reached", async || {
        room.windows.terminal().screen(&id("a")).await.ok()
    })
    .await;
    room.paste("a", words).await;
    wait_until("it has arrived", || room.text("got") == words).await;
    room.run("b", "echo hidden; touch begun; read x").await;
    wait_until("another one was opened", || room.file("begun").exists()).await;
    std::fs::remove_file(&flag).unwrap();
    // With a client again, what happened meanwhile is noticed.
    assert_eq!(room.end().await, ("a".to_owned(), Some(Exit::Code(8))));
    room.windows.terminal().close(&id("b")).await.unwrap();
    assert_eq!(room.end().await.0, "b");
}

#[tokio::test]
async fn a_wrapper_that_is_killed_leaves_no_report() {
    let mut room = room().await;
    room.run("a", "echo $PPID > wrapper; echo ready; read x")
        .await;
    room.printed("a", "ready").await;
    kill(room.text("wrapper").trim().parse().unwrap());
    assert_eq!(room.end().await, ("a".to_owned(), None));
}

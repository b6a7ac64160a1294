//! Agents live on in tmux when this process does not.

use provost_fleet::{Cursor, Exit, Gap, Key, Piece, Terminal};
use provost_testkit::wait_until;

use crate::harness::{all_text, id, room};

#[tokio::test]
async fn live_windows_are_adopted_with_their_output() {
    let room = room().await;
    room.run("a", "echo first; read x; echo second; read x; exit 6")
        .await;
    room.run("b", "read x").await;
    room.printed("a", "first").await;
    let mut room = room.again().await;
    let windows = room.windows.terminal().windows();
    let names: Vec<_> = windows
        .iter()
        .map(|window| window.instance.as_str())
        .collect();
    assert_eq!(names, ["a", "b"]);
    room.press("a", Key::Enter).await;
    room.printed("a", "second").await;
    let page = room
        .windows
        .output(&id("a"))
        .unwrap()
        .page(Cursor(0), u32::MAX)
        .unwrap();
    assert_eq!(page.pieces[1], Piece::Gap(Gap { bytes: None }));
    assert_eq!(all_text(&page.pieces), "first\n\nsecond\n");
    room.press("a", Key::Enter).await;
    assert_eq!(room.end().await, ("a".to_owned(), Some(Exit::Code(6))));
    room.windows.terminal().close(&id("b")).await.unwrap();
    assert_eq!(room.end().await, ("b".to_owned(), Some(Exit::Signal(15))));
}

#[tokio::test]
async fn an_end_that_nobody_saw_is_known() {
    let room = room().await;
    room.run(
        "a",
        "echo ready; while [ ! -e go ]; do sleep 0.01; done; exit 9",
    )
    .await;
    room.printed("a", "ready").await;
    let (go, exit) = (room.file("go"), room.file("fleet/instances/a/exit"));
    let alone = tokio::spawn(async move {
        // While nobody has a client.
        std::fs::write(go, "").unwrap();
        wait_until("a report is there", || exit.exists()).await;
    });
    let room = room.again().await;
    alone.await.unwrap();
    let gone = || room.windows.terminal().windows().is_empty();
    wait_until("its window is gone", gone).await;
    assert_eq!(room.windows.exit(&id("a")), Some(Exit::Code(9)));
    let last = room
        .windows
        .output(&id("a"))
        .unwrap()
        .last_lines(1)
        .unwrap();
    assert!(all_text(&last.pieces).contains("ready"));
}

#[tokio::test]
async fn without_windows_there_is_no_server() {
    let room = room().await;
    assert!(!room.file("fleet/tmux").exists());
    assert!(room.windows.terminal().windows().is_empty());
    assert!(room.windows.terminal().screen(&id("a")).await.is_err());
    assert!(room.control_clients().is_empty());
}

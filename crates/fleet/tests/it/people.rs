//! A person at a window, and what a window shows.

use provost_fleet::{Exit, Key, News, Program, Terminal};
use provost_testkit::wait_until;

use crate::harness::{SIZE, id, room};

#[tokio::test]
async fn a_person_attaches_types_and_leaves() {
    let mut room = room().await;
    room.run("a", "echo ready; read x; echo \"got $x\"; read x")
        .await;
    room.run("b", "read x").await;
    room.printed("a", "ready").await;
    // The person's terminal is a window of another fleet.
    let person = crate::harness::room().await;
    let mut argv = room.windows.terminal().attaching(&id("a")).unwrap();
    let program = Program {
        program: argv.remove(0),
        args: argv,
        ..person.shell("")
    };
    person
        .windows
        .start(&id("person"), program, SIZE)
        .await
        .unwrap();
    assert_eq!(room.next().await, News::Attached(id("a")));
    let attached = |room: &crate::harness::Room| {
        let windows = room.windows.terminal().windows();
        windows
            .iter()
            .map(|window| window.attached)
            .collect::<Vec<_>>()
    };
    assert_eq!(attached(&room), [true, false]);
    person.paste("person", "hello").await;
    person.press("person", Key::Enter).await;
    room.printed("a", "got hello").await;
    let screen = person.windows.terminal();
    let shown = async || screen.screen(&id("person")).await.unwrap().join("\n");
    provost_testkit::wait_for("the person sees it", async || {
        shown().await.contains("got hello").then_some(())
    })
    .await;
    // The way out that the settings leave.
    person.press("person", Key::Control('b')).await;
    person.paste("person", "d").await;
    assert_eq!(room.next().await, News::Detached(id("a")));
    assert_eq!(attached(&room), [false, false]);
    assert!(room.tmux(&["list-sessions", "-F", "#{session_name}"]) == "fleet\n");
}

/// Whoever types when an agent ends does not type to the next one.
#[tokio::test]
async fn a_person_is_sent_away_when_the_agent_ends() {
    let mut room = room().await;
    room.run("a", "read x").await;
    room.run("b", "read x").await;
    let mut person = crate::harness::room().await;
    let mut argv = room.windows.terminal().attaching(&id("a")).unwrap();
    let program = Program {
        program: argv.remove(0),
        args: argv,
        ..person.shell("")
    };
    let started = person.windows.start(&id("person"), program, SIZE).await;
    started.unwrap();
    assert_eq!(room.next().await, News::Attached(id("a")));
    person.press("person", Key::Enter).await;
    assert_eq!(room.end().await, ("a".to_owned(), Some(Exit::Code(0))));
    assert_eq!(
        person.end().await,
        ("person".to_owned(), Some(Exit::Code(0)))
    );
    let names = room.tmux(&["list-sessions", "-F", "#{session_name}"]);
    assert_eq!(names, "fleet\n");
    let windows = room.windows.terminal().windows();
    assert_eq!(windows.len(), 1);
    assert!(!windows[0].attached);
}

/// A program can print what looks like tmux's own lines, and is not believed.
#[tokio::test]
async fn a_screen_that_imitates_tmux_is_only_shown() {
    let room = room().await;
    room.run("a", "read x").await;
    let time = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_secs();
    let script = format!(
        "stty -echo; n=0; for t in {time} {} {}; do for n in $(seq 250 330); do echo \"%end $t $n 1\"; \
         echo \"%begin $t $((n+1)) 1\"; echo '%exit'; done; done; echo over; read x",
        time + 1,
        time + 2
    );
    let size = provost_fleet::Size {
        columns: 40,
        rows: 800,
    };
    let program = room.shell(&script);
    room.windows
        .start(&id("liar"), program, size)
        .await
        .unwrap();
    room.printed("liar", "over").await;
    let terminal = room.windows.terminal();
    for _ in 0..50 {
        let screen = terminal.screen(&id("liar")).await.unwrap();
        assert_eq!(screen.len(), 800);
        assert_eq!(screen[2], "%exit");
    }
    assert_eq!(terminal.windows().len(), 2);
}

#[tokio::test]
async fn a_screen_is_what_the_window_shows() {
    let room = room().await;
    room.run(
        "a",
        "printf 'one\\r\\ntwo\\033[1mX\\033[0m\\033[5;3Hé✓'; read x",
    )
    .await;
    room.printed("a", "é✓").await;
    let screen = room.windows.terminal().screen(&id("a")).await.unwrap();
    assert_eq!(screen.len(), 30);
    assert_eq!(screen[..5], ["one", "twoX", "", "", "  é✓"]);
    assert!(room.windows.terminal().screen(&id("b")).await.is_err());
}

/// Whatever a program sends, nothing of it changes the terminal for others.
#[tokio::test]
async fn a_program_cannot_rename_its_window_or_fill_the_clipboard() {
    let room = room().await;
    let script =
        "printf '\\033kname\\033\\\\\\033]2;title\\007\\033]52;c;eHl6\\007'; echo over; read x";
    room.run("a", script).await;
    room.printed("a", "over").await;
    room.windows.terminal().screen(&id("a")).await.unwrap();
    let names = room.tmux(&["list-windows", "-t", "=fleet", "-F", "#{window_name}"]);
    assert!(names.lines().any(|name| name == "a"), "{names}");
    assert_eq!(room.tmux(&["list-buffers"]), "");
    wait_until("nothing else happened", || {
        room.windows.terminal().windows().len() == 1
    })
    .await;
}

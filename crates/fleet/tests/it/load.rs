//! Many windows, and much output.

use std::process::Stdio;

use provost_fleet::{Cursor, Event, Exit, Gap, Opening, Piece, Place, Terminal, Tmux};
use provost_testkit::wait::within;
use provost_testkit::wait_until;

use crate::harness::{SIZE, Server, all_text, id, room};

/// More than fits between a program and us, and then a little for six seconds.
const SIX_SECONDS: &str = "yes | head -c 4000000; n=0; while [ $n -lt 60 ]; do n=$((n+1)); echo x; sleep 0.1; done; \
    touch \"$0\"";

#[tokio::test]
async fn a_flood_is_bounded_and_disturbs_nobody() {
    let mut room = room().await;
    room.run("quiet", "echo ready; read x; exit 3").await;
    room.printed("quiet", "ready").await;
    let script = "yes 0123456789abcdefghijklmnopqrstuvwxyz | head -c 20000000; echo; echo over";
    room.run("loud", script).await;
    room.press("quiet", provost_fleet::Key::Enter).await;
    assert_eq!(room.end().await, ("quiet".to_owned(), Some(Exit::Code(3))));
    assert_eq!(room.end().await, ("loud".to_owned(), Some(Exit::Code(0))));
    let output = room.windows.output(&id("loud")).unwrap();
    let last = output.last_lines(1).unwrap();
    assert_eq!(last.pieces, [Piece::Text("over\n".to_owned())]);
    // A LF is printed as CR and LF.
    assert!(last.end >= Cursor(20_000_000), "{:?}", last.end);
    let page = output.page(Cursor(0), u32::MAX).unwrap();
    let [Piece::Gap(Gap { bytes: Some(lost) }), Piece::Text(_)] = page.pieces[..] else {
        panic!("not only the oldest was lost");
    };
    assert!(
        last.end.0 - lost <= 9 * 1024 * 1024,
        "{lost} of {:?}",
        last.end
    );
    let folder = std::fs::read_dir(room.file("fleet/instances/loud/output")).unwrap();
    let kept: u64 = folder
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    assert!(kept <= 9 * 1024 * 1024, "{kept}");
}

/// Programs wait for us while nobody else looks. For a person they go on, and what we have
/// not read after seconds is left out.
#[tokio::test]
async fn what_we_are_too_slow_for_is_told_to_be_missed() {
    let server = Server(tempfile::tempdir().unwrap());
    let folder = server.0.path();
    let place = Place::create(folder.join("fleet")).unwrap();
    let path = vec![("PATH".into(), std::env::var_os("PATH").unwrap())];
    let (tmux, mut events) = Tmux::start(&place, "tmux".into(), path).await.unwrap();
    let (script, over) = (SIX_SECONDS.into(), folder.join("over"));
    let argv = ["sh".into(), "-c".into(), script, over.clone().into()];
    let opening = Opening {
        instance: &id("a"),
        argv: &argv,
        size: SIZE,
    };
    tmux.open(opening).await.unwrap();
    let mut person = std::process::Command::new("tmux")
        .arg("-S")
        .arg(place.socket())
        .args(["-C", "attach-session", "-f", "no-output", "-t", "=fleet"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("it has printed for long enough", || over.exists()).await;
    let missed = async {
        loop {
            match events.recv().await.unwrap() {
                Event::Output { .. } => {}
                Event::Missed(instance) => return instance,
                other => panic!("{other:?}"),
            }
        }
    };
    assert_eq!(within("word of what was missed", missed).await, id("a"));
    let closed = async { while events.recv().await != Some(Event::Closed(id("a"))) {} };
    within("its end", closed).await;
    drop(person.stdin.take());
    person.wait().unwrap();
}

#[tokio::test]
async fn a_hundred_windows_are_held_apart() {
    let mut room = room().await;
    let names: Vec<String> = (0..100).map(|number| format!("spec_{number:03}")).collect();
    for name in &names {
        room.run(name, &format!("echo I am {name}; read x; exit 1"))
            .await;
    }
    let windows = room.windows.terminal().windows();
    let there: Vec<_> = windows
        .iter()
        .map(|window| window.instance.as_str())
        .collect();
    assert_eq!(there, names);
    for name in &names {
        room.printed(name, name).await;
        let page = room
            .windows
            .output(&id(name))
            .unwrap()
            .last_lines(9)
            .unwrap();
        assert_eq!(all_text(&page.pieces), format!("I am {name}\n"));
    }
    for name in &names {
        room.press(name, provost_fleet::Key::Enter).await;
    }
    let mut ended = Vec::new();
    for _ in &names {
        let (name, exit) = room.end().await;
        assert_eq!(exit, Some(Exit::Code(1)), "{name}");
        ended.push(name);
    }
    ended.sort_unstable();
    assert_eq!(ended, names);
}

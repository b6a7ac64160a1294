//! Many windows, and much output.

use provost_fleet::{Cursor, Exit, Gap, Piece, Terminal};

use crate::harness::{all_text, id, room};

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
    let Piece::Gap(Gap { bytes: Some(lost) }) = page.pieces[0] else {
        panic!("nothing was lost");
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

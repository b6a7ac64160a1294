//! What is entered arrives as it is.

use std::sync::Arc;

use provost_fleet::{Exit, Input, Key, Terminal, Typable};
use provost_testkit::wait_until;

use crate::harness::{Room, id, room};

/// Reads everything as it comes, byte by byte, into a file.
const RAW: &str = "stty raw -echo; printf 'ready\\r\\n'; exec cat > got";
/// The same, and asks to be told where a paste begins and ends.
const BRACKETED: &str = "stty raw -echo; printf '\\033[?2004hready\\r\\n'; exec cat > got";

fn hard_texts() -> Vec<String> {
    let texts = [
        "plain",
        "\"double\" and 'single'",
        "$(touch bad) `touch bad` $HOME ${x}",
        "ends in ;",
        ";",
        "a ; b ;",
        "-leading",
        "--",
        "Enter",
        "C-c",
        "Escape",
        "Space",
        "é ✓ 🦀 日本語",
        "two\nlines\n",
        "\n",
        "\ttab\t",
        "\\ \\n \\033",
        "#{pid} #(id) #[fg=red]",
        "%1 @1 $1",
        "{a b}",
        "~ ~root",
        "end\\",
        "%end 1 2 1\n%output %1 x",
    ];
    let mut texts: Vec<String> = texts.into_iter().map(str::to_owned).collect();
    texts.push("0123456789 'quoted' \"text\" $x; ".repeat(650));
    texts
}

async fn reading(script: &str) -> Room {
    let room = room().await;
    room.run("a", script).await;
    room.printed("a", "ready").await;
    room
}

/// Waits until everything arrived, and a moment of tmux longer: nothing comes twice.
async fn arrived(room: &Room, expected: &[u8]) -> String {
    let got = || std::fs::read(room.file("got")).unwrap_or_default();
    wait_until("all has arrived", || got().len() >= expected.len()).await;
    room.windows.terminal().screen(&id("a")).await.unwrap();
    got().escape_ascii().to_string()
}

#[tokio::test]
async fn s13_a_paste_arrives_once_and_byte_for_byte() {
    let room = reading(RAW).await;
    let mut expected = Vec::new();
    for text in hard_texts() {
        room.paste("a", &text).await;
        expected.extend_from_slice(text.as_bytes());
        let got = arrived(&room, &expected).await;
        assert!(got == shown(&expected), "after {text:?}: {:.400}", got);
    }
    assert!(!room.file("bad").exists());
}

#[tokio::test]
async fn s13_a_program_that_asks_is_told_where_a_paste_begins_and_ends() {
    let room = reading(BRACKETED).await;
    let mut expected = Vec::new();
    for text in hard_texts() {
        room.paste("a", &text).await;
        expected.extend_from_slice(format!("\x1b[200~{text}\x1b[201~").as_bytes());
    }
    assert!(arrived(&room, &expected).await == shown(&expected));
}

#[tokio::test]
async fn s13_typed_text_is_no_names_of_keys() {
    let room = reading(RAW).await;
    let mut expected = Vec::new();
    for text in hard_texts().iter().filter(|text| !text.contains('\n')) {
        room.enter("a", Input::Text(Typable::new(text).unwrap()))
            .await;
        expected.extend_from_slice(text.as_bytes());
        let got = arrived(&room, &expected).await;
        assert_eq!(got, shown(&expected), "after {text:?}");
    }
}

#[tokio::test]
async fn s13_a_paste_of_200_kb_is_whole() {
    let room = reading(RAW).await;
    let text = "0123456789 é 'quoted' \"text\" $x;\n".repeat(6000);
    assert!(text.len() > 200_000);
    room.paste("a", &text).await;
    let got = arrived(&room, text.as_bytes()).await;
    assert!(got == shown(text.as_bytes()), "{} bytes", got.len());
}

#[tokio::test]
async fn s14_ten_at_once_arrive_as_ten() {
    let room = reading(BRACKETED).await;
    let texts: Vec<String> = (0..10)
        .map(|n| format!("message {n}: \"it's\" $(x);\n").repeat(50))
        .collect();
    let mut pastes = tokio::task::JoinSet::new();
    for text in texts.clone() {
        let windows = Arc::clone(&room.windows);
        pastes.spawn(async move {
            let text = Input::Paste(Typable::new(&text).unwrap());
            windows.terminal().enter(&id("a"), text).await.unwrap();
        });
    }
    pastes.join_all().await;
    let expected: usize = texts.iter().map(|text| text.len() + 12).sum();
    let got = arrived(&room, &vec![0; expected]).await;
    let mut arrived: Vec<_> = got.split_terminator("\\x1b[201~").collect();
    arrived.sort_unstable();
    let sent = texts
        .iter()
        .map(|text| format!("\\x1b[200~{}", shown(text.as_bytes())));
    assert_eq!(arrived, sent.collect::<Vec<_>>());
}

/// Bytes as text that can be read.
fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

#[test]
fn a_text_that_would_press_keys_is_refused() {
    for (text, at) in [
        ("\x1b[201~\r", 0),
        ("a\x03", 1),
        ("é\u{9b}", 2),
        ("x\0", 1),
        ("\x7f", 0),
    ] {
        assert_eq!(Typable::new(text).unwrap_err().at, at, "{text:?}");
    }
    assert!(Typable::new("a\tb\r\nc\n✓").is_ok());
    let words = Typable::new("a\x1b").unwrap_err().to_string();
    assert_eq!(words, "the text has a control character (U+001B) at byte 1");
}

#[tokio::test]
async fn keys_are_pressed() {
    let room = reading(RAW).await;
    for key in [
        Key::Enter,
        Key::Escape,
        Key::Tab,
        Key::Backspace,
        Key::Up,
        Key::Down,
        Key::Right,
        Key::Left,
        Key::Control('u'),
    ] {
        room.press("a", key).await;
    }
    let expected = b"\r\x1b\t\x7f\x1b[A\x1b[B\x1b[C\x1b[D\x15";
    assert_eq!(arrived(&room, expected).await, shown(expected));
    let none = Input::Key(Key::Control('é'));
    assert!(room.windows.terminal().enter(&id("a"), none).await.is_err());
}

/// Whoever scrolled back in a window is not in the way of what is sent to it.
#[tokio::test]
async fn keys_reach_the_program_though_somebody_scrolled_back() {
    let mut room = room().await;
    room.run("a", "echo ready; read x; exit 4").await;
    room.printed("a", "ready").await;
    let window = room.tmux(&[
        "list-windows",
        "-t",
        "=fleet",
        "-F",
        "#{window_id} #{@provost-instance}",
    ]);
    let window = window
        .lines()
        .find_map(|line| line.strip_suffix(" a"))
        .unwrap();
    room.tmux(&["copy-mode", "-t", window]);
    room.press("a", Key::Enter).await;
    assert_eq!(room.end().await.1, Some(Exit::Code(4)));
}

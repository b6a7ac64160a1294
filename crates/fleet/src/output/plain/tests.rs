use super::*;

#[test]
fn escape_sequences_are_left_out() {
    for (bytes, text) in [
        (&b"plain"[..], "plain"),
        (b"a\x1b[31mred\x1b[0m b", "ared b"),
        (b"\x1b]0;title\x07shown", "shown"),
        (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"\x1bPq...\x1b\\after", "after"),
        (b"\x1b_private\x1b\\after", "after"),
        (b"\x1b[?2004h$ ", "$ "),
        (b"a\tb\x07\x00c\x7f", "a\tbc"),
        ("é ✓ 🦀".as_bytes(), "é ✓ 🦀"),
        (b"\xff\xc3(", "\u{fffd}("),
        (b"one\r\ntwo\r\n", "one\ntwo\n"),
        (b"10%\r20%\r\x1b[K30%\r\n", "30%\n"),
        (b"first\nsecond\rthird", "first\nthird"),
    ] {
        let whole = plain(bytes);
        assert_eq!(whole.text, text, "{}", bytes.escape_ascii());
        assert_eq!(whole.read, bytes.len(), "{}", bytes.escape_ascii());
    }
}

#[test]
fn what_is_not_whole_is_left_for_later() {
    for (bytes, text, read) in [
        (&b"a\x1b[3"[..], "a", 1),
        (b"a\x1b", "a", 1),
        (b"a\x1b]0;ti", "a", 1),
        (b"a\xe2\x9c", "a", 1),
        (b"a\r", "a", 1),
        (b"a\r\n", "a\n", 3),
    ] {
        let read_so_far = Plain {
            text: text.to_owned(),
            read,
        };
        assert_eq!(plain(bytes), read_so_far, "{}", bytes.escape_ascii());
    }
}

#[test]
fn reading_on_from_where_it_stopped_gives_the_same_text() {
    let bytes = "a\x1b[31mré\x1b]0;t\x07d\r\nnext ✓\x1b[0m\n".as_bytes();
    let whole = plain(bytes).text;
    for cut in 0..bytes.len() {
        let first = plain(&bytes[..cut]);
        let rest = plain(&bytes[first.read..]);
        assert_eq!(first.text + &rest.text, whole, "cut at {cut}");
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_give_text_without_controls(bytes: Vec<u8>) {
        let read = plain(&bytes);
        assert!(read.read <= bytes.len());
        assert!(!read.text.chars().any(|c| c.is_ascii_control() && c != '\n' && c != '\t'));
    }
}

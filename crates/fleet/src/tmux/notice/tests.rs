use super::*;

#[test]
fn lines_are_read() {
    let output = |escaped| Notice::Output {
        pane: PaneId(7),
        escaped,
    };
    for (line, notice) in [
        (&b"%output %7 a b\\012"[..], output(b"a b\\012")),
        (b"%output %7 ", output(b"")),
        (b"%extended-output %7 12 : a : b", output(b"a : b")),
        (b"%extended-output %7 12 later words : x", output(b"x")),
        (b"%extended-output %7 12", Notice::Other),
        (b"%output 7 x", Notice::Other),
        (b"%pause %7", Notice::Paused(PaneId(7))),
        (b"%window-close @1", Notice::WindowsChanged),
        (b"%unlinked-window-close @1", Notice::WindowsChanged),
        (b"%client-detached /dev/pts/1", Notice::ClientsChanged),
        (b"%sessions-changed", Notice::Other),
        (b"", Notice::Other),
    ] {
        assert_eq!(Notice::read(line), notice, "{}", line.escape_ascii());
    }
}

#[test]
fn printed_bytes_come_back_as_they_were() {
    for (escaped, bytes) in [
        (&b"plain \xc3\xa9"[..], &b"plain \xc3\xa9"[..]),
        (b"\\015\\012", b"\r\n"),
        (b"a\\134b\\033[0m", b"a\\b\x1b[0m"),
        (b"\\377\\000", b"\xff\x00"),
        (b"\\777", b"\\777"),
        (b"\\01", b"\\01"),
        (b"\\", b"\\"),
    ] {
        let mut out = Vec::new();
        unescape(escaped, &mut out);
        assert_eq!(out, bytes, "{}", escaped.escape_ascii());
    }
}

//! What programs in windows find around them, and how they end.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use provost_fleet::{Exit, News, Opening, Program, Size, Terminal};
use provost_testkit::wait_until;

use crate::harness::{SIZE, id, lives, room};

/// Leaves a process behind that has no parent, no session and no stream of ours.
const DETACH: &str = "(setsid -f sh -c 'echo $$ > left.new; mv left.new left; exec sleep 600' </dev/null >/dev/null 2>&1 &)";

#[tokio::test]
async fn a_program_finds_exactly_what_it_was_started_with() {
    let mut room = room().await;
    let odd = "-odd 'name' \"$(touch bad)\";\n#{pid} é";
    let folder = room.file(odd);
    std::fs::create_dir(&folder).unwrap();
    let script = folder.join("-s;\n$x");
    let text = "#!/bin/sh\nfor a; do printf '%s\\0' \"$a\"; done > args\nenv -0 > env\npwd > pwd\ntty > tty\n\
                stty size > size\ncut -d' ' -f5,8 /proc/self/stat > groups\n";
    std::fs::write(&script, text).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&script, mode).unwrap();
    let args: Vec<OsString> = [
        "-x",
        "",
        "a b",
        "$(touch bad)",
        "`touch bad`",
        ";",
        "a;",
        "\\",
        "\"",
        "'",
        "two\nlines",
        "é✓",
        "#{pid}",
        "%1",
        "~",
    ]
    .into_iter()
    .map(OsString::from)
    .chain([
        OsString::from_vec(vec![0xff, 0x1b]),
        "x".repeat(100_000).into(),
    ])
    .collect();
    let path = std::env::var_os("PATH").unwrap();
    let program = Program {
        program: script.into_os_string(),
        args: args.clone(),
        environment: vec![("PATH".into(), path), ("SECRET".into(), "a=b\n'c'".into())],
        directory: folder.clone(),
    };
    room.windows.start(&id("odd"), program, SIZE).await.unwrap();
    assert_eq!(room.end().await, ("odd".to_owned(), Some(Exit::Code(0))));
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let mut given = Vec::new();
    for arg in args {
        given.extend_from_slice(arg.as_encoded_bytes());
        given.push(0);
    }
    assert_eq!(read("args"), given);
    let env = String::from_utf8(read("env")).unwrap();
    let mut names: Vec<_> = env
        .split('\0')
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    names.sort_unstable();
    // `PWD` and the like are the shell's own.
    names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
    assert_eq!(names, ["PATH", "SECRET"]);
    assert!(env.contains("SECRET=a=b\n'c'\0"));
    assert_eq!(read("pwd"), format!("{}\n", folder.display()).into_bytes());
    assert!(read("tty").starts_with(b"/dev/"));
    assert_eq!(read("size"), b"30 100\n");
    let groups = String::from_utf8(read("groups")).unwrap();
    let groups: Vec<_> = groups.split_whitespace().collect();
    assert_eq!(
        groups[0], groups[1],
        "it is in the foreground of its terminal"
    );
    assert!(!room.file("bad").exists() && !folder.join("bad").exists());
}

#[tokio::test]
async fn nothing_secret_stands_on_a_command_line() {
    let mut room = room().await;
    let mut program = room.shell("tr '\\0' '\\n' < /proc/$PPID/cmdline > line; echo ready; read x");
    program.environment.push(("SECRET".into(), "hidden".into()));
    room.windows.start(&id("a"), program, SIZE).await.unwrap();
    room.printed("a", "ready").await;
    assert!(
        room.text("line").contains("/launch"),
        "{}",
        room.text("line")
    );
    assert!(!room.text("line").contains("hidden"));
    room.windows.terminal().close(&id("a")).await.unwrap();
    assert_eq!(room.end().await.0, "a");
}

/// What a terminal is given runs as it is; no shell has a look at it.
#[tokio::test]
async fn no_shell_reads_the_command_of_a_window() {
    let room = room().await;
    let file = room.file("a b;$(touch bad)");
    let argv: Vec<OsString> = vec!["touch".into(), "--".into(), file.clone().into()];
    let opening = Opening {
        instance: &id("a"),
        argv: &argv,
        size: SIZE,
    };
    room.windows.terminal().open(opening).await.unwrap();
    wait_until("the program has run", || file.exists()).await;
    let one = [OsString::from("touch bad")];
    let opening = Opening {
        argv: &one,
        ..opening
    };
    assert!(room.windows.terminal().open(opening).await.is_err());
    assert!(!room.file("bad").exists());
}

#[tokio::test]
async fn how_a_program_ended_is_known() {
    let mut room = room().await;
    for (script, exit) in [
        ("exit 0", Exit::Code(0)),
        ("exit 7", Exit::Code(7)),
        ("exit 255", Exit::Code(255)),
        ("kill -9 $$", Exit::Signal(9)),
        ("kill -TERM $$", Exit::Signal(15)),
    ] {
        room.run("a", script).await;
        assert_eq!(
            room.end().await,
            ("a".to_owned(), Some(exit.clone())),
            "{script}"
        );
        assert_eq!(room.windows.exit(&id("a")), Some(exit));
    }
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let mut room = room().await;
    let mut absent = room.shell("");
    absent.program = "no-such-program".into();
    room.windows.start(&id("a"), absent, SIZE).await.unwrap();
    let (_, Some(Exit::NotStarted(why))) = room.end().await else {
        panic!("it was started");
    };
    assert!(
        why.starts_with("`no-such-program` cannot be started: No such file"),
        "{why}"
    );
    let mut nowhere = room.shell("");
    nowhere.directory = "/no/such/directory".into();
    room.windows.start(&id("a"), nowhere, SIZE).await.unwrap();
    let why = "`/no/such/directory` is no directory".to_owned();
    assert_eq!(room.end().await.1, Some(Exit::NotStarted(why)));
}

/// The last words of a program that ends at once say why.
#[tokio::test]
async fn the_last_words_are_kept() {
    let mut room = room().await;
    for round in 0..20 {
        let name = format!("a{round}");
        room.run(&name, "echo first; echo 'last words'; exit 1")
            .await;
        assert_eq!(room.end().await, (name.clone(), Some(Exit::Code(1))));
        let page = room
            .windows
            .output(&id(&name))
            .unwrap()
            .last_lines(5)
            .unwrap();
        assert_eq!(
            crate::harness::all_text(&page.pieces),
            "first\nlast words\n",
            "{round}"
        );
    }
}

#[tokio::test]
async fn d93_a_detached_process_goes_when_the_program_ends() {
    let mut room = room().await;
    room.run("a", &format!("{DETACH}; read line; exit 3")).await;
    wait_until("a process is left behind", || !room.text("left").is_empty()).await;
    let left = room.text("left").trim().parse().unwrap();
    assert!(lives(left));
    room.press("a", provost_fleet::Key::Enter).await;
    assert_eq!(room.end().await, ("a".to_owned(), Some(Exit::Code(3))));
    assert!(!lives(left), "nothing is left when the window is gone");
}

#[tokio::test]
async fn d93_closing_takes_everything_down_whatever_it_ignores() {
    let mut room = room().await;
    let script =
        format!("trap '' TERM HUP INT; {DETACH}; echo $$ > own; while :; do sleep 600; done");
    room.run("a", &script).await;
    let there = || !room.text("left").is_empty() && !room.text("own").is_empty();
    wait_until("both have said who they are", there).await;
    let number = |name: &str| room.text(name).trim().parse::<i32>().unwrap();
    let (own, left) = (number("own"), number("left"));
    room.windows.terminal().close(&id("a")).await.unwrap();
    assert!(!lives(own) && !lives(left));
    assert_eq!(room.end().await, ("a".to_owned(), Some(Exit::Signal(9))));
    assert!(
        room.windows.terminal().close(&id("a")).await.is_err(),
        "it has no window"
    );
}

/// Interrupting is the program's own affair, and does not end its wrapper.
#[tokio::test]
async fn an_interrupt_reaches_the_program_once() {
    let mut room = room().await;
    let script = "n=0; trap 'n=$((n+1)); echo \"int $n\"' INT; echo ready; while :; do read x && exit \"$n\"; done";
    room.run("a", script).await;
    room.printed("a", "ready").await;
    room.press("a", provost_fleet::Key::Control('c')).await;
    room.printed("a", "int 1").await;
    room.press("a", provost_fleet::Key::Enter).await;
    assert_eq!(room.end().await.1, Some(Exit::Code(1)));
}

#[tokio::test]
async fn a_window_can_have_another_size() {
    let room = room().await;
    room.run(
        "a",
        "trap 'stty size' WINCH; stty size; while :; do sleep 0.01; done",
    )
    .await;
    room.printed("a", "30 100\n").await;
    let size = Size {
        columns: 61,
        rows: 17,
    };
    room.windows
        .terminal()
        .resize(&id("a"), size)
        .await
        .unwrap();
    room.printed("a", "17 61\n").await;
}

#[tokio::test]
async fn an_instance_is_started_again_under_its_name() {
    let mut room = room().await;
    room.run("a", "echo one").await;
    assert_eq!(room.next().await, News::Ended(id("a"), Some(Exit::Code(0))));
    room.run("a", "echo two").await;
    assert_eq!(room.next().await, News::Ended(id("a"), Some(Exit::Code(0))));
    let page = room
        .windows
        .output(&id("a"))
        .unwrap()
        .last_lines(5)
        .unwrap();
    assert_eq!(crate::harness::all_text(&page.pieces), "one\ntwo\n");
}

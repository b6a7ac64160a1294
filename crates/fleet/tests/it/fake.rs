//! What `Windows` makes of what a terminal tells.

use std::ffi::OsString;
use std::path::Path;

use provost_fleet::{
    Cursor, Event, Exit, Gap, InstanceId, Launch, News, Piece, Place, Program, Size, StartError,
    TerminalError, Windows,
};
use provost_testkit::terminal::FakeTerminal;
use provost_testkit::wait::within;
use tempfile::TempDir;
use tokio::sync::mpsc;

const SIZE: Size = Size {
    columns: 80,
    rows: 24,
};

struct Room {
    folder: TempDir,
    terminal: FakeTerminal,
    windows: Windows<FakeTerminal>,
    news: mpsc::Receiver<News>,
}

fn room(running: &[&InstanceId]) -> Room {
    let folder = tempfile::tempdir().unwrap();
    let running: Vec<_> = running.iter().map(|&instance| instance.clone()).collect();
    let (terminal, events) = FakeTerminal::with(&running);
    let place = Place::create(folder.path().join("fleet")).unwrap();
    let wrapper = vec!["wrapper".into(), "agent".into()];
    let (windows, news) = Windows::take_over(terminal.clone(), events, place, wrapper);
    Room {
        folder,
        terminal,
        windows,
        news,
    }
}

impl Room {
    async fn next(&mut self) -> News {
        within("news", self.news.recv()).await.unwrap()
    }
}

fn instance() -> InstanceId {
    "spec_1_1_1".parse().unwrap()
}

fn program() -> Program {
    Program {
        program: "agent".into(),
        args: vec!["--flag".into(), "$(id)\n".into()],
        environment: vec![("KEY".into(), "a=b\nc".into()), ("=odd".into(), "".into())],
        directory: "/srv".into(),
    }
}

fn output(bytes: &str) -> Event {
    Event::Output {
        instance: instance(),
        bytes: bytes.into(),
    }
}

#[test]
fn a_name_is_a_word_that_is_safe_everywhere() {
    for name in ["exec_1", "mgr-2", "A", &"x".repeat(64)] {
        assert!(name.parse::<InstanceId>().is_ok(), "{name}");
    }
    for name in ["", "-x", "a b", "a/b", "..", "é", "a\n", &"x".repeat(65)] {
        assert!(name.parse::<InstanceId>().is_err(), "{name}");
    }
}

#[tokio::test]
async fn what_is_to_be_started_travels_in_a_file() {
    use std::os::unix::fs::PermissionsExt;
    let room = room(&[]);
    room.windows
        .start(&instance(), program(), SIZE)
        .await
        .unwrap();
    let [argv] = room.terminal.opened().try_into().unwrap();
    let [wrapper, word, file]: [OsString; 3] = argv.try_into().unwrap();
    assert_eq!((wrapper, word), ("wrapper".into(), "agent".into()));
    let file = Path::new(&file);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let folder = room.folder.path().join("fleet");
    assert_eq!(
        folder.metadata().unwrap().permissions().mode() & 0o777,
        0o700
    );
    let launch = Launch::take(file).unwrap();
    assert_eq!(launch.program, program());
    assert!(!file.exists(), "there are secrets in it");
    assert!(Launch::take(file).is_err());
}

#[tokio::test]
async fn a_file_that_is_not_whole_is_no_launch() {
    let room = room(&[]);
    room.windows
        .start(&instance(), program(), SIZE)
        .await
        .unwrap();
    let [argv] = room.terminal.opened().try_into().unwrap();
    let whole = std::fs::read(&argv[2]).unwrap();
    let file = room.folder.path().join("cut");
    for length in 0..whole.len() {
        std::fs::write(&file, &whole[..length]).unwrap();
        assert!(Launch::take(&file).is_err(), "{length} of {}", whole.len());
    }
}

#[tokio::test]
async fn what_cannot_be_passed_on_is_refused() {
    let room = room(&[]);
    let mut bad = program();
    bad.args.push("a\0b".into());
    let refused = room.windows.start(&instance(), bad, SIZE).await;
    assert!(matches!(refused, Err(StartError::Launch(_))), "{refused:?}");
    room.windows
        .start(&instance(), program(), SIZE)
        .await
        .unwrap();
}

#[tokio::test]
async fn output_is_kept_and_the_end_is_told_with_its_report() {
    let mut room = room(&[]);
    room.windows
        .start(&instance(), program(), SIZE)
        .await
        .unwrap();
    let running = room.windows.start(&instance(), program(), SIZE).await;
    assert!(
        matches!(running, Err(StartError::Running(_))),
        "{running:?}"
    );
    let report = Launch::take(Path::new(&room.terminal.opened()[0][2]))
        .unwrap()
        .report;
    room.terminal.happen(output("one\r\ntw")).await;
    room.terminal.happen(output("o\r\n")).await;
    Exit::Code(3).write(&report).unwrap();
    room.terminal.happen(Event::Closed(instance())).await;
    assert_eq!(
        room.next().await,
        News::Ended(instance(), Some(Exit::Code(3)))
    );
    assert_eq!(room.windows.exit(&instance()), Some(Exit::Code(3)));
    let page = room
        .windows
        .output(&instance())
        .unwrap()
        .last_lines(9)
        .unwrap();
    assert_eq!(page.pieces, [Piece::Text("one\ntwo\n".to_owned())]);
    assert!(page.ended);
    // It starts again: the end before is forgotten, the output goes on.
    room.windows
        .start(&instance(), program(), SIZE)
        .await
        .unwrap();
    assert_eq!(room.windows.exit(&instance()), None);
    room.terminal.happen(output("three\r\n")).await;
    room.terminal.happen(Event::Closed(instance())).await;
    assert_eq!(room.next().await, News::Ended(instance(), None));
    let page = room
        .windows
        .output(&instance())
        .unwrap()
        .last_lines(2)
        .unwrap();
    assert_eq!(page.pieces, [Piece::Text("two\nthree\n".to_owned())]);
}

#[tokio::test]
async fn reports_come_back_as_they_were_left() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("instances/spec_1_1_1/exit");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let place = Place::create(folder.path().to_owned()).unwrap();
    let (terminal, events) = FakeTerminal::with(&[]);
    let (windows, _news) = Windows::take_over(terminal, events, place, Vec::new());
    let missing = Exit::not_started(&std::io::Error::other("two\nlines"));
    for exit in [Exit::Code(0), Exit::Code(255), Exit::Signal(9), missing] {
        exit.write(&file).unwrap();
        assert_eq!(windows.exit(&instance()), Some(exit));
    }
    for garbage in ["", "code 1", "code x\n", "code 256\n", "other\n"] {
        std::fs::write(&file, garbage).unwrap();
        assert_eq!(windows.exit(&instance()), None, "{garbage:?}");
    }
}

#[tokio::test]
async fn an_instance_whose_window_was_refused_can_be_started_again() {
    let room = room(&[]);
    let refusal = TerminalError::Refused("no room".to_owned());
    room.terminal.refuse_next(refusal);
    let refused = room.windows.start(&instance(), program(), SIZE).await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "the terminal refused: no room"
    );
    let instances = room.folder.path().join("fleet/instances");
    assert!(!instances.join("spec_1_1_1/launch").exists());
    assert!(room.windows.output(&"other".parse().unwrap()).is_err());
    assert!(!instances.join("other").exists());
    room.windows
        .start(&instance(), program(), SIZE)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_instance_whose_window_is_in_doubt_is_not_started_twice() {
    let mut room = room(&[]);
    room.terminal.refuse_next(TerminalError::NoAnswer);
    let start = async || room.windows.start(&instance(), program(), SIZE).await;
    let doubtful = start().await;
    assert!(
        matches!(doubtful, Err(StartError::Terminal(_))),
        "{doubtful:?}"
    );
    assert!(matches!(start().await, Err(StartError::Running(_))));
    room.terminal.happen(Event::Closed(instance())).await;
    assert_eq!(room.next().await, News::Ended(instance(), None));
    room.windows
        .start(&instance(), program(), SIZE)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_window_that_was_there_is_adopted_with_a_gap() {
    let mut room = room(&[&instance()]);
    room.terminal.happen(output("go on\n")).await;
    room.terminal.happen(Event::Missed(instance())).await;
    room.terminal.happen(Event::Attached(instance())).await;
    room.terminal.happen(Event::Detached(instance())).await;
    room.terminal.happen(Event::ServerGone).await;
    assert_eq!(room.next().await, News::Attached(instance()));
    assert_eq!(room.next().await, News::Detached(instance()));
    assert_eq!(room.next().await, News::TerminalGone);
    let page = room
        .windows
        .output(&instance())
        .unwrap()
        .page(Cursor(0), 0)
        .unwrap();
    let gap = Piece::Gap(Gap { bytes: None });
    assert_eq!(
        page.pieces,
        [gap.clone(), Piece::Text("go on\n".to_owned()), gap]
    );
    assert!(!page.ended);
}

use super::*;

fn expecting(blocks: usize, fence: Option<&str>) -> Answers<u8> {
    let mut answers = Answers::new();
    answers.expect(Asked {
        by: 7,
        blocks,
        until: Instant::now(),
        fence: fence.map(|fence| Fence(fence.into())),
    });
    answers
}

/// What comes of some lines: `.` for a line inside, `n` for a notice, and the answers.
fn fed(answers: &mut Answers<u8>, lines: &str) -> String {
    let said = |line: &str| match answers.line(line.as_bytes()) {
        Line::Notice => "n".to_owned(),
        Line::Inside => ".".to_owned(),
        Line::Started(Ok(())) => "s".to_owned(),
        Line::Started(Err(words)) => format!(" !{words} "),
        Line::Answered(by, Ok(lines)) => {
            let lines = String::from_utf8(lines.join(&b'|')).unwrap();
            format!(" {by}:{lines} ")
        }
        Line::Answered(by, Err(words)) => format!(" {by}!{words} "),
    };
    lines.lines().map(said).collect()
}

#[test]
fn an_answer_ends_with_the_mark_it_began_with() {
    let mut answers = expecting(1, None);
    let lines =
        "%begin 10 5 1\na\n%end 10 4 1\n%error 10 6 1\n%begin 1 2 1\n%end 10 5 1\n%pause %1";
    let expected = "..... 7:a|%end 10 4 1|%error 10 6 1|%begin 1 2 1 n";
    assert_eq!(fed(&mut answers, lines), expected);
    assert!(answers.is_empty());
}

#[test]
fn what_others_asked_is_not_our_answer() {
    let mut answers = expecting(1, None);
    let lines = "%begin 10 5 0\nx\n%end 10 5 0\n%begin 10 6 1\na\n%end 10 6 1";
    assert_eq!(fed(&mut answers, lines), "..s.. 7:a ");
    let failed = "%begin 10 5 0\nno space\n%error 10 5 0";
    assert_eq!(fed(&mut answers, failed), ".. !no space ");
}

#[test]
fn several_commands_are_one_answer_and_the_first_failure_ends_it() {
    let mut answers = expecting(2, None);
    let lines = "%begin 10 5 1\na\n%end 10 5 1\n%output %1 x\n%begin 10 6 1\nb\n%end 10 6 1";
    assert_eq!(fed(&mut answers, lines), "...n.. 7:a|b ");
    let mut answers = expecting(3, None);
    let lines = "%begin 10 5 1\na\n%end 10 5 1\n%begin 10 6 1\nno such pane\n%error 10 6 1";
    assert_eq!(fed(&mut answers, lines), "..... 7!no such pane ");
    assert!(answers.said.is_empty());
}

/// The screen of an instance is not believed whatever it looks like.
#[test]
fn quoted_lines_end_at_the_fence_only() {
    let mut answers = expecting(3, Some("fence"));
    let lines = "%begin 10 5 1\n%end 10 5 1\n%begin 10 6 1\n%end 10 6 1\n%window-close @1\n%begin 10 7 1\n\
                 guess\n%end 10 6 1\n%begin 10 7 1\nfence\n%end 10 7 1\n%pause %1";
    let expected = ".......... 7:%end 10 6 1|%window-close @1|%begin 10 7 1|guess n";
    assert_eq!(fed(&mut answers, lines), expected);
}

#[test]
fn what_cannot_be_quoted_fails_before_the_fence() {
    let mut answers = expecting(3, Some("fence"));
    let lines = "%begin 10 5 1\nno such pane\n%error 10 5 1\n%pause %1";
    assert_eq!(fed(&mut answers, lines), ".. 7!no such pane n");
}

use super::*;
use crate::host::budget::{Bounds, Budget};
use provost_policy::Text;

fn account() -> Arc<Account> {
    Budget::new(Bounds::small(1 << 20)).grant(&Text::from("g".to_owned()))
}

fn read_all(chunks: &[&[u8]]) -> Vec<Event> {
    let mut reader = Reader::new(1 << 20, &account());
    chunks
        .iter()
        .flat_map(|chunk| reader.feed(chunk).unwrap())
        .collect()
}

fn message(text: &str) -> Event {
    Event::of(Bytes::from(text.to_owned()))
}

#[test]
fn events_are_the_same_however_the_bytes_are_cut() {
    let text = b"\xef\xbb\xbfid: 7\r\nretry: 250\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\n: note\n\ndata:x\n\nid: 8\n\ndata: y\r\r";
    let expected = vec![
        Event {
            id: Some("7".into()),
            retry: Some(250),
            message: Some("{\"a\":\n1}".into()),
        },
        message("x"),
        Event {
            id: Some("8".into()),
            retry: None,
            message: None,
        },
        // A CR at the very end may be half of a line end, and is one.
        message("y"),
    ];
    for cut in 0..text.len() {
        let (a, b) = text.split_at(cut);
        assert_eq!(read_all(&[a, b]), expected, "cut at {cut}");
    }
    let one_by_one: Vec<&[u8]> = text.chunks(1).collect();
    assert_eq!(read_all(&one_by_one), expected);
}

#[test]
fn a_line_without_end_is_refused_at_the_limit() {
    let mut reader = Reader::new(16, &account());
    assert_eq!(reader.feed(b"data: 0123456789"), Ok(vec![]));
    assert_eq!(reader.feed(b"x"), Err(TooLong));
}

#[test]
fn many_short_lines_are_refused_at_the_limit() {
    let mut reader = Reader::new(16, &account());
    assert!((0..20).any(|_| reader.feed(b"data: abc\n") == Err(TooLong)));
}

#[test]
fn a_message_with_line_ends_is_written_on_one_line() {
    let event = Event {
        id: Some("9".into()),
        retry: Some(5),
        message: Some("{\n\"a\":1\r}".into()),
    };
    assert_eq!(
        event.encode(&account()).concat(),
        b"id: 9\nretry: 5\ndata: { \"a\":1 }\n\n"
    );
}

#[test]
fn an_id_with_control_characters_is_dropped() {
    assert_eq!(read_all(&[b"id: a\x01b\ndata: x\n\n"]), vec![message("x")]);
}

/// What is buffered counts, what is handed out counts until it is gone, and a
/// large event leaves no large buffer behind.
#[tokio::test]
async fn d20_what_is_buffered_is_counted() {
    let account = account();
    let mut reader = Reader::new(1 << 20, &account);
    let text = "x".repeat(40_000);
    let part = format!("data: {text}");
    reader.make_room(part.as_bytes()).await.unwrap();
    assert_eq!(reader.feed(part.as_bytes()), Ok(Vec::new()));
    assert!(account.held() >= part.len());
    let again = reader.make_room(&[0; 60_000]).await;
    assert!(again.is_err(), "an eighth of a mebibyte");
    let events = reader.feed(b"\n\n").unwrap();
    assert_eq!(events, [message(&text)]);
    let encoded = events[0].clone().encode(&account);
    assert_eq!(encoded.concat(), format!("data: {text}\n\n").into_bytes());
    assert_eq!(
        encoded[1].as_ptr(),
        events[0].message.as_ref().unwrap().as_ptr()
    );
    drop(encoded);
    drop(events);
    drop(reader);
    assert_eq!(account.held(), 0);
}

/// A large event is buffered with little room to spare, so that it fits wherever
/// its length does.
#[tokio::test]
async fn a_large_event_is_not_counted_twice() {
    let budget = Budget::new(Bounds::small(8 << 20));
    let account = budget.grant(&Text::from("g".to_owned()));
    let mut reader = Reader::new(1 << 20, &account);
    let mut most = 0;
    let text = "x".repeat(700_000);
    for chunk in format!("data: {text}").as_bytes().chunks(16 * 1024) {
        reader.make_room(chunk).await.unwrap();
        assert_eq!(reader.feed(chunk), Ok(Vec::new()));
        most = most.max(account.held());
    }
    assert!(most <= 900_000, "{most}");
    assert_eq!(
        reader.feed(b"\n\ndata: 1\n\n").unwrap(),
        [message(&text), message("1")]
    );
    // Its buffer went with it.
    assert!(account.held() < 1_000, "{}", account.held());
    assert!(reader.rest.capacity() < 1_000);
}

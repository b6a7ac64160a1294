use super::*;

/// What a message is read as, in a few words.
fn read_as(text: &str) -> String {
    let parsed = match parse(text.as_bytes()) {
        Ok(parsed) => parsed,
        Err(Malformed::Json(error)) if is_syntax(&error) => return "no json".into(),
        Err(_) => return "refused json".into(),
    };
    match read(&parsed) {
        Ok(Message::Request { id, method, params }) => {
            format!(
                "request {} {method} {}",
                id.raw(),
                params.map_or("-", Value::raw)
            )
        }
        Ok(Message::Notification { method, .. }) => format!("notification {method}"),
        Ok(Message::Response {
            id,
            answer: Answer::Result(_),
        }) => format!("result {}", id.raw()),
        Ok(Message::Response {
            id,
            answer: Answer::Error(_),
        }) => format!("error {}", id.raw()),
        Err(problem) => format!("refused: {problem}"),
    }
}

#[test]
fn messages_are_read_as_what_they_are() {
    let rows = [
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
            "request 1 ping -",
        ),
        (
            r#"{"jsonrpc":"2.0","id":"a\"b","method":"x","params":{}}"#,
            r#"request "a\"b" x {}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":-7,"\u006dethod":"pi\u006eg"}"#,
            "request -7 ping -",
        ),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/x"}"#,
            "notification notifications/x",
        ),
        (r#"{"jsonrpc":"2.0","id":1,"result":null}"#, "result 1"),
        (r#"{"jsonrpc":"2.0","id":1,"error":{}}"#, "error 1"),
    ];
    for (text, expected) in rows {
        assert_eq!(read_as(text), expected, "{text}");
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let refused = [
        r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
        r#"[]"#,
        r#""ping""#,
        r#"{"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":-0,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1e3,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1000000000000000000000000000000,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":[]}"#,
        r#"{"jsonrpc":"2.0","id":1,"Method":"x"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","extra":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","paramſ":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","result":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{}}"#,
        r#"{"jsonrpc":"2.0","result":1}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"name":"a","Name":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"NAME":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"ｎame":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"argumentſ":{}}}"#,
    ];
    for text in refused {
        assert!(
            read_as(text).starts_with("refused: "),
            "{text} was read as {}",
            read_as(text)
        );
    }
    let long = format!(
        r#"{{"jsonrpc":"2.0","id":"{}","method":"x"}}"#,
        "i".repeat(300)
    );
    assert_eq!(read_as(&long), "refused: `id` is too long");
}

#[test]
fn duplicate_members_are_refused_before_anything_else() {
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"a","\u006dethod":"b"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"arguments":{"p":1,"p":2}}}"#,
    ] {
        assert_eq!(read_as(text), "refused json");
    }
    assert_eq!(
        read_as(r#"{"jsonrpc":"2.0","id":1,"method":"a"} {}"#),
        "no json"
    );
}

#[test]
fn ids_written_differently_are_equal_when_they_are() {
    let key = |text: &str| {
        let parsed = parse(text.as_bytes()).unwrap();
        id_key(parsed.root())
    };
    assert_eq!(key(r#""a""#), key(r#""\u0061""#));
    assert_ne!(key(r#""1""#), key("1"));
}

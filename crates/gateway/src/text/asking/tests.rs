mod spec;

use provost_policy::json::{self, Bounds, Document};

use super::*;

/// What a part of a message asks, or why it does not pass.
fn asks(era: Era, part: &dyn for<'d> Fn(&'d Document<'_>) -> Part<'d, 'd>, text: &str) -> String {
    let document = json::read(text.as_bytes(), Bounds::default()).unwrap();
    match read(era, part(&document)) {
        Err(problem) => format!("refused: {problem}"),
        Ok(asking) => {
            let methods = asking
                .questions
                .iter()
                .map(|question| question.method.as_ref());
            methods.collect::<Vec<_>>().join(" ")
        }
    }
}

fn result(of: &'static str) -> impl for<'d> Fn(&'d Document<'_>) -> Part<'d, 'd> {
    move |document| Part::Result {
        of,
        result: document.root(),
    }
}

fn error<'d>(document: &'d Document<'_>) -> Part<'d, 'd> {
    Part::Error(document.root())
}

fn notification(method: &'static str) -> impl for<'d> Fn(&'d Document<'_>) -> Part<'d, 'd> {
    move |document| Part::Notification {
        method,
        params: Some(document.root()),
    }
}

const ROOTS: &str = r#""inputRequests":{"r":{"method":"roots/list"}}"#;

#[test]
fn questions_are_found_where_they_may_stand() {
    let elicit = r#"{"e":{"method":"elicitation/create","params":{"mode":"form","message":"?"}}}"#;
    for method in ["tools/call", "prompts/get", "resources/read"] {
        let text = format!(r#"{{"resultType":"input_required","inputRequests":{elicit}}}"#);
        assert_eq!(
            asks(Era::Modern, &result(method), &text),
            "elicitation/create"
        );
    }
    let waiting = format!(r#"{{"taskId":"t","status":"input_required",{ROOTS}}}"#);
    assert_eq!(
        asks(Era::Modern, &result("tasks/get"), &waiting),
        "roots/list"
    );
    let told = notification("notifications/tasks");
    assert_eq!(asks(Era::Modern, &told, &waiting), "roots/list");
    let created = waiting.replacen('{', r#"{"resultType":"task","#, 1);
    assert_eq!(
        asks(Era::Modern, &result("tools/call"), &created),
        "roots/list"
    );
}

#[test]
fn pages_to_visit_are_questions_in_any_error() {
    let page = r#"{"mode":"url","elicitationId":"1","url":"https://x.example","message":"?"}"#;
    for era in [Era::Legacy, Era::Modern] {
        for code in ["-32042", "-32042.0", "-3.2042e4"] {
            let text = format!(
                r#"{{"code":{code},"message":"","data":{{"elicitations":[{page},{page}]}}}}"#
            );
            let found = asks(era, &error, &text);
            assert_eq!(found, "elicitation/create elicitation/create", "{code}");
        }
        let other = format!(r#"{{"code":-32000,"data":{{"elicitations":[{page}]}}}}"#);
        assert!(asks(era, &error, &other).starts_with("refused"));
        let form = other
            .replace("-32000", "-32042")
            .replace("\"url\",\"elic", "\"form\",\"elic");
        assert!(asks(era, &error, &form).starts_with("refused"));
        let plain = r#"{"code":-32042,"message":"","data":{"vendor":1}}"#;
        assert_eq!(asks(era, &error, plain), "");
    }
}

#[test]
fn the_end_of_a_task_is_read_as_what_it_is() {
    let get = result("tasks/get");
    let page = r#"{"mode":"url","url":"https://x.example"}"#;
    let failed = format!(
        r#"{{"taskId":"t","status":"failed","error":{{"code":-32042,"data":{{"elicitations":[{page}]}}}}}}"#
    );
    assert_eq!(asks(Era::Modern, &get, &failed), "elicitation/create");
    let told = notification("notifications/tasks");
    assert_eq!(asks(Era::Modern, &told, &failed), "elicitation/create");
    let done = r#"{"taskId":"t","status":"completed","result":{"content":[]}}"#;
    assert_eq!(asks(Era::Modern, &get, done), "");
    for inside in [
        format!(r#"{{"content":[],{ROOTS}}}"#),
        format!(r#"{{"resultType":"input_required",{ROOTS}}}"#),
        r#"{"ResultType":"input_required"}"#.to_owned(),
    ] {
        let done = done.replace(r#"{"content":[]}"#, &inside);
        assert!(
            asks(Era::Modern, &get, &done).starts_with("refused"),
            "{done}"
        );
    }
}

#[test]
fn nothing_asks_anywhere_else() {
    let all = |era, part: &dyn for<'d> Fn(&'d Document<'_>) -> Part<'d, 'd>, text: &str| {
        let found = asks(era, part, text);
        assert!(found.starts_with("refused"), "{text}: {found}");
    };
    for name in [
        "inputRequests",
        "InputRequests",
        "input\u{200b}Requests",
        "ınputRequests",
    ] {
        let dotless = name.starts_with('ı');
        let text = format!(r#"{{"resultType":"complete","{name}":{{}}}}"#);
        for method in ["", "tools/call", "tasks/get", "tasks/cancel"] {
            // Case folding leaves the dotless letter alone: it is another name.
            let of = result(if method == "tasks/cancel" { "" } else { method });
            match dotless {
                true => assert_eq!(asks(Era::Modern, &of, &text), ""),
                false => all(Era::Modern, &of, &text),
            }
        }
        if !dotless {
            all(Era::Legacy, &result(""), &text);
            all(
                Era::Legacy,
                &error,
                &format!(r#"{{"code":1,"data":{{"{name}":{{}}}}}}"#),
            );
            all(Era::Legacy, &notification("notifications/message"), &text);
            all(Era::Legacy, &result(""), &format!(r#"{{"task":{text}}}"#));
            all(
                Era::Legacy,
                &result(""),
                &format!(r#"{{"tasks":[1,{text}]}}"#),
            );
        }
    }
    all(
        Era::Modern,
        &result("tasks/get"),
        &format!(r#"{{"status":"working",{ROOTS}}}"#),
    );
    all(
        Era::Modern,
        &result(""),
        &format!(r#"{{"resultType":"input_required",{ROOTS}}}"#),
    );
    all(
        Era::Modern,
        &result("tools/call"),
        r#"{"resultType":"vendor"}"#,
    );
    all(
        Era::Modern,
        &result("tasks/get"),
        r#"{"resultType":"task","taskId":"t"}"#,
    );
    all(Era::Legacy, &result(""), r#"{"elicitations":[]}"#);
    // Deeper down it is data.
    let data = format!(r#"{{"content":[],"structuredContent":{{{ROOTS}}},"_meta":{{{ROOTS}}}}}"#);
    assert_eq!(asks(Era::Modern, &result("tools/call"), &data), "");
}

#[test]
fn a_question_names_its_method_in_one_way() {
    for question in [
        "1",
        "{}",
        r#"{"method":1}"#,
        r#"{"method":"roots/list","Method":"sampling/createMessage"}"#,
        r#"{"method":"roots/list","params":[]}"#,
        r#"{"method":"elicitation/create","params":{"mode":"form","MODE":"url"}}"#,
    ] {
        let text =
            format!(r#"{{"resultType":"input_required","inputRequests":{{"q":{question}}}}}"#);
        let found = asks(Era::Modern, &result("tools/call"), &text);
        assert!(found.starts_with("refused"), "{text}: {found}");
    }
}

#[test]
fn a_message_asks_so_many_questions_and_no_more() {
    let of = |count: usize| {
        let one = |n: usize| format!(r#""{n}":{{"method":"roots/list"}}"#);
        let all: Vec<String> = (0..count).map(one).collect();
        format!(
            r#"{{"resultType":"input_required","inputRequests":{{{}}}}}"#,
            all.join(",")
        )
    };
    let call = result("tools/call");
    let most = asks(Era::Modern, &call, &of(MOST_QUESTIONS));
    assert_eq!(most.split(' ').count(), MOST_QUESTIONS);
    let more = asks(Era::Modern, &call, &of(MOST_QUESTIONS + 1));
    assert_eq!(
        more,
        "refused: it asks 33 questions at once, and at most 32 are passed on"
    );
}

#[test]
fn a_modern_server_asks_for_three_things_and_no_others() {
    for known in ["sampling/createMessage", "elicitation/create", "roots/list"] {
        for era in [Era::Legacy, Era::Modern] {
            assert!(
                asked_with(era, known).unwrap().capability.is_some(),
                "{known}"
            );
        }
    }
    for legacy in [
        "ping",
        "tasks/get",
        "tasks/result",
        "tasks/list",
        "tasks/cancel",
    ] {
        assert!(asked_with(Era::Modern, legacy).is_none(), "{legacy}");
        assert!(asked_with(Era::Legacy, legacy).is_some(), "{legacy}");
    }
    assert!(asked_with(Era::Legacy, "tools/call").is_none());
}

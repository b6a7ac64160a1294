use super::*;
use serde_json::{Value, json};

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}"#;
const OPENED: &str = r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true},"prompts":{}},"serverInfo":{}}}"#;
const READY: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
const SUBSCRIBE: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"file:///a"}}"#;

fn said(conversation: &mut Conversation, lines: &[&str]) {
    for line in lines {
        assert!(conversation.said(line.as_bytes()), "{line}");
    }
}

fn open() -> Conversation {
    let mut conversation = Conversation::default();
    said(&mut conversation, &[INITIALIZE]);
    assert_eq!(conversation.heard(OPENED.as_bytes()), Heard::Pass);
    said(&mut conversation, &[READY]);
    conversation
}

fn texts(lines: Vec<Vec<u8>>) -> Vec<String> {
    let text = |line| String::from_utf8(line).unwrap();
    lines.into_iter().map(text).collect()
}

fn json(line: &[u8]) -> Value {
    serde_json::from_slice(line).unwrap()
}

#[test]
fn d40_a_session_is_opened_again_with_the_agents_own_words_and_what_it_arranged() {
    let mut conversation = open();
    let level = r#"{"jsonrpc":"2.0","id":2,"method":"logging/setLevel","params":{"level":"info"}}"#;
    let gone =
        r#"{"jsonrpc":"2.0","id":3,"method":"resources/subscribe","params":{"uri":"file:///b"}}"#;
    let unsubscribe =
        r#"{"jsonrpc":"2.0","id":4,"method":"resources/unsubscribe","params":{"uri":"file:///b"}}"#;
    said(&mut conversation, &[SUBSCRIBE, level, gone, unsubscribe]);
    for id in 1..=4 {
        let answer = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#);
        assert_eq!(conversation.heard(answer.as_bytes()), Heard::Pass);
    }
    assert_eq!(conversation.lost(), Vec::<Vec<u8>>::new());
    assert_eq!(conversation.opening_again().unwrap(), INITIALIZE.as_bytes());
    assert_eq!(conversation.heard(OPENED.as_bytes()), Heard::OpenedAgain);
    assert_eq!(texts(conversation.rest_again()), [READY, level, SUBSCRIBE]);
    // What the agent has been answered it is not answered again.
    for id in [2, 1] {
        let answer = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#);
        assert_eq!(conversation.heard(answer.as_bytes()), Heard::Drop);
    }
    // Only changes of lists that the server announces.
    assert_eq!(
        texts(conversation.changes()),
        [r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#]
    );
}

#[test]
fn d40_calls_are_answered_as_unknown_and_lists_are_asked_for_again() {
    let mut conversation = open();
    let list = r#"{"jsonrpc":"2.0","id":"l","method":"tools/list"}"#;
    let call = |id: u32| {
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"x"}}}}"#)
    };
    said(&mut conversation, &[&call(7), list, &call(6)]);
    let told = conversation.lost();
    let ids: Vec<_> = told.iter().map(|line| json(line)["id"].clone()).collect();
    assert_eq!(ids, [json!(7), json!(6)], "in the order they were asked");
    assert!(conversation.waits());
    conversation.opening_again().unwrap();
    assert_eq!(texts(conversation.rest_again()), [READY, list]);
    let answer = br#"{"jsonrpc":"2.0","id":"l","result":{"tools":[]}}"#;
    assert_eq!(conversation.heard(answer), Heard::Listed);
    assert!(!conversation.waits());
}

#[test]
fn d40_questions_of_a_server_that_is_gone_are_taken_back() {
    let mut conversation = open();
    let question = br#"{"jsonrpc":"2.0","id":5,"method":"elicitation/create","params":{}}"#;
    assert_eq!(conversation.heard(question), Heard::Pass);
    let told = conversation.lost();
    assert_eq!(json(&told[0])["method"], "notifications/cancelled");
    assert_eq!(json(&told[0])["params"]["requestId"], 5);
    // The agent's answer is nobody's; the next one to that id is another server's.
    let answer = br#"{"jsonrpc":"2.0","id":5,"result":{"action":"accept"}}"#;
    assert!(!conversation.said(answer));
    assert!(conversation.said(answer));
}

#[test]
fn d40_another_revision_of_the_protocol_cannot_go_on_with_the_session() {
    let mut conversation = open();
    conversation.lost();
    conversation.opening_again().unwrap();
    let other = OPENED.replace("2025-06-18", "2024-11-05");
    let Heard::NotOpened(why) = conversation.heard(other.as_bytes()) else {
        panic!("it must not go on");
    };
    assert!(
        why.contains("2024-11-05") && why.contains("2025-06-18"),
        "{why}"
    );
    let failed = br#"{"jsonrpc":"2.0","id":0,"error":{"code":-32603,"message":"no server"}}"#;
    conversation.opening_again().unwrap();
    assert_eq!(
        conversation.heard(failed),
        Heard::NotOpened("no server".to_owned())
    );
}

#[test]
fn d40_an_agent_whose_first_words_are_lost_gets_them_said_again() {
    let mut conversation = Conversation::default();
    said(&mut conversation, &[INITIALIZE]);
    assert_eq!(conversation.lost(), Vec::<Vec<u8>>::new());
    assert_eq!(conversation.opening_again(), None);
    assert_eq!(texts(conversation.rest_again()), [INITIALIZE]);
    assert_eq!(conversation.heard(OPENED.as_bytes()), Heard::Pass);
    assert!(conversation.is_open());
}

#[test]
fn an_agent_that_never_had_a_session_is_known() {
    let mut conversation = Conversation::default();
    said(&mut conversation, &[INITIALIZE]);
    let refused = br#"{"jsonrpc":"2.0","id":0,"error":{"code":-32603,"message":"no server"}}"#;
    assert_eq!(conversation.heard(refused), Heard::Refused);
    assert_eq!(conversation.refusal(), Some("no server"));
    said(&mut conversation, &[INITIALIZE]);
    assert_eq!(conversation.heard(OPENED.as_bytes()), Heard::Pass);
    assert_eq!(conversation.refusal(), None);
}

#[test]
fn d40_a_subscription_of_the_modern_era_is_made_again() {
    let mut conversation = Conversation::default();
    let listen = r#"{"jsonrpc":"2.0","id":"s","method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true}}}"#;
    said(&mut conversation, &[listen]);
    assert_eq!(conversation.lost(), Vec::<Vec<u8>>::new());
    assert_eq!(texts(conversation.rest_again()), [listen]);
    let changed = json(&conversation.changes()[0]);
    assert_eq!(changed["method"], "notifications/tools/list_changed");
    let subscription = &changed["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
    assert_eq!(subscription, "s");
}

#[test]
fn cancelling_what_is_over_goes_nowhere() {
    let mut conversation = open();
    let cancel =
        br#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":9}}"#;
    assert!(!conversation.said(cancel));
    said(
        &mut conversation,
        &[r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{}}"#],
    );
    assert!(conversation.said(cancel));
}

#[test]
fn a_line_that_could_not_be_read_is_answered_with_why() {
    let mut conversation = open();
    let call = |id: u32| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call"}}"#);
    said(&mut conversation, &[&call(1), &call(2)]);
    let complaint = br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"too long"}}"#;
    assert_eq!(conversation.heard(complaint), Heard::Pass);
    let told = conversation.lost();
    let message = |line: &[u8]| json(line)["error"]["message"].as_str().unwrap().to_owned();
    assert!(message(&told[0]).starts_with("outcome unknown"));
    assert_eq!(message(&told[1]), "too long");
}

#[test]
fn d40_a_call_that_a_leaving_daemon_did_not_begin_goes_to_the_next_one() {
    let mut conversation = open();
    let call = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"x"}}"#;
    said(&mut conversation, &[call]);
    let stopping = br#"{"jsonrpc":"2.0","id":7,"error":{"code":-32603,"message":"the gateway is stopping","data":{"dev.provost/decision":{"notSent":true}}}}"#;
    assert_eq!(conversation.heard(stopping), Heard::Drop);
    assert_eq!(conversation.lost(), Vec::<Vec<u8>>::new());
    conversation.opening_again().unwrap();
    assert_eq!(texts(conversation.rest_again()), [READY, call]);
    // Once: the next daemon may have sent it.
    let told = conversation.lost();
    let message = json(&told[0])["error"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(message.starts_with("outcome unknown"), "{message}");
    conversation.opening_again().unwrap();
    assert_eq!(texts(conversation.rest_again()), [READY]);
}

#[test]
fn d48_the_last_page_of_a_list_of_tools_is_noticed() {
    let mut conversation = open();
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    for (method, result, heard) in [
        (
            "tools/list",
            r#"{"tools":[],"nextCursor":"x"}"#,
            Heard::Pass,
        ),
        ("tools/list", r#"{"tools":[]}"#, Heard::Listed),
        ("tools/list", r#"{"nextCursor":null}"#, Heard::Listed),
        ("tools/list", "1", Heard::Pass),
        ("prompts/list", r#"{"prompts":[]}"#, Heard::Pass),
    ] {
        said(&mut conversation, &[&list.replace("tools/list", method)]);
        let answer = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
        assert_eq!(conversation.heard(answer.as_bytes()), heard, "{result}");
    }
    said(&mut conversation, &[list]);
    let error = br#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no"}}"#;
    assert_eq!(conversation.heard(error), Heard::Pass);
}

#[test]
fn d40_what_a_server_answers_is_an_answer_whatever_it_looks_like() {
    let mut conversation = open();
    let call = r#"{"jsonrpc":"2.0","id":"axx","method":"tools/call","params":{"name":"x"}}"#;
    for error in [r#"{"code":1,"message":null,"data":1e999}"#, "null", "7"] {
        said(&mut conversation, &[call]);
        let answer = format!(r#"{{"jsonrpc":"2.0","id":"\u0061xx","error":{error}}}"#);
        assert_eq!(
            conversation.heard(answer.as_bytes()),
            Heard::Pass,
            "{error}"
        );
        assert!(!conversation.waits(), "{error}");
    }
}

#[test]
fn d40_a_complaint_that_was_not_the_last_word_explains_nothing() {
    let mut conversation = open();
    let complaint = br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"what?"}}"#;
    assert_eq!(conversation.heard(complaint), Heard::Pass);
    let told = br#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#;
    assert_eq!(conversation.heard(told), Heard::Pass);
    let call = r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"x"}}"#;
    said(&mut conversation, &[call]);
    let message = json(&conversation.lost()[0])["error"]["message"].clone();
    assert!(message.as_str().unwrap().starts_with("outcome unknown"));
}

#[test]
fn d40_a_complaint_about_another_line_explains_no_call() {
    let mut conversation = open();
    let call = r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"x"}}"#;
    said(&mut conversation, &[call, "{ no JSON"]);
    let complaint = br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"what?"}}"#;
    assert_eq!(conversation.heard(complaint), Heard::Pass);
    let message = json(&conversation.lost()[0])["error"]["message"].clone();
    assert!(message.as_str().unwrap().starts_with("outcome unknown"));
}

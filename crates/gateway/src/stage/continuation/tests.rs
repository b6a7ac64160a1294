use super::*;
use provost_policy::json::{self, Bounds};

const BOUNDS: Bounds = Bounds {
    depth: 16,
    nodes: 1000,
};
const STATE: &str = r#""the server's own""#;

fn print(method: &str, params: &str) -> Fingerprint {
    let document = json::read(params.as_bytes(), BOUNDS).unwrap();
    fingerprint(method, Some(document.root()))
}

fn grant() -> Text {
    Text::from("g1")
}

#[test]
fn a_state_comes_back_with_its_call() {
    let seals = Seals::new().unwrap();
    let call = CallId::new(7);
    for state in [Some(STATE), None] {
        let sealed = seals.seal(call, state, &grant(), &[1; 32], 5).unwrap();
        assert!(!sealed.contains("server"));
        let opened = seals.open(&sealed, &grant(), &[1; 32], 5).unwrap();
        assert_eq!((opened.call, opened.state.as_deref()), (call, state));
    }
}

#[test]
fn another_grant_another_request_a_change_and_a_late_one_do_not_open_it() {
    let seals = Seals::new().unwrap();
    let sealed = seals
        .seal(CallId::new(7), Some(STATE), &grant(), &[1; 32], 5)
        .unwrap();
    let changed = format!("{}A", &sealed[..sealed.len() - 1]);
    assert_eq!(seals.open(&sealed, &Text::from("g2"), &[1; 32], 5), None);
    assert_eq!(seals.open(&sealed, &grant(), &[2; 32], 5), None);
    assert_eq!(seals.open(&sealed, &grant(), &[1; 32], 5 + LIFETIME), None);
    assert_eq!(seals.open(STATE, &grant(), &[1; 32], 5), None);
    assert_ne!(changed, sealed);
    assert_eq!(seals.open(&changed, &grant(), &[1; 32], 5), None);
    assert_eq!(
        Seals::new().unwrap().open(&sealed, &grant(), &[1; 32], 5),
        None
    );
}

#[test]
fn a_seal_is_used_once() {
    let seals = Seals::new().unwrap();
    let sealed = seals
        .seal(CallId::new(7), None, &grant(), &[1; 32], 5)
        .unwrap();
    let first = seals.open(&sealed, &grant(), &[1; 32], 5).unwrap();
    let second = seals.open(&sealed, &grant(), &[1; 32], 5).unwrap();
    assert!(seals.spend(&first, 5));
    assert!(!seals.spend(&second, 5));
    assert_eq!(seals.open(&sealed, &grant(), &[1; 32], 5), None);
}

#[test]
fn only_what_a_call_is_about_is_in_its_fingerprint() {
    let first = print(
        "tools/call",
        r#"{"name":"a","arguments":{"x":1},"_meta":{"progressToken":1}}"#,
    );
    let again = print(
        "tools/call",
        r#"{"_meta":{},"arguments":{"x":1},"name":"a","requestState":"s","inputResponses":{}}"#,
    );
    assert_eq!(first, again);
    assert_ne!(
        first,
        print("tools/call", r#"{"name":"a","arguments":{"x":2}}"#)
    );
    assert_ne!(
        first,
        print("prompts/get", r#"{"name":"a","arguments":{"x":1}}"#)
    );
}

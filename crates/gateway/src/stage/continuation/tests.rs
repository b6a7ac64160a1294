use super::*;

/// Seals under this key, after so many requests of call 7.
fn seals(key: u8, requests: Option<u32>) -> Seals {
    let before = requests.map(|requests| (CallId::new(7), requests));
    Seals::new(&[Box::new([key; 32])], before.into_iter().collect())
}
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
    let seals = seals(1, None);
    let call = CallId::new(7);
    let (none, two) = (&[][..], &[[1; 16], [2; 16]][..]);
    for (state, asked) in [
        (Some(STATE), none),
        (None, none),
        (Some(STATE), two),
        (None, two),
    ] {
        let sealed = seals.seal(call, None, (state, asked), &grant(), &[1; 32], 5);
        let sealed = sealed.unwrap();
        assert!(!sealed.contains("server"));
        let opened = seals.open(&sealed, &grant(), &[1; 32], 5).unwrap();
        assert_eq!((opened.call, opened.state.as_deref()), (call, state));
        assert_eq!(opened.asked, asked);
    }
}

#[test]
fn another_grant_another_request_a_change_and_a_late_one_do_not_open_it() {
    let seals = seals(1, None);
    let sealed = seals
        .seal(
            CallId::new(7),
            None,
            (Some(STATE), &[]),
            &grant(),
            &[1; 32],
            5,
        )
        .unwrap();
    let first = if sealed[PREFIX.len()..].starts_with('A') {
        'B'
    } else {
        'A'
    };
    let changed = format!("{PREFIX}{first}{}", &sealed[PREFIX.len() + 1..]);
    assert_eq!(seals.open(&sealed, &Text::from("g2"), &[1; 32], 5), None);
    assert_eq!(seals.open(&sealed, &grant(), &[2; 32], 5), None);
    assert_eq!(seals.open(&sealed, &grant(), &[1; 32], 5 + LIFETIME), None);
    assert_eq!(seals.open(STATE, &grant(), &[1; 32], 5), None);
    assert_ne!(changed, sealed);
    assert_eq!(seals.open(&changed, &grant(), &[1; 32], 5), None);
    let stranger = self::seals(2, None);
    assert_eq!(stranger.open(&sealed, &grant(), &[1; 32], 5), None);
}

#[test]
fn a_seal_is_used_once() {
    let seals = seals(1, None);
    let sealed = seals
        .seal(CallId::new(7), None, (None, &[]), &grant(), &[1; 32], 5)
        .unwrap();
    let first = seals.open(&sealed, &grant(), &[1; 32], 5).unwrap();
    let second = seals.open(&sealed, &grant(), &[1; 32], 5).unwrap();
    let spent = seals.spend(&first, &grant(), 5).unwrap();
    let again = seals.spend(&second, &grant(), 5);
    assert_eq!(again.unwrap_err(), Unusable::Used);
    assert_eq!(seals.open(&sealed, &grant(), &[1; 32], 5), None);
    seals.give_back(&spent);
    let third = seals.open(&sealed, &grant(), &[1; 32], 5).unwrap();
    assert!(seals.spend(&third, &grant(), 5).is_ok());
}

#[test]
fn d14_a_restart_knows_which_seals_were_used() {
    let seals = seals(1, None);
    let open = |seals: &Seals, sealed: &str| seals.open(sealed, &grant(), &[1; 32], 5);
    let seal = |before: Option<&Continued>| {
        let sealed = seals.seal(CallId::new(7), before, (None, &[]), &grant(), &[1; 32], 5);
        sealed.unwrap()
    };
    let first = seal(None);
    let second = seal(open(&seals, &first).as_ref());
    for (requests, first_opens, second_opens) in [
        (None, true, true),
        (Some(2), false, true),
        (Some(3), false, false),
    ] {
        let later = self::seals(1, requests);
        assert_eq!(open(&later, &first).is_some(), first_opens, "{requests:?}");
        assert_eq!(
            open(&later, &second).is_some(),
            second_opens,
            "{requests:?}"
        );
    }
}

#[test]
fn d14_used_seals_of_one_grant_are_no_other_ones() {
    let seals = seals(1, None);
    let spend = |number: u128, grant: &Text, wall: u64| {
        let call = CallId::new(number);
        let sealed = seals
            .seal(call, None, (None, &[]), grant, &[1; 32], wall)
            .unwrap();
        let opened = seals.open(&sealed, grant, &[1; 32], wall).unwrap();
        seals.spend(&opened, grant, wall).map(drop)
    };
    for number in 0..MOST_USED as u128 {
        spend(number, &grant(), 5).unwrap();
    }
    assert_eq!(spend(1, &grant(), 6), Err(Unusable::TooMany));
    assert_eq!(spend(1, &Text::from("g2"), 6), Ok(()));
    assert_eq!(spend(1, &grant(), 6 + LIFETIME), Ok(()), "they expire");
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

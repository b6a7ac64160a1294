use provost_policy::Moment;
use provost_policy::json::{self, Bounds};
use provost_store::{Entry, Intent, Locations, Store};

use super::*;

const MINUTE: u64 = 60 * 1_000_000;

/// Seals under this key, after so many requests of call 7.
fn sealed_round<'r>(
    call: CallId,
    before: Option<&'r Continued>,
    state: Option<&'r str>,
    asked: &'r [Print],
) -> Round<'r> {
    Round {
        call,
        before,
        state,
        asked,
    }
}

fn seals(key: u8, requests: Option<u32>) -> Seals {
    let went_on = |requests| WentOn { requests, last: 0 };
    let before = requests.map(|requests| (CallId::new(7), went_on(requests)));
    let seals = Seals::new(&[Box::new([key; 32])]);
    assert!(seals.before.set(before.into_iter().collect()).is_ok());
    seals
}

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
        let sealed = seals.seal(
            sealed_round(call, None, state, asked),
            &grant(),
            &[1; 32],
            5,
        );
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
            sealed_round(CallId::new(7), None, Some(STATE), &[]),
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
        .seal(
            sealed_round(CallId::new(7), None, None, &[]),
            &grant(),
            &[1; 32],
            5,
        )
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
        let sealed = seals.seal(
            sealed_round(CallId::new(7), before, None, &[]),
            &grant(),
            &[1; 32],
            5,
        );
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

/// Whether the last seal of a call opens for a process that begins now. Its
/// requests and the answer that was sealed were so many minutes ago; the answer
/// is that to request number `round`.
fn opens_after_a_restart(requests: &[u64], round: u32, answered: u64) -> bool {
    let scratch = tempfile::tempdir().unwrap();
    let store = Store::open(&Locations {
        data: scratch.path().join("data"),
        config: scratch.path().join("config"),
    });
    let store = store.unwrap();
    let (now, call) = (store.clock().now(), CallId::new(7));
    let ago = |minutes: u64| now.wall - minutes * MINUTE;
    for minutes in requests {
        let intent = Intent {
            call,
            at: Moment {
                wall: ago(*minutes),
                ..now
            },
            grant: "g1",
            grant_label: "agent",
            client: None,
            server: "fixture",
            method: "tools/call",
            tool: Some("elicit"),
            policy: None,
            version: None,
            rule: None,
            keys: &[],
            charges: &[],
            shadow: None,
        };
        store.journal().append(&Entry::Intent(intent)).unwrap();
    }
    let process = Seals::new(&store.continuation_keys());
    assert!(process.before.set(HashMap::new()).is_ok());
    let (print, at) = ([1; 32], ago(answered));
    let seal = |before: Option<&Continued>| {
        let sealed = process.seal(sealed_round(call, before, None, &[]), &grant(), &print, at);
        sealed.unwrap()
    };
    let mut sealed = seal(None);
    for _ in 1..round {
        sealed = seal(process.open(&sealed, &grant(), &print, at).as_ref());
    }
    let next = Seals::of(&store).unwrap();
    next.open(&sealed, &grant(), &print, now.wall).is_some()
}

#[test]
fn a_restart_knows_a_used_seal_however_long_its_call_took() {
    // Answered after four minutes, and gone on within the hour after that.
    assert!(opens_after_a_restart(&[62], 1, 58));
    assert!(!opens_after_a_restart(&[62, 57], 1, 58));
    // Asked again and again, an hour each time.
    assert!(opens_after_a_restart(&[170, 115, 60], 3, 59));
    assert!(!opens_after_a_restart(&[170, 115, 60, 5], 3, 59));
}

#[test]
fn d14_used_seals_of_one_grant_are_no_other_ones() {
    let seals = seals(1, None);
    let spend = |number: u128, grant: &Text, wall: u64| {
        let call = CallId::new(number);
        let sealed = seals
            .seal(sealed_round(call, None, None, &[]), grant, &[1; 32], wall)
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

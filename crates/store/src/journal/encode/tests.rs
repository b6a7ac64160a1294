use provost_policy::{PolicyRef, RefundRule, RuleId, Text};

use super::*;
use crate::Decision;
use crate::journal::decode::{self, Charged};

fn counter() -> CounterId {
    CounterId {
        scope: Text::fixed("g-\"1"),
        server: Text::fixed("s\\"),
        counter: Text::fixed("zähler"),
        window: Window::Micros(60_000_000),
        alignment: Alignment::Sliding,
    }
}

fn charge(counter: CounterId, units: u128) -> Charge {
    Charge {
        counter,
        max: Amount::whole(5),
        amount: Amount::from_units(units),
        refund: RefundRule::Failed,
        rule: RuleId::DEFAULT_DENY,
        policy: PolicyRef {
            name: Text::fixed("p"),
            version: 1,
            grant: Text::fixed("g"),
        },
    }
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

/// One window of each kind.
fn windows() -> [Window; 2] {
    // A kind more is asked for here, and belongs into the list.
    let listed = |window: Window| match window {
        Window::Micros(_) | Window::Concurrent => window,
    };
    [Window::Micros(1), Window::Concurrent].map(listed)
}

#[test]
fn counters_are_written_as_serde_writes_them() {
    for window in windows() {
        for alignment in [Alignment::Sliding, Alignment::Calendar] {
            let counter = CounterId {
                window,
                alignment,
                ..counter()
            };
            let by_hand = written(|out| write_counter(out, &counter));
            assert_eq!(by_hand, serde_json::to_string(&counter).unwrap());
            assert_eq!(
                serde_json::from_str::<CounterId>(&by_hand).unwrap(),
                counter
            );
        }
    }
}

#[test]
fn refunds_are_written_as_serde_writes_them() {
    let refund = Refund {
        counter: counter(),
        amount: Amount::from_units(1_500_000_000),
        at: Moment { steady: 7, wall: 8 },
    };
    assert_eq!(
        written(|out| write_refund(out, &refund)),
        serde_json::to_string(&refund).unwrap()
    );
}

#[test]
fn amounts_are_exact_from_the_smallest_to_the_largest() {
    for units in [
        0,
        1,
        999_999_999,
        1_000_000_000,
        1_000_000_001,
        u128::from(u64::MAX) * BILLION,
        u128::MAX,
    ] {
        let text = written(|out| write_amount(out, Amount::from_units(units)));
        assert_eq!(
            serde_json::from_str::<Amount>(&text).unwrap(),
            Amount::from_units(units),
            "{text}"
        );
    }
}

#[test]
fn numbers_have_all_their_digits() {
    for value in [0, 1, 9, 10, 99, 100, 1_234_567_890, u64::MAX - 1, u64::MAX] {
        assert_eq!(written(|out| number(out, value)), value.to_string());
    }
}

#[test]
fn plain_text_stays_readable_and_the_rest_is_escaped() {
    let shown = |value: &str| written(|out| text(out, value));
    assert_eq!(shown("create_issue"), "\"create_issue\"");
    assert_eq!(shown("zähler 😀"), "\"zähler 😀\"");
    assert_eq!(shown("a\"b\\c"), r#""a\"b\\c""#);
    assert_eq!(
        shown("a\n\u{1b}[0m\u{202e}\u{85}\u{7f}"),
        r#""a\u000a\u001b[0m\u202e\u0085\u007f""#
    );
}

#[test]
fn charges_of_one_counter_are_one_charge_the_largest() {
    let other = CounterId {
        counter: Text::fixed("other"),
        ..counter()
    };
    let charges = [
        charge(counter(), 1),
        charge(other.clone(), 5),
        charge(counter(), 3),
        charge(counter(), 2),
    ];
    let text = written(|out| write_charges(out, &charges));
    let list = text.strip_prefix(",\"charges\":").unwrap();
    let read: Vec<Charged> = serde_json::from_str(list).unwrap();
    let read: Vec<_> = read
        .into_iter()
        .map(|charged| (charged.counter, charged.amount.units()))
        .collect();
    assert_eq!(read, [(counter(), 3), (other, 5)]);
}

#[test]
fn number_and_moment_are_found_without_reading_the_rest() {
    let entry = Entry::Refused(Refused {
        call: CallId::new(0xabc),
        at: Moment {
            steady: u64::MAX,
            wall: 12,
        },
        grant: "",
        grant_label: "\"at\":[1,2]",
        client: None,
        server: "",
        method: "",
        tool: None,
        policy: None,
        version: None,
        policy_grant: None,
        rule: "(no policy)",
        keys: &[],
        decision: Decision::Ask,
        message: "",
        retry_after_ms: None,
        shadow: None,
    });
    let payload = format!("{{\"n\":{},{}", u64::MAX, written(|out| body(out, &entry)));
    assert_eq!(decode::number(payload.as_bytes()), Some(u64::MAX));
    assert_eq!(
        decode::moment(payload.as_bytes()),
        Some(Moment {
            steady: u64::MAX,
            wall: 12
        })
    );
    let line = decode::line(payload.as_bytes()).unwrap();
    assert_eq!(line.call, Some(CallId::new(0xabc)));
    assert_eq!(line.decision, Some(Decision::Ask));
}

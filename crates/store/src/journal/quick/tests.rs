use proptest::prelude::*;
use provost_policy::{Alignment, Charge, Moment, PolicyRef, RefundRule, RuleId, Text, Window};

use super::*;
use crate::journal::{Refund, Shadow, encode};
use crate::{CallId, Decision, Entry, Intent, Outcome, Refused, Status};

fn text() -> impl Strategy<Value = String> {
    let nasty = prop::sample::select(vec![
        "\n",
        "\"",
        "\\",
        "\\\"",
        "}",
        "]",
        ",\"alignment\":\"",
        "\u{1b}",
        "ü",
        "\u{202e}",
        "😀",
        "{\"n\":",
        "\":",
    ]);
    let piece =
        prop_oneof![2 => nasty.prop_map(str::to_owned), 1 => any::<String>(), 2 => "[ -~]{0,9}"];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

fn window() -> impl Strategy<Value = Window> {
    let kinds = prop::sample::select(vec![Window::Concurrent, Window::Micros(0)]);
    // A kind more is asked for here, and belongs into the list.
    (kinds, any::<u64>()).prop_map(|(kind, length)| match kind {
        Window::Concurrent => Window::Concurrent,
        Window::Micros(_) => Window::Micros(length),
    })
}

fn charge() -> impl Strategy<Value = Charge> {
    let alignment = prop_oneof![Just(Alignment::Sliding), Just(Alignment::Calendar)];
    (
        text(),
        text(),
        window(),
        alignment,
        any::<u128>(),
        any::<bool>(),
    )
        .prop_map(|(scope, counter, window, alignment, units, whole)| Charge {
            counter: CounterId {
                scope: Text::from(scope),
                server: Text::fixed("s-1"),
                counter: Text::from(counter),
                window,
                alignment,
            },
            max: Amount::ONE,
            amount: if whole {
                Amount::whole(units as u64)
            } else {
                Amount::from_units(units)
            },
            refund: RefundRule::NotSent,
            rule: RuleId::HIDDEN,
            policy: PolicyRef {
                name: Text::fixed("p"),
                version: 1,
                grant: Text::fixed("g"),
            },
        })
}

/// What the two readers make of an entry.
fn both(entry: &Entry<'_>) -> (String, String, bool) {
    let mut payload = b"{\"n\":18446744073709551615,".to_vec();
    encode::body(&mut payload, entry);
    let text = std::str::from_utf8(&payload).unwrap();
    let mut reader = QuickReader::default();
    let quick = reader.quickly(text).is_some();
    // Twice: the second time from memory.
    reader.line(&payload);
    let ours = format!("{:?}", reader.line(&payload).unwrap());
    let serde = format!("{:?}", decode::line(&payload).unwrap());
    (ours, serde, quick)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reads_what_serde_reads(
        texts in prop::array::uniform6(text()),
        keys in prop::collection::vec(text(), 0..3),
        charges in prop::collection::vec(charge(), 0..4),
        call in any::<u128>(),
        numbers in any::<(u64, u64, u32, u16)>(),
        shadowed in any::<bool>(),
    ) {
        let [grant, label, server, method, tool, rule] = &texts;
        let keys: Vec<Cow<'_, str>> = keys.iter().map(|key| key.as_str().into()).collect();
        let (steady, wall, version, http) = numbers;
        let (call, at) = (CallId::new(call), Moment { steady, wall });
        let shadow = shadowed.then_some(Shadow {
            policy: rule, version, decision: Decision::Ask, rule: None, message: Some(tool), charges: &charges,
        });
        let intent = Entry::Intent(Intent {
            call, at, grant, grant_label: label, client: Some(rule), server, method, tool: Some(tool), policy: Some(rule),
            version: Some(version), rule: None, keys: &keys, charges: &charges, shadow: shadow.clone(),
        });
        let (ours, serde, quick) = both(&intent);
        prop_assert_eq!(ours, serde);
        prop_assert_eq!(quick, !shadowed);

        let refused = Entry::Refused(Refused {
            call, at, grant, grant_label: label, client: Some(rule), server, method, tool: None, policy: None, version: None, policy_grant: None, rule,
            keys: &keys, decision: Decision::Deny, message: tool, retry_after_ms: Some(wall), shadow,
        });
        let (ours, serde, quick) = both(&refused);
        prop_assert_eq!(ours, serde);
        prop_assert_eq!(quick, !shadowed);

        let refund: Vec<_> = charges
            .iter()
            .map(|charge| Refund { counter: charge.counter.clone(), amount: charge.amount, at })
            .collect();
        let outcome = Entry::Outcome(Outcome {
            call, at, status: Status::Http(http), upstream_status: Some(http), latency_us: wall, refund: &refund,
        });
        let (ours, serde, quick) = both(&outcome);
        prop_assert_eq!(ours, serde);
        prop_assert_eq!(quick, refund.is_empty());
    }
}

#[test]
fn gives_up_at_what_it_does_not_know() {
    let mut reader = QuickReader::default();
    for text in [
        "",
        "{}",
        "{\"n\":1,\"t\":\"start\",\"at\":[1,2]}",
        "{\"n\":1,\"t\":\"outcome\",\"at\":[1,2],\"strange\":1}",
        "{\"n\":1,\"t\":\"outcome\",\"at\":[1,2]} ",
        "{\"n\":1,\"t\":\"outcome\",\"at\":[1,2],\"call\":\"x\"}",
        "{\"n\":1,\"t\":\"outcome\",\"at\":[1,2],\"http\":70000}",
        "{\"n\":1,\"t\":\"outcome\",\"at\":[1,2],\"tool\":\"a",
        "{\"n\":1,\"t\":\"outcome\",\"at\":[1,2],\"tool\":\"a\\",
    ] {
        assert!(reader.quickly(text).is_none(), "{text}");
    }
}

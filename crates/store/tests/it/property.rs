use proptest::prelude::*;
use provost_store::{CallId, Decision, Entry, Filter, Order, Record, Refused, Shadow, Store};

use crate::harness::scratch;

fn any_text() -> impl Strategy<Value = String> {
    let nasty = prop::sample::select(vec![
        "\n",
        "\r\n",
        "\t",
        "\"",
        "\\",
        "\u{0}",
        "\u{1b}[31m",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "\u{202e}",
        "\u{feff}",
        "\u{1f600}",
        "ü",
        "{\"n\":1,\"t\":\"outcome\"}",
        "\\u0000",
        "\u{9b}",
        "</script>",
    ]);
    let piece =
        prop_oneof![3 => nasty.prop_map(str::to_owned), 1 => any::<String>(), 1 => "[ -~]{0,20}"];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn append(store: &Store, call: u128, texts: &[String; 4], keys: &[String]) {
    let [tool, message, label, rule] = texts;
    let keys: Vec<_> = keys.iter().map(|key| key.as_str().into()).collect();
    let shadow = Shadow {
        policy: label,
        version: 1,
        decision: Decision::Deny,
        rule: Some(rule),
        message: Some(message),
        charges: &[],
    };
    let entry = Entry::Refused(Refused {
        call: CallId::new(call),
        at: store.clock().now(),
        grant: "g",
        grant_label: label,
        client: Some(label),
        server: tool,
        method: message,
        tool: Some(tool),
        policy: Some(rule),
        version: Some(1),
        policy_grant: None,
        rule,
        keys: &keys,
        decision: Decision::Deny,
        message,
        retry_after_ms: Some(u64::MAX >> 1),
        shadow: Some(shadow),
    });
    store.journal().append(&entry).unwrap();
}

fn last(store: &Store) -> Record {
    let filter = Filter {
        order: Order::NewestFirst,
        limit: 1,
        ..Filter::default()
    };
    store.records(&filter).unwrap().remove(0)
}

/// Negative test 105: whatever stands in names and messages comes back as it
/// was, stays on its line, and moves no cursor.
#[test]
fn l105_no_text_leaves_its_place_in_the_journal() {
    let scratch = scratch();
    let store = scratch.open();
    let before = store.audit_head().number;
    let calls = std::cell::Cell::new(0_u128);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let texts = [any_text(), any_text(), any_text(), any_text()];
    let run = runner.run(
        &(texts, prop::collection::vec(any_text(), 0..4)),
        |(texts, keys)| {
            let call = calls.get() + 1;
            calls.set(call);
            append(&store, call, &texts, &keys);
            let [tool, message, label, rule] = texts;
            let record = last(&store);
            prop_assert_eq!(record.call.number(), call);
            prop_assert_eq!(record.tool.as_ref(), Some(&tool));
            prop_assert_eq!(&record.server, &tool);
            prop_assert_eq!(record.message.as_ref(), Some(&message));
            prop_assert_eq!(&record.method, &message);
            prop_assert_eq!(&record.grant_label, &label);
            prop_assert_eq!(record.rule.as_ref(), Some(&rule));
            prop_assert_eq!(&record.keys, &keys);
            let shadow = record.shadow.unwrap();
            prop_assert_eq!((shadow.policy, shadow.message), (label, Some(message)));
            Ok(())
        },
    );
    run.unwrap();
    let text = std::fs::read_to_string(scratch.segment(1)).unwrap();
    let head = store.audit_head().number;
    assert_eq!(head - before, u64::try_from(calls.get()).unwrap());
    assert_eq!(text.lines().count() as u64, head, "one line for each entry");
    let moves = |c: char| {
        c.is_control() && c != '\n' && c != '\t' || ('\u{202a}'..='\u{202e}').contains(&c)
    };
    assert!(!text.contains(moves));
    assert_eq!(
        text.matches('\t').count() as u64,
        head,
        "one tab for each entry"
    );
    assert!(store.audit_verify(None).unwrap().intact());
}

//! Which client called stands in the records, as far as the journal says.

use provost_store::{Entry, ExportFormat, Filter, Refused, Store};

use crate::harness::{append_intent, intent, of_format_1, outcome, refused, scratch};

fn called_by(store: &Store, only: Option<&str>) -> Vec<Option<String>> {
    let filter = Filter {
        client: only.map(str::to_owned),
        ..Filter::default()
    };
    let records = store.records(&filter).unwrap();
    records
        .into_iter()
        .rev()
        .map(|record| record.client)
        .collect()
}

fn append_by(store: &Store, call: u128, client: &str) {
    let now = store.clock().now();
    let mut entry = intent(call, now, &[], &[]);
    if let Entry::Intent(entry) = &mut entry {
        entry.client = Some(client);
    }
    store.journal().append(&entry).unwrap();
    store.journal().append(&outcome(call, now)).unwrap();
}

#[test]
fn d48_the_client_of_a_call_is_in_its_record_and_can_be_asked_for() {
    let scratch = scratch();
    let store = scratch.open();
    append_by(&store, 1, "claude-code 2.1.332");
    append_intent(&store, 2);
    append_by(&store, 3, "claude");
    let Entry::Refused(entry) = refused(4, store.clock().now()) else {
        panic!("no refusal")
    };
    let entry = Entry::Refused(Refused {
        client: Some("claude-code 2.2 \u{202e}\"=x"),
        ..entry
    });
    store.journal().append(&entry).unwrap();

    let some = |client: &str| Some(client.to_owned());
    let (old, new) = (
        some("claude-code 2.1.332"),
        some("claude-code 2.2 \u{202e}\"=x"),
    );
    let all = [old.clone(), None, some("claude"), new.clone()];
    assert_eq!(called_by(&store, None), all);
    assert_eq!(called_by(&store, Some("claude-code")), [old.clone(), new]);
    assert_eq!(called_by(&store, Some("claude-code 2.1.332")), [old]);
    assert_eq!(called_by(&store, Some("claude")), [some("claude")]);
    assert_eq!(called_by(&store, Some("claude-code 2.1")), []);
    assert_eq!(called_by(&store, Some("%")), []);

    let verified = store.audit_verify(None).unwrap();
    assert!(verified.intact(), "{:?}", verified.damage);
    assert_eq!(called_by(&store, None), all);
    store.close();
    assert_eq!(called_by(&scratch.open(), None), all);
}

#[test]
fn d48_exports_say_which_client_called() {
    let scratch = scratch();
    let store = scratch.open();
    append_by(&store, 1, "=claude-code 2.1");
    append_intent(&store, 2);
    let export = |format| {
        let mut out = Vec::new();
        let only = Filter {
            server: Some("github".to_owned()),
            ..Filter::default()
        };
        store.audit_export(format, &only, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let lines = export(ExportFormat::Jsonl);
    let clients: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["client"].take())
        .collect();
    assert_eq!(
        clients,
        ["=claude-code 2.1".into(), serde_json::Value::Null]
    );
    let table = export(ExportFormat::Csv);
    let ends: Vec<_> = table
        .lines()
        .map(|line| line.rsplit_once(',').unwrap().1)
        .collect();
    assert_eq!(ends, ["client", "'=claude-code 2.1", ""]);
}

#[test]
fn d48_calls_of_journals_that_name_no_client_are_read() {
    let scratch = of_format_1();
    let store = scratch.open();
    let clients = called_by(&store, None);
    assert_eq!(clients.len(), 16);
    assert!(clients.iter().all(Option::is_none), "{clients:?}");
    assert!(store.audit_verify(None).unwrap().intact());
}

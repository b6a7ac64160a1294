//! The fleet's rows behind the store.

use provost_store::fleet::{
    Admitted, InstanceId, NewInstance, NewMessage, Priority, Role, Sender, Workspace,
};
use provost_store::{GrantId, Store};

use crate::child;
use crate::harness::scratch;

fn receiver() -> InstanceId {
    "exec_1".parse().unwrap()
}

/// Makes an instance and says each message that was put into its mailbox, for ever.
pub(crate) fn fill_a_mailbox(store: &Store, say: fn(&str)) {
    let new = NewInstance {
        role: Role::Executive,
        parent: None,
        root: GrantId("g-1".to_owned().into()),
        agent: "command".into(),
        work_dir: "/p".into(),
        context: String::new(),
        workspace: Workspace::Isolated,
    };
    let admitted = Admitted {
        id: receiver(),
        project: "/p".into(),
    };
    let made = store.fleet().create(&new, 1, 0, |_| Ok::<_, ()>(admitted));
    made.unwrap().unwrap();
    for number in 0.. {
        let message = NewMessage {
            to: receiver(),
            from: Sender::Person("alice".into()),
            text: number.to_string(),
            priority: Priority::Normal,
            copy_of: None,
        };
        match store.fleet().put_messages(&[message], 2) {
            Ok(ids) => say(&ids[0].to_string()),
            // Full: what comes is the end.
            Err(_) => std::thread::park(),
        }
    }
}

#[test]
fn a_killed_process_loses_no_row_it_was_told_of() {
    let scratch = scratch();
    let mut process = child::start("fill a mailbox", scratch.directory.path(), None);
    let mut said: Vec<String> = (0..20).map(|_| process.line().unwrap()).collect();
    said.extend(process.kill());
    let store = scratch.open();
    let fleet = store.fleet();
    for id in &said {
        assert!(
            fleet.message(id.parse().unwrap()).unwrap().is_some(),
            "{id}"
        );
    }
    let waiting = fleet.messages_waiting(&receiver(), 10_000).unwrap();
    let texts: Vec<String> = waiting.into_iter().map(|it| it.text).collect();
    let in_order: Vec<String> = (0..texts.len()).map(|number| number.to_string()).collect();
    assert_eq!(texts, in_order);
}

#[test]
fn a_store_that_was_closed_opens_no_rows() {
    let scratch = scratch();
    let store = scratch.open();
    store.close();
    assert!(store.fleet().instance(&receiver()).is_err());
    assert!(!scratch.locations.data.join("fleet.db").exists());
}

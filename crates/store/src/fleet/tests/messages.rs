use super::*;

fn to(receiver: &str, text: &str, priority: Priority) -> NewMessage {
    NewMessage {
        to: id(receiver),
        from: Sender::Person("alice".into()),
        text: text.into(),
        priority,
        copy_of: None,
    }
}

impl FleetDatabase {
    fn put(&self, text: &str, priority: Priority) -> MessageId {
        self.put_messages(&[to("i_1", text, priority)], NOW)
            .unwrap()[0]
    }

    fn next(&self) -> Option<Message> {
        self.next_message(&id("i_1")).unwrap()
    }

    fn step(&self, id: MessageId, step: &MessageStep) -> Result<Message, FleetError> {
        self.step_message(id, step, NOW + 5)
    }
}

fn with_one() -> Scratch {
    let scratch = scratch();
    scratch.fleet.make(&new(Role::Executive, None));
    scratch
}

#[test]
fn s14_messages_go_by_priority_and_then_in_the_order_of_coming() {
    let mut scratch = with_one();
    for (text, priority) in [
        ("a", Priority::Normal),
        ("b", Priority::Low),
        ("c", Priority::High),
        ("d", Priority::Normal),
        ("e", Priority::High),
    ] {
        scratch.fleet.put(text, priority);
    }
    scratch.reopen();
    let fleet = &scratch.fleet;
    let waiting = fleet.messages_waiting(&id("i_1"), 100).unwrap();
    let texts: Vec<&str> = waiting.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(texts, ["c", "e", "a", "d", "b"]);
    let mut taken = String::new();
    while let Some(message) = fleet.next() {
        taken.push_str(&message.text);
        fleet.step(message.id, &MessageStep::Deliver).unwrap();
        // Nothing overtakes what is on the way.
        assert_eq!(fleet.next(), None);
        fleet.step(message.id, &MessageStep::Acknowledge).unwrap();
    }
    assert_eq!(taken, "ceadb");
}

#[test]
fn s13_a_text_comes_back_byte_for_byte() {
    let mut scratch = with_one();
    let mut texts: Vec<String> = [
        "'\"$(touch x)`id`;",
        "-rf",
        "Enter",
        "C-c",
        "Escape",
        "ä\u{1f600}\u{202e}",
        "a\nb\r\n\tc\n",
        "\u{0}\u{1b}[31m",
    ]
    .map(String::from)
    .into();
    texts.push("x".repeat(200_000));
    let ids: Vec<MessageId> = texts
        .iter()
        .map(|text| scratch.fleet.put(text, Priority::Normal))
        .collect();
    scratch.reopen();
    for (id, text) in ids.iter().zip(&texts) {
        assert_eq!(&scratch.fleet.message(*id).unwrap().unwrap().text, text);
    }
}

#[test]
fn a_step_is_taken_once_and_only_from_its_state() {
    use MessageState::{Acknowledged, Delivered, Queued};
    let scratch = with_one();
    let fleet = &scratch.fleet;
    let it = fleet.put("a", Priority::Normal);
    let reason = || "gone".to_owned();
    let fail = MessageStep::Fail { reason: reason() };
    let dropped = MessageStep::Drop { reason: reason() };
    let error = fleet.step(it, &MessageStep::Acknowledge).unwrap_err();
    assert_eq!(error.to_string(), "`msg_1` is queued, not delivered");
    let delivered = fleet.step(it, &MessageStep::Deliver).unwrap();
    assert_eq!(
        (delivered.state, delivered.delivered),
        (Delivered, Some(NOW + 5))
    );
    assert!(fleet.step(it, &MessageStep::Deliver).is_err());
    assert!(fleet.step(it, &MessageStep::Fetch).is_err());
    assert!(fleet.step(it, &dropped).is_err());
    let queued = fleet.step(it, &MessageStep::Requeue).unwrap();
    assert_eq!((queued.state, queued.delivered), (Queued, None));
    fleet.step(it, &MessageStep::Deliver).unwrap();
    let settled = fleet.step(it, &MessageStep::Acknowledge).unwrap();
    assert_eq!(
        (settled.state, settled.settled),
        (Acknowledged, Some(NOW + 5))
    );
    for step in [
        MessageStep::Requeue,
        MessageStep::Acknowledge,
        fail.clone(),
        dropped.clone(),
    ] {
        assert!(fleet.step(it, &step).is_err(), "{step:?}");
    }
    let second = fleet.put("b", Priority::Normal);
    assert!(fleet.step(second, &fail).is_err());
    let failed = fleet.step(second, &dropped).unwrap();
    assert_eq!(failed.reason.as_deref(), Some("gone"));
    let third = fleet.put("c", Priority::Normal);
    assert_eq!(
        fleet.step(third, &MessageStep::Fetch).unwrap().state,
        Acknowledged
    );
    assert_eq!(fleet.unread(&id("i_1")).unwrap(), Unread::default());
    let all = fleet.messages_of(&id("i_1"), 2).unwrap();
    assert_eq!(
        all.iter().map(|it| it.id).collect::<Vec<_>>(),
        [second, third]
    );
}

#[test]
fn of_many_who_deliver_one_message_one_does() {
    let scratch = with_one();
    let fleet = &scratch.fleet;
    let it = fleet.put("a", Priority::Normal);
    let done = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                if fleet.step(it, &MessageStep::Deliver).is_ok() {
                    done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(done.into_inner(), 1);
    assert_eq!(fleet.messages_on_the_way(&id("i_1")).unwrap().len(), 1);
}

#[test]
fn s16_nothing_is_sent_to_who_is_not_there() {
    let scratch = with_one();
    let fleet = &scratch.fleet;
    let kept = fleet.put("a", Priority::Normal);
    fleet.terminate(&id("i_1")).unwrap();
    let late = fleet
        .put_messages(&[to("i_1", "b", Priority::Normal)], NOW)
        .unwrap_err();
    assert_eq!(late.to_string(), "there is no instance `i_1`");
    let failed = fleet.message(kept).unwrap().unwrap();
    assert_eq!(failed.state, MessageState::Failed);
    assert_eq!(
        failed.reason.as_deref(),
        Some("the instance was terminated")
    );
}

#[test]
fn s16_nothing_is_sent_to_who_has_ended_until_it_runs_again() {
    let scratch = with_one();
    let fleet = &scratch.fleet;
    let kept = fleet.put("a", Priority::Normal);
    let it = id("i_1");
    fleet
        .end_instance(&it, End::Exited, &ended("it ended"))
        .unwrap();
    let late = fleet
        .put_messages(&[to("i_1", "b", Priority::Normal)], NOW)
        .unwrap_err();
    assert_eq!(late.to_string(), "`i_1` is exited, not running");
    fleet.revive(&it, 0, |_| Ok::<_, ()>(())).unwrap().unwrap();
    // What waited waits still.
    assert_eq!(fleet.next().unwrap().id, kept);
    fleet.put("b", Priority::Normal);
}

#[test]
fn of_what_is_settled_the_last_are_kept() {
    let scratch = with_one();
    let fleet = &scratch.fleet;
    let waiting = fleet.put("waits", Priority::Low);
    let first = fleet.put("first", Priority::Normal);
    fleet.step(first, &MessageStep::Fetch).unwrap();
    for _ in 0..99 {
        let it = fleet.put("x", Priority::Normal);
        fleet.step(it, &MessageStep::Fetch).unwrap();
    }
    assert!(fleet.message(first).unwrap().is_some());
    let last = fleet.put("last", Priority::Normal);
    fleet.step(last, &MessageStep::Fetch).unwrap();
    assert!(fleet.message(first).unwrap().is_none());
    assert!(fleet.message(last).unwrap().is_some());
    assert!(fleet.message(waiting).unwrap().is_some());
    assert_eq!(fleet.messages_of(&id("i_1"), 1_000).unwrap().len(), 101);
}

#[test]
fn messages_and_their_copies_are_put_all_or_none() {
    let scratch = with_one();
    let fleet = &scratch.fleet;
    let copy = NewMessage {
        copy_of: Some(id("i_1")),
        from: Sender::Instance(id("i_1")),
        ..to("nobody", "a", Priority::High)
    };
    assert!(
        fleet
            .put_messages(&[to("i_1", "a", Priority::High), copy.clone()], NOW)
            .is_err()
    );
    assert_eq!(fleet.unread(&id("i_1")).unwrap().waiting, 0);
    fleet.make(&new(Role::Manager, Some("i_1")));
    let copy = NewMessage {
        to: id("i_2"),
        ..copy
    };
    let ids = fleet
        .put_messages(&[to("i_1", "a", Priority::High), copy.clone()], NOW)
        .unwrap();
    let found = fleet.message(ids[1]).unwrap().unwrap();
    assert_eq!((found.copy_of, found.from), (copy.copy_of, copy.from));
}

#[test]
fn a_mailbox_has_an_end() {
    let scratch = with_one();
    let fleet = &scratch.fleet;
    let large = "x".repeat(9 << 20);
    fleet.put(&large, Priority::Normal);
    let error = fleet
        .put_messages(&[to("i_1", &large, Priority::Normal)], NOW)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the mailbox of `i_1` is full: 1 messages with 9437184 bytes wait in it"
    );
    let small: Vec<NewMessage> = (0..999).map(|_| to("i_1", "", Priority::Low)).collect();
    fleet.put_messages(&small, NOW).unwrap();
    assert!(
        fleet
            .put_messages(&[to("i_1", "", Priority::High)], NOW)
            .is_err()
    );
    let unread = fleet.unread(&id("i_1")).unwrap();
    assert_eq!(
        unread,
        Unread {
            waiting: 1_000,
            oldest: Some(NOW)
        }
    );
}

#[test]
fn an_id_is_written_in_one_way() {
    assert_eq!("msg_7".parse::<MessageId>().unwrap().to_string(), "msg_7");
    for text in [
        "7",
        "msg_",
        "msg_07",
        "msg_+7",
        "msg_-7",
        "msg_7 ",
        "task_7",
        "msg_99999999999999999999",
    ] {
        assert!(text.parse::<MessageId>().is_err(), "{text}");
    }
    for text in ["", "-x", "a b", "a/b", "..", "ä", "a\n", &"x".repeat(65)] {
        assert!(text.parse::<InstanceId>().is_err(), "{text}");
    }
}

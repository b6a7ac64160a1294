use proptest::prelude::*;

use super::*;

/// What is tried on a mailbox; numbers choose among the messages there are.
#[derive(Debug, Clone)]
enum Try {
    Put(Priority),
    Step(usize, MessageStep),
    DeliverNext,
    Reopen,
}

fn tries() -> impl Strategy<Value = Vec<Try>> {
    let reason = || "why".to_owned();
    let step = prop_oneof![
        Just(MessageStep::Deliver),
        Just(MessageStep::Acknowledge),
        Just(MessageStep::Fetch),
        Just(MessageStep::Requeue),
        Just(MessageStep::Drop { reason: reason() }),
        Just(MessageStep::Fail { reason: reason() }),
    ];
    let priority = prop_oneof![
        Just(Priority::High),
        Just(Priority::Normal),
        Just(Priority::Low)
    ];
    let one = prop_oneof![
        4 => priority.prop_map(Try::Put),
        4 => (0..20_usize, step).prop_map(|(which, step)| Try::Step(which, step)),
        4 => Just(Try::DeliverNext),
        1 => Just(Try::Reopen),
    ];
    prop::collection::vec(one, 1..40)
}

/// The state a step leads to, told once more and in other words than the product's.
fn leads(from: MessageState, step: &MessageStep) -> Option<MessageState> {
    use MessageState::{Acknowledged, Delivered, Failed, Queued};
    match (from, step) {
        (Queued, MessageStep::Deliver) => Some(Delivered),
        (Queued, MessageStep::Fetch) | (Delivered, MessageStep::Acknowledge) => Some(Acknowledged),
        (Delivered, MessageStep::Requeue) => Some(Queued),
        (Queued, MessageStep::Drop { .. }) | (Delivered, MessageStep::Fail { .. }) => Some(Failed),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_mailbox_is_what_its_steps_made_it(tries in tries()) {
        let mut scratch = scratch();
        scratch.fleet.make(&new(Role::Executive, None));
        let to = id("i_1");
        let mut model: Vec<(MessageId, Priority, MessageState)> = Vec::new();
        for one in tries {
            let on_the_way = |model: &[(MessageId, Priority, MessageState)]| {
                model.iter().any(|it| it.2 == MessageState::Delivered)
            };
            let first = |model: &[(MessageId, Priority, MessageState)]| {
                let queued = model.iter().filter(|it| it.2 == MessageState::Queued);
                let first = queued.min_by_key(|it| (it.1 as u8, it.0)).map(|it| it.0);
                first.filter(|_| !on_the_way(model))
            };
            match one {
                Try::Put(priority) => {
                    let message = NewMessage {
                        to: to.clone(),
                        from: Sender::Person("alice".into()),
                        text: String::new(),
                        priority,
                        copy_of: None,
                    };
                    let ids = scratch.fleet.put_messages(&[message], NOW).unwrap();
                    model.push((ids[0], priority, MessageState::Queued));
                }
                Try::Step(which, step) => {
                    let Some(it) = model.get_mut(which) else { continue };
                    let made = scratch.fleet.step_message(it.0, &step, NOW);
                    let wanted = leads(it.2, &step);
                    prop_assert_eq!(made.ok().map(|it| it.state), wanted);
                    it.2 = wanted.unwrap_or(it.2);
                }
                Try::DeliverNext => {
                    let next = scratch.fleet.next_message(&to).unwrap().map(|it| it.id);
                    prop_assert_eq!(next, first(&model));
                    let Some(it) = model.iter_mut().find(|it| Some(it.0) == next) else { continue };
                    scratch.fleet.step_message(it.0, &MessageStep::Deliver, NOW).unwrap();
                    it.2 = MessageState::Delivered;
                }
                Try::Reopen => scratch.reopen(),
            }
        }
        for (id, priority, state) in model {
            let found = scratch.fleet.message(id).unwrap().unwrap();
            prop_assert_eq!((found.priority, found.state), (priority, state));
        }
    }
}

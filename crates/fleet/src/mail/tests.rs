use provost_store::fleet::{End, Ended, InstanceId, Priority};

use super::*;
use crate::scene::{Opened, opened, person};

const NOW: u64 = 1_795_168_800_000_000;

fn id(text: &str) -> InstanceId {
    text.parse().unwrap()
}

fn sent(opened: &Opened, caller: &Caller, to: &str, text: &str) -> Result<EnhancedSent, Failure> {
    let asked = EnhancedSend {
        to: id(to),
        text: text.to_owned(),
        priority: Priority::Normal,
    };
    send(opened.fleet(), caller, &asked, NOW)
}

fn subscribed(opened: &Opened, who: &str, pattern: &str) -> u64 {
    let asked = Subscribe {
        pattern: Pattern::read(pattern).unwrap(),
        subscriber: id(who),
    };
    let made = subscribe(opened.fleet(), &person(), &asked).unwrap();
    assert_eq!(made.pattern, pattern);
    made.active_subscriptions
}

const ALL: (bool, bool) = (false, false);
const UNREAD: (bool, bool) = (true, true);

fn inbox(
    opened: &Opened,
    caller: &Caller,
    of: &str,
    (unread_only, mark_as_read): (bool, bool),
) -> Inbox {
    let asked = EnhancedRead {
        of: id(of),
        unread_only,
        mark_as_read,
    };
    read(opened.fleet(), caller, &asked, NOW).unwrap()
}

fn contents(inbox: &Inbox) -> Vec<&str> {
    inbox
        .messages
        .iter()
        .map(|it| it.content.as_str())
        .collect()
}

#[test]
fn a_message_goes_down_or_one_step_up_and_tells_who_sent_it() {
    let opened = opened().with_four();
    let manager = opened.caller("mgr_1_2");
    assert_eq!(
        sent(&opened, &manager, "spec_1_2_4", "down")
            .unwrap()
            .queue_length,
        1
    );
    assert_eq!(
        sent(&opened, &person(), "spec_1_2_4", "from above")
            .unwrap()
            .queue_length,
        2
    );
    sent(&opened, &manager, "exec_1", "up").unwrap();
    let refused = sent(&opened, &manager, "mgr_1_3", "aside").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "there is no instance `mgr_1_3` among those you lead"
    );
    let down = inbox(&opened, &manager, "spec_1_2_4", ALL);
    let from: Vec<&str> = down.messages.iter().map(|it| it.from.as_str()).collect();
    assert_eq!(
        (contents(&down), from),
        (vec!["down", "from above"], vec!["mgr_1_2", "alice"])
    );
    assert_eq!(down.oldest_unread.as_deref(), Some("2026-11-20T10:00:00Z"));
}

#[test]
fn only_the_owner_takes_messages_out_of_a_mailbox() {
    let opened = opened().with_four();
    sent(&opened, &person(), "mgr_1_2", "one").unwrap();
    sent(&opened, &person(), "mgr_1_2", "two").unwrap();
    assert_eq!(
        contents(&inbox(&opened, &person(), "mgr_1_2", UNREAD)),
        ["one", "two"]
    );
    let manager = opened.caller("mgr_1_2");
    let peeked = inbox(&opened, &manager, "mgr_1_2", (true, false));
    assert_eq!(
        (contents(&peeked), peeked.total_unread),
        (vec!["one", "two"], 2)
    );
    let taken = inbox(&opened, &manager, "mgr_1_2", UNREAD);
    assert_eq!(
        (contents(&taken), taken.total_unread),
        (vec!["one", "two"], 2)
    );
    assert!(taken.messages.iter().all(|it| !it.read));
    let none = inbox(&opened, &manager, "mgr_1_2", UNREAD);
    assert_eq!(
        (none.messages.len(), none.total_unread, none.oldest_unread),
        (0, 0, None)
    );
    let all = inbox(&opened, &manager, "mgr_1_2", ALL);
    assert!(all.messages.iter().all(|it| it.read) && all.messages.len() == 2);
    // What was taken is not handed over any more.
    assert_eq!(opened.fleet().next_message(&id("mgr_1_2")).unwrap(), None);
}

#[test]
fn subscribers_above_get_a_copy_each_and_nobody_else() {
    let opened = opened().with_four();
    assert_eq!(subscribed(&opened, "exec_1", "^spec_"), 1);
    assert_eq!(subscribed(&opened, "exec_1", "_4$"), 2);
    subscribed(&opened, "mgr_1_2", "spec");
    // A sibling of its leader, and itself, get nothing.
    subscribed(&opened, "mgr_1_3", "spec");
    subscribed(&opened, "spec_1_2_4", "spec");
    let answer = sent(&opened, &person(), "spec_1_2_4", "to work").unwrap();
    assert_eq!((answer.copies, answer.queue_length), (2, 1));
    let copies = inbox(&opened, &person(), "exec_1", ALL);
    assert_eq!(copies.messages.len(), 1);
    let copy = &copies.messages[0];
    assert_eq!(
        (copy.is_subscription, copy.original_target.as_deref()),
        (Some(true), Some("spec_1_2_4"))
    );
    assert!(
        inbox(&opened, &person(), "mgr_1_3", ALL)
            .messages
            .is_empty()
    );
    // Who sends it needs no copy, and who has ended gets none.
    assert_eq!(
        sent(&opened, &opened.caller("exec_1"), "spec_1_2_4", "x")
            .unwrap()
            .copies,
        1
    );
    let ended = Ended {
        at: NOW,
        exit: None,
        why: "it ended".into(),
    };
    opened
        .fleet()
        .end_instance(&id("mgr_1_2"), End::Exited, &ended)
        .unwrap();
    assert_eq!(
        sent(&opened, &person(), "spec_1_2_4", "x").unwrap().copies,
        1
    );
}

#[test]
fn a_subscription_is_made_and_ended_by_who_leads_the_subscriber() {
    let opened = opened().with_four();
    let fleet = opened.fleet();
    let sibling = opened.caller("mgr_1_3");
    let asked = Subscribe {
        pattern: Pattern::read("spec").unwrap(),
        subscriber: id("mgr_1_2"),
    };
    assert!(subscribe(fleet, &sibling, &asked).is_err());
    subscribed(&opened, "mgr_1_2", "spec");
    let unwanted = Subscription {
        subscriber: id("mgr_1_2"),
        pattern: "spec".into(),
    };
    assert!(unsubscribe(fleet, &sibling, &unwanted).is_err());
    let own = opened.caller("mgr_1_2");
    assert!(unsubscribe(fleet, &own, &unwanted).unwrap().success);
    assert!(!unsubscribe(fleet, &own, &unwanted).unwrap().success);
    assert_eq!(
        sent(&opened, &person(), "spec_1_2_4", "x").unwrap().copies,
        0
    );
}

#[test]
fn s16_nothing_is_sent_to_who_has_ended() {
    let opened = opened().with_four();
    let ended = Ended {
        at: NOW,
        exit: None,
        why: "killed".into(),
    };
    opened
        .fleet()
        .end_instance(&id("spec_1_2_4"), End::Dead, &ended)
        .unwrap();
    let failed = sent(&opened, &person(), "spec_1_2_4", "x").unwrap_err();
    assert_eq!(failed.to_string(), "`spec_1_2_4` is dead, not running");
}

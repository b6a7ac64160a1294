//! Mailboxes as their tools see them: sending with copies, reading, subscribing.

use provost_store::fleet::{
    FleetDatabase, FleetError, Instance, Message, MessageState, MessageStep, NewMessage,
    Subscription,
};

use crate::failure::Failure;
use crate::rules::{Caller, asked_for, may_watch};
use crate::tools::{
    EnhancedRead, EnhancedSend, EnhancedSent, Inbox, InboxMessage, Pattern, Subscribe, Subscribed,
    Tool, Unsubscribed, moment,
};

/// Messages that one reading shows at most.
const MOST: u64 = 100;

/// `enhancedSend`: puts a message into a mailbox, and copies into those of subscribers, all
/// or none. `now` is unix time in microseconds.
///
/// # Errors
/// When the caller may not send to it, or it has ended, or a mailbox is full.
pub fn send(
    fleet: &FleetDatabase,
    caller: &Caller,
    asked: &EnhancedSend,
    now: u64,
) -> Result<EnhancedSent, Failure> {
    let found = fleet.instance(&asked.to)?;
    let target = asked_for(caller, Tool::EnhancedSend, &asked.to, found)?;
    let message = NewMessage {
        to: target.id.clone(),
        from: caller.sender(),
        text: asked.text.clone(),
        priority: asked.priority,
        copy_of: None,
    };
    let copies: Vec<NewMessage> = subscribers(fleet, caller, &target)?
        .into_iter()
        .map(|to| NewMessage {
            to: to.id,
            copy_of: Some(target.id.clone()),
            ..message.clone()
        })
        .collect();
    let copied = copies.len() as u64;
    let messages: Vec<NewMessage> = std::iter::once(message).chain(copies).collect();
    let ids = fleet.put_messages(&messages, now)?;
    let unread = fleet.unread(&target.id)?;
    Ok(EnhancedSent {
        success: true,
        message_id: ids.first().map(ToString::to_string).unwrap_or_default(),
        queue_length: unread.waiting,
        copies: copied,
    })
}

/// `enhancedRead`: shows a mailbox. Only the one it belongs to takes messages out of it.
///
/// # Errors
/// When the caller does not lead the instance.
pub fn read(
    fleet: &FleetDatabase,
    caller: &Caller,
    asked: &EnhancedRead,
    now: u64,
) -> Result<Inbox, Failure> {
    let found = fleet.instance(&asked.of)?;
    let owner = asked_for(caller, Tool::EnhancedRead, &asked.of, found)?.id;
    let unread = fleet.unread(&owner)?;
    let mut messages = match asked.unread_only {
        true => fleet.messages_waiting(&owner, MOST)?,
        false => fleet.messages_of(&owner, MOST)?,
    };
    if asked.mark_as_read && caller.id() == Some(&owner) {
        let mut taken = Vec::new();
        for message in messages {
            if message.state != MessageState::Queued || take(fleet, &message, now)? {
                taken.push(message);
            }
        }
        messages = taken;
    }
    Ok(Inbox {
        messages: messages.iter().map(InboxMessage::from).collect(),
        total_unread: unread.waiting,
        oldest_unread: unread.oldest.map(moment),
    })
}

/// `subscribe`: lets an instance get copies.
///
/// # Errors
/// When the caller does not lead it, or it has too many subscriptions.
pub fn subscribe(
    fleet: &FleetDatabase,
    caller: &Caller,
    asked: &Subscribe,
) -> Result<Subscribed, Failure> {
    let found = fleet.instance(&asked.subscriber)?;
    let subscriber = asked_for(caller, Tool::Subscribe, &asked.subscriber, found)?.id;
    let pattern = asked.pattern.as_str().to_owned();
    let active_subscriptions = fleet.subscribe(&Subscription {
        subscriber,
        pattern: pattern.clone(),
    })?;
    Ok(Subscribed {
        success: true,
        pattern,
        active_subscriptions,
    })
}

/// `unsubscribe`: ends a subscription.
///
/// # Errors
/// When the caller does not lead the subscriber.
pub fn unsubscribe(
    fleet: &FleetDatabase,
    caller: &Caller,
    unwanted: &Subscription,
) -> Result<Unsubscribed, Failure> {
    let found = fleet.instance(&unwanted.subscriber)?;
    asked_for(caller, Tool::Unsubscribe, &unwanted.subscriber, found)?;
    Ok(Unsubscribed {
        success: fleet.unsubscribe(unwanted)?,
        pattern: unwanted.pattern.clone(),
    })
}

/// Who gets a copy of what the caller sends to an instance: living ones at or above it that
/// subscribed, but neither itself nor the caller.
fn subscribers(
    fleet: &FleetDatabase,
    caller: &Caller,
    target: &Instance,
) -> Result<Vec<Instance>, FleetError> {
    let mut found: Vec<Instance> = Vec::new();
    for subscription in fleet.subscriptions()? {
        let id = &subscription.subscriber;
        if *id == target.id || caller.id() == Some(id) || found.iter().any(|it| it.id == *id) {
            continue;
        }
        let Some(subscriber) = fleet.instance(id)? else {
            continue;
        };
        let may = subscriber.state.is_living() && may_watch(&subscriber, target);
        // It was read when it was made: one that is none matches nothing.
        if may && Pattern::read(&subscription.pattern).is_ok_and(|it| it.matches(&target.id)) {
            found.push(subscriber);
        }
    }
    Ok(found)
}

/// Takes a message out of its mailbox; not if it is just being handed over.
fn take(fleet: &FleetDatabase, message: &Message, now: u64) -> Result<bool, FleetError> {
    match fleet.step_message(message.id, &MessageStep::Fetch, now) {
        Ok(_) => Ok(true),
        Err(FleetError::OtherState { .. } | FleetError::NoMessage { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;

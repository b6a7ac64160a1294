//! Who gets copies of the messages to others.

use super::instance::require;
use super::{FleetDatabase, FleetError, InstanceId};
use crate::database::uint;

/// Copies of messages to instances that a pattern matches go to the subscriber.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subscription {
    /// Who gets them.
    pub subscriber: InstanceId,
    /// The pattern, a regular expression on ids. Who subscribes for somebody makes sure it is one.
    pub pattern: String,
}

/// Patterns that one instance may have.
const MOST: u64 = 100;

// === impl FleetDatabase ===

impl FleetDatabase {
    /// Subscribes; once more changes nothing. Tells how many patterns the subscriber has.
    pub fn subscribe(&self, wanted: &Subscription) -> Result<u64, FleetError> {
        self.change(|tx| {
            require(tx, &wanted.subscriber)?;
            let mut statement = tx.prepare_cached(
                "INSERT INTO subscriptions (subscriber, pattern) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            )?;
            statement.execute((&wanted.subscriber, &wanted.pattern))?;
            let mut statement =
                tx.prepare_cached("SELECT count(*) FROM subscriptions WHERE subscriber = ?1")?;
            let count = statement.query_row([&wanted.subscriber], |row| row.get(0)).map(uint)?;
            match count > MOST {
                true => Err(FleetError::TooMany {
                    id: wanted.subscriber.clone(),
                    what: "subscriptions",
                    most: MOST,
                }),
                false => Ok(count),
            }
        })
    }

    /// Ends a subscription. Tells whether there was one.
    pub fn unsubscribe(&self, unwanted: &Subscription) -> Result<bool, FleetError> {
        self.change(|tx| {
            let mut statement = tx.prepare_cached(
                "DELETE FROM subscriptions WHERE subscriber = ?1 AND pattern = ?2",
            )?;
            Ok(statement.execute((&unwanted.subscriber, &unwanted.pattern))? > 0)
        })
    }

    /// All subscriptions, by subscriber and pattern.
    pub fn subscriptions(&self) -> Result<Vec<Subscription>, FleetError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT subscriber, pattern FROM subscriptions ORDER BY subscriber, pattern",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(Subscription {
                    subscriber: row.get(0)?,
                    pattern: row.get(1)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

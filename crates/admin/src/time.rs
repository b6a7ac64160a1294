//! Moments: microseconds inside, RFC 3339 in JSON.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

/// Microseconds since the Unix epoch, or as a length.
pub type Micros = u64;

/// A moment, in JSON as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Micros);

// === impl Time ===

impl Time {
    /// The moment, unless it is beyond the calendar.
    pub fn timestamp(self) -> Option<Timestamp> {
        Timestamp::from_microsecond(i64::try_from(self.0).ok()?).ok()
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.timestamp() {
            Some(moment) => to.collect_str(&moment),
            None => Err(ser::Error::custom("a moment beyond the calendar")),
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let moment: Timestamp = text.parse().map_err(de::Error::custom)?;
        micros(moment).map(Time).map_err(de::Error::custom)
    }
}

/// A moment of the calendar in microseconds.
///
/// # Errors
///
/// It is before 1970.
pub fn micros(moment: Timestamp) -> Result<Micros, String> {
    u64::try_from(moment.as_microsecond()).map_err(|_| "that is before 1970".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d51_moments_in_json_are_rfc_3339_and_come_back_whole() {
        let time = Time(1_795_168_800_123_456);
        let text = serde_json::to_string(&time).unwrap();
        assert_eq!(text, "\"2026-11-20T10:00:00.123456Z\"");
        assert_eq!(serde_json::from_str::<Time>(&text).unwrap(), time);
    }
}

//! Event time: whole milliseconds since 1970-01-01T00:00:00Z, and their text form.
//!
//! Knows nothing of the wall clock: whoever wants "now" asks the `Clock` port.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment in UTC, in whole milliseconds since the Unix epoch; negative before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A text that is no moment in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an RFC 3339 time with a zone, such as 2008-11-11T07:20:30.000Z")]
pub struct TimeError {
    text: String,
}

impl Timestamp {
    /// The earliest and the latest moments that have a four-digit year (RFC 3339, section 5.6).
    const MIN_MILLIS: i64 = -62_135_596_800_000;
    const MAX_MILLIS: i64 = 253_402_300_799_999;

    /// `None` outside the years 1 to 9999, which RFC 3339 cannot write.
    pub fn from_millis(millis: i64) -> Option<Self> {
        (Self::MIN_MILLIS..=Self::MAX_MILLIS).contains(&millis).then_some(Self(millis))
    }

    pub fn millis(self) -> i64 {
        self.0
    }

    /// The milliseconds that stay within the years 1 to 9999 when `margin` ms are added or taken off.
    pub fn within(margin: i64) -> std::ops::RangeInclusive<i64> {
        Self::MIN_MILLIS.saturating_add(margin)..=Self::MAX_MILLIS.saturating_sub(margin)
    }

    /// Reads an RFC 3339 time; what is finer than a millisecond is cut off.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        DateTime::parse_from_rfc3339(text)
            .ok()
            .and_then(|time| Self::from_millis(time.timestamp_millis()))
            .ok_or_else(|| TimeError { text: text.chars().take(64).collect() })
    }

    /// The start of the epoch-aligned interval of `size` that holds this moment. Times before 1970
    /// round down as well, hence `rem_euclid`. A `size` under a millisecond counts as one.
    #[must_use]
    pub fn floor_to(self, size: Duration) -> Self {
        let size = millis_of(size).max(1);
        Self(self.0 - self.0.rem_euclid(size))
    }

    /// The time from `earlier` to here; zero when `earlier` is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// A duration in whole milliseconds, at most `i64::MAX`.
pub fn millis_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    /// Saturates at the last moment of the year 9999.
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis_of(span)).min(Self::MAX_MILLIS))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    /// Saturates at the first moment of the year 1.
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis_of(span)).max(Self::MIN_MILLIS))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds and `Z`, as on the wire.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every value lies within four-digit years, which chrono can hold.
        let time = DateTime::<Utc>::from_timestamp_millis(self.0).unwrap_or_default();
        f.write_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let time = Timestamp::parse("2008-11-11T08:20:30.1239+01:00").unwrap();
        assert_eq!(time.to_string(), "2008-11-11T07:20:30.123Z");
        assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
    }

    #[test]
    fn refuses_what_has_no_zone_or_no_four_digit_year() {
        assert!(Timestamp::parse("2008-11-11T07:20:30").is_err());
        assert!(Timestamp::parse("yesterday").is_err());
        assert_eq!(Timestamp::from_millis(i64::MAX), None);
    }

    #[test]
    fn floors_to_the_epoch_on_both_sides_of_it() {
        let minute = Duration::from_mins(1);
        assert_eq!(Timestamp(61_000).floor_to(minute), Timestamp(60_000));
        assert_eq!(Timestamp(60_000).floor_to(minute), Timestamp(60_000));
        assert_eq!(Timestamp(-1).floor_to(minute), Timestamp(-60_000));
    }

    #[test]
    fn sums_stay_within_what_can_be_written() {
        let last = Timestamp(Timestamp::MAX_MILLIS);
        assert_eq!(last + Duration::MAX, last);
        assert_eq!(Timestamp(5) - Duration::from_millis(7), Timestamp(-2));
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration::ZERO);
    }
}

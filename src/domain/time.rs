//! Event time: whole milliseconds since 1970-01-01T00:00:00Z, and their text form.
//!
//! Knows nothing of the wall clock: whoever wants "now" asks the `Clock` port.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeZone, Utc};
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
        Self::parse_wire(text.as_bytes())
            .or_else(|| Self::parse_any(text))
            .ok_or_else(|| TimeError { text: text.chars().take(64).collect() })
    }

    fn parse_any(text: &str) -> Option<Self> {
        let time = DateTime::parse_from_rfc3339(text).ok()?;
        Self::from_millis(time.timestamp_millis())
    }

    /// The forms that nearly all payloads have, read some ten times as fast: whole milliseconds,
    /// with `Z` or an offset. Whatever is not plainly right is left to `parse_any`.
    fn parse_wire(text: &[u8]) -> Option<Self> {
        let (time, zone) = text.split_first_chunk::<23>()?;
        let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', rest @ ..] = *time else {
            return None;
        };
        let [h0, h1, b':', i0, i1, b':', s0, s1, b'.', f0, f1, f2] = rest else { return None };
        let year = number([y0, y1, y2, y3])?;
        let (month, day) = (number([m0, m1])?, number([d0, d1])?);
        let (hour, minute, second) = (number([h0, h1])?, number([i0, i1])?, number([s0, s1])?);
        let milli = number([f0, f1, f2])?;
        if year < 1 || day < 1 || day > days_in(year, month)? {
            return None;
        }
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let offset_min = match *zone {
            [b'Z'] => 0,
            [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => {
                let (hours, minutes) = (number([h0, h1])?, number([m0, m1])?);
                if hours > 23 || minutes > 59 {
                    return None;
                }
                let offset_min = hours * 60 + minutes;
                if sign == b'+' { offset_min } else { -offset_min }
            }
            _ => return None,
        };
        let minutes = (days_before(year, month, day) * 24 + hour) * 60 + minute - offset_min;
        Self::from_millis((minutes * 60 + second) * 1_000 + milli)
    }

    /// What a clock in this zone shows, `07:05`; seconds that have begun count as a minute. `None` as below.
    pub fn by_clock(self, zone: chrono_tz::Tz) -> Option<String> {
        const MINUTE_MS: i64 = 60_000;
        let up = self.0.saturating_add(MINUTE_MS - 1).div_euclid(MINUTE_MS) * MINUTE_MS;
        Self(up).minute_by_clock(zone)
    }

    /// The minute that a clock in this zone shows at this moment, `07:05`; `None` where it shows that twice,
    /// in the night in which clocks are put back.
    pub fn minute_by_clock(self, zone: chrono_tz::Tz) -> Option<String> {
        let time = DateTime::from_timestamp_millis(self.0)?.with_timezone(&zone);
        zone.from_local_datetime(&time.naive_local()).single()?;
        Some(time.format("%H:%M").to_string())
    }

    /// The start of the epoch-aligned interval of `size` that holds this moment. Times before 1970
    /// round down as well, hence `rem_euclid`. A `size` under a millisecond counts as one.
    #[must_use]
    pub fn floor_to(self, size: Duration) -> Self {
        let size = millis_of(size).max(1);
        Self(self.0 - self.0.rem_euclid(size))
    }

    /// This moment moved by so many milliseconds, either way, within the years 1 to 9999.
    #[must_use]
    pub fn moved(self, by: i64) -> Self {
        Self(self.0.saturating_add(by).clamp(Self::MIN_MILLIS, Self::MAX_MILLIS))
    }

    /// The time from `earlier` to here; zero when `earlier` is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// What decimal digits say; `None` where one is none.
fn number<const N: usize>(digits: [u8; N]) -> Option<i64> {
    digits.into_iter().try_fold(0, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then_some(number * 10 + i64::from(digit))
    })
}

/// Days in a month of the Gregorian calendar; `None` where there is no such month.
fn days_in(year: i64, month: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => Some(28 + i64::from(leap)),
        4 | 6 | 9 | 11 => Some(30),
        1..=12 => Some(31),
        _ => None,
    }
}

/// Days from 1970-01-01 to a day, by years that begin in March: the leap day is then the last.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let months_since_march = (month + 9) % 12;
    let day_of_year = (153 * months_since_march + 2) / 5 + day - 1;
    let leap_days = year / 4 - year / 100 + year / 400;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    year * 365 + leap_days + day_of_year - 719_468
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

    proptest::proptest! {
        /// With fields in and out of their ranges, the fast way agrees with the slow one.
        #[test]
        fn the_fast_way_reads_what_the_slow_one_does(
            year in 0..=9999, month in 0..14, day in 0..33, hour in 0..26, minute in 0..62,
            second in 0..62, milli in 0..1000, zone in 0_i32..1600, sign in 0..4,
        ) {
            let zone = match sign {
                0 => format!("+{:02}:{:02}", zone / 62, zone % 62),
                1 => format!("-{:02}:{:02}", zone / 62, zone % 62),
                _ => "Z".to_owned(),
            };
            let text = format!(
                "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}{zone}"
            );
            let fast = Timestamp::parse_wire(text.as_bytes());
            proptest::prop_assert!(fast.is_none() || fast == Timestamp::parse_any(&text), "{}", text);
            proptest::prop_assert_eq!(Timestamp::parse(&text).ok(), Timestamp::parse_any(&text));
        }

        /// So it does with one byte of a good time changed, or several.
        #[test]
        fn the_fast_way_takes_nothing_that_the_slow_one_refuses(
            millis in Timestamp::MIN_MILLIS..=Timestamp::MAX_MILLIS,
            changes in proptest::collection::vec((0_usize..29, b' '..=b'~'), 0..3),
            local in proptest::prelude::any::<bool>(),
        ) {
            let mut text = Timestamp(millis).to_string();
            if local {
                text.replace_range(23.., "-03:30");
            }
            for (at, with) in changes {
                if at < text.len() {
                    text.replace_range(at..=at, &char::from(with).to_string());
                }
            }
            proptest::prop_assert_eq!(Timestamp::parse(&text).ok(), Timestamp::parse_any(&text));
        }

        #[test]
        fn every_moment_on_the_wire_is_read_the_fast_way(
            millis in Timestamp::MIN_MILLIS..=Timestamp::MAX_MILLIS,
        ) {
            let time = Timestamp(millis);
            proptest::prop_assert_eq!(Timestamp::parse_wire(time.to_string().as_bytes()), Some(time));
        }
    }

    #[test]
    fn the_edges_of_the_calendar_are_read_the_fast_way() {
        for text in [
            "0001-01-01T00:00:00.000Z",
            "9999-12-31T23:59:59.999Z",
            "1969-12-31T23:59:59.999Z",
            "2000-02-29T00:00:00.000Z",
            "2008-02-29T12:00:00.000+23:59",
            "1900-03-01T00:00:00.000-00:00",
        ] {
            let fast = Timestamp::parse_wire(text.as_bytes());
            assert!(fast.is_some() && fast == Timestamp::parse_any(text), "{text}");
        }
        for text in [
            "1900-02-29T00:00:00.000Z",
            "0001-01-01T00:00:00.000+00:01",
            "2008-11-11T24:00:00.000Z",
            "9999-12-31T23:59:59.999-00:01",
        ] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
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

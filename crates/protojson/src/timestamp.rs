//! `google.protobuf.Timestamp`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};

use crate::raw::Raw;

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, in seconds since the Unix epoch: what RFC 3339 can say.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

const SECONDS_PER_DAY: i64 = 86_400;

/// A point in time; in JSON as RFC 3339 in UTC, with 0, 3, 6 or 9 digits of fraction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct Timestamp {
    /// Seconds since the Unix epoch.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Nanoseconds beyond them, 0 to 999,999,999.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !SECONDS.contains(&self.seconds) || !(0..1_000_000_000).contains(&self.nanos) {
            return Err(S::Error::custom(format_args!(
                "time out of range: {} s {} ns",
                self.seconds, self.nanos
            )));
        }
        let (year, month, day) = date(self.seconds.div_euclid(SECONDS_PER_DAY));
        let second = self.seconds.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        let nanos = i64::from(self.nanos);
        write_pair(&mut text, 0, year / 100);
        write_pair(&mut text, 2, year % 100);
        write_pair(&mut text, 5, month);
        write_pair(&mut text, 8, day);
        write_pair(&mut text, 11, hour);
        write_pair(&mut text, 14, minute);
        write_pair(&mut text, 17, second);
        write_pair(&mut text, 20, nanos / 10_000_000);
        write_pair(&mut text, 22, nanos / 100_000 % 100);
        write_pair(&mut text, 24, nanos / 1_000 % 100);
        write_pair(&mut text, 26, nanos / 10 % 100);
        text[28] = b'0' + (nanos % 10) as u8;
        let length = match self.nanos {
            0 => 19,
            nanos if nanos % 1_000_000 == 0 => 23,
            nanos if nanos % 1_000 == 0 => 26,
            _ => 29,
        };
        text[length] = b'Z';
        // Digits and signs are UTF-8.
        serializer.serialize_str(std::str::from_utf8(&text[..=length]).unwrap_or_default())
    }
}

/// Writes the two digits of a number below a hundred.
#[inline]
fn write_pair(text: &mut [u8; 30], at: usize, number: i64) {
    let number = number as u8;
    (text[at], text[at + 1]) = (b'0' + number / 10, b'0' + number % 10);
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Raw::read(deserializer)?.ok_or_else(|| D::Error::custom("null is no time"))?;
        let time = match &raw {
            Raw::String(text) => parse(text),
            _ => None,
        };
        time.filter(|time| SECONDS.contains(&time.seconds))
            .ok_or_else(|| raw.refuse("google.protobuf.Timestamp"))
    }
}

/// `2023-11-14T22:13:20.123456Z`, `2023-11-14T23:13:20+01:00` (RFC 3339, section 5.6).
fn parse(text: &str) -> Option<Timestamp> {
    let (clock, rest) = text.split_at_checked(19)?;
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if separators.iter().any(|&(at, separator)| clock.as_bytes()[at] != separator) {
        return None;
    }
    let [year, month, day] = [number(&clock[..4])?, number(&clock[5..7])?, number(&clock[8..10])?];
    let [hour, minute, second] = [number(&clock[11..13])?, number(&clock[14..16])?, number(&clock[17..])?];
    if !(1..=12).contains(&month)
        || !(1..=days_in(year, month)).contains(&day)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    let (nanos, zone) = match rest.strip_prefix('.') {
        None => (0, rest),
        Some(rest) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (fraction, zone) = rest.split_at(digits);
            if !(1..=9).contains(&digits) {
                return None;
            }
            (number(&format!("{fraction:0<9}"))?, zone)
        }
    };
    let offset = match zone.as_bytes() {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let (hours, minutes) = (number(&zone[1..3])?, number(&zone[4..])?);
            // More than RFC 3339 allows, as in Go.
            if hours > 24 || minutes > 60 {
                return None;
            }
            let offset = hours * 3_600 + minutes * 60;
            if *sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    let seconds = days(year, month, day) * SECONDS_PER_DAY + hour * 3_600 + minute * 60 + second - offset;
    Some(Timestamp { seconds, nanos: i32::try_from(nanos).ok()? })
}

fn number(digits: &str) -> Option<i64> {
    if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

fn days_in(year: i64, month: i64) -> i64 {
    days(year + month / 12, month % 12 + 1, 1) - days(year, month, 1)
}

/// Days from the Unix epoch to a date of the Gregorian calendar. Counts years from March, so that the leap day is the
/// last of its year, in eras of 400 years, which all have 146,097 days.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days`].
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_days_are_inverse() {
        for day in (-719_162..=2_932_896).step_by(97) {
            let (year, month, day_of_month) = date(day);
            assert_eq!(days(year, month, day_of_month), day);
        }
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(11_016), (2000, 2, 29));
    }
}

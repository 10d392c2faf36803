//! Points in time, as the API shows them.

use std::time::{SystemTime, UNIX_EPOCH};

/// A point in time in whole microseconds since the Unix epoch, UTC: the precision that clients see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The present, by the system's clock. A clock before 1970 counts as 1970.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    /// From microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down, and the nanoseconds (0 to 999,999,999) beyond them.
    pub const fn to_seconds_and_nanos(self) -> (i64, i32) {
        (self.0.div_euclid(1_000_000), (self.0.rem_euclid(1_000_000) * 1_000) as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_round_down_on_both_sides_of_the_epoch() {
        for (micros, want) in [
            (0, (0, 0)),
            (1, (0, 1_000)),
            (1_500_000, (1, 500_000_000)),
            (-1, (-1, 999_999_000)),
            (-1_000_000, (-1, 0)),
        ] {
            assert_eq!(Timestamp::from_micros(micros).to_seconds_and_nanos(), want, "{micros} µs");
        }
    }
}

//! Arithmetic of what was measured.

use std::time::Duration;

/// The middle of some measurements, and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The mean of the middle two where their count is even.
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// Of measurements in any order; of none, all is NaN.
    pub fn of(measurements: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = measurements.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (Some(&min), Some(&max)) = (sorted.first(), sorted.last()) else {
            return Self { median: f64::NAN, min: f64::NAN, max: f64::NAN };
        };
        let median = f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Self { median, min, max }
    }

    /// Of the quotients of each pair. What has no partner does not count.
    pub fn of_ratios(pairs: &[(f64, f64)]) -> Self {
        Self::of(pairs.iter().map(|(above, below)| above / below))
    }
}

/// The least of `sorted` that is at least as great as `percent` of all (nearest rank); 0 of none.
pub fn percentile(sorted: &[u32], percent: f64) -> u32 {
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(0)
}

/// How many of `count` there are in a second.
pub fn rate(count: usize, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

/// Microseconds for each of `count`.
pub fn micros_each(count: usize, elapsed: Duration) -> f64 {
    elapsed.as_secs_f64() * 1e6 / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_odd_count_is_the_middle_one() {
        assert_eq!(Spread::of([9.0, 1.0, 4.0]), Spread { median: 4.0, min: 1.0, max: 9.0 });
    }

    #[test]
    fn the_median_of_an_even_count_lies_between_the_middle_two() {
        assert_eq!(Spread::of([4.0, 1.0, 10.0, 2.0]), Spread { median: 3.0, min: 1.0, max: 10.0 });
        assert_eq!(Spread::of([5.0]), Spread { median: 5.0, min: 5.0, max: 5.0 });
    }

    #[test]
    fn of_nothing_there_is_no_figure() {
        assert!(Spread::of([]).median.is_nan());
        assert_eq!(percentile(&[], 50.0), 0);
    }

    #[test]
    fn a_ratio_is_taken_pair_by_pair() {
        // The quotient of the medians would be 1.5.
        let ratios = Spread::of_ratios(&[(2.0, 1.0), (30.0, 10.0), (3.0, 2.0)]);
        assert_eq!(ratios, Spread { median: 2.0, min: 1.5, max: 3.0 });
    }

    #[test]
    fn a_percentile_is_one_of_the_measurements() {
        let hundred: Vec<u32> = (1..=100).collect();
        for (percent, want) in [(0.0, 1), (1.0, 1), (50.0, 50), (99.0, 99), (99.5, 100), (100.0, 100)] {
            assert_eq!(percentile(&hundred, percent), want, "{percent}");
        }
        assert_eq!(percentile(&[3, 8], 50.0), 3);
        assert_eq!(percentile(&[3, 8], 99.0), 8);
    }

    #[test]
    fn counts_and_times_make_rates() {
        let two_seconds = Duration::from_secs(2);
        assert_eq!(rate(1_000, two_seconds), 500.0);
        assert_eq!(micros_each(1_000, two_seconds), 2_000.0);
    }
}

//! Arithmetic of what was measured.

use std::time::Duration;

/// The middle of some measurements, and where the median of all that could be made lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The mean of the middle two where their count is even.
    pub median: f64,
    /// Both ends of an interval that holds the median with a probability of at least 95 %, whatever the distribution. Of fewer than
    /// six measurements there is none: these are the least and the greatest.
    pub low: f64,
    pub high: f64,
}

impl Spread {
    /// Of measurements in any order; of none, all is NaN.
    pub fn of(measurements: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = measurements.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        if sorted.is_empty() {
            return Self { median: f64::NAN, low: f64::NAN, high: f64::NAN };
        }
        let last = sorted.len() - 1;
        let median = f64::midpoint(sorted[last / 2], sorted[sorted.len() / 2]);
        let outside = outside(sorted.len());
        Self { median, low: sorted[outside], high: sorted[last - outside] }
    }

    /// Of the quotients of each pair. What has no partner does not count.
    pub fn of_ratios(pairs: &[(f64, f64)]) -> Self {
        Self::of(pairs.iter().map(|(above, below)| above / below))
    }
}

/// How many of `count` measurements in order lie outside the interval at each end: of nine it goes from the second to the eighth,
/// which hold the median with 96 %.
///
/// Each measurement is below the median like a coin's head. The median is outside if no more than `outside` heads fall, or tails.
fn outside(count: usize) -> usize {
    let mut tosses = 0.5_f64.powi(i32::try_from(count).unwrap_or(i32::MAX));
    let mut beyond = 0.0;
    for heads in 0..count / 2 {
        beyond += tosses;
        if 2.0 * beyond > 0.05 {
            return heads.saturating_sub(1);
        }
        tosses *= (count - heads) as f64 / (heads + 1) as f64;
    }
    0
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
        assert_eq!(Spread::of([9.0, 1.0, 4.0]), Spread { median: 4.0, low: 1.0, high: 9.0 });
    }

    #[test]
    fn the_median_of_an_even_count_lies_between_the_middle_two() {
        assert_eq!(Spread::of([4.0, 1.0, 10.0, 2.0]), Spread { median: 3.0, low: 1.0, high: 10.0 });
        assert_eq!(Spread::of([5.0]), Spread { median: 5.0, low: 5.0, high: 5.0 });
    }

    #[test]
    fn the_interval_leaves_out_what_chance_may() {
        for (count, low, high) in
            [(1, 1.0, 1.0), (5, 1.0, 5.0), (6, 1.0, 6.0), (8, 1.0, 8.0), (9, 2.0, 8.0), (20, 6.0, 15.0)]
        {
            let spread = Spread::of((1..=count).map(f64::from));
            assert_eq!((spread.low, spread.high), (low, high), "{count}");
        }
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
        assert_eq!(ratios, Spread { median: 2.0, low: 1.5, high: 3.0 });
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

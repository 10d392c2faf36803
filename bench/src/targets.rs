//! What the figures should be.

use crate::figures::Spread;

/// Something that was measured, and what it should be.
#[derive(Debug)]
pub struct Target {
    pub what: String,
    pub measured: Spread,
    pub bound: Bound,
}

/// What a figure should be.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

/// How a figure stands to its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The median keeps it.
    Met,
    /// The median does not, but the interval does not rule it out.
    Open,
    /// Nothing in the interval keeps it.
    Missed,
}

impl Target {
    /// What should be at most `most`.
    pub fn at_most(what: impl Into<String>, measured: Spread, most: f64) -> Self {
        Self { what: what.into(), measured, bound: Bound::AtMost(most) }
    }

    /// What should be at least `least`.
    pub fn at_least(what: impl Into<String>, measured: Spread, least: f64) -> Self {
        Self { what: what.into(), measured, bound: Bound::AtLeast(least) }
    }

    /// What was not measured is missed.
    pub fn verdict(&self) -> Verdict {
        let Spread { median, low, high } = self.measured;
        let (is_met, is_open) = match self.bound {
            Bound::AtMost(most) => (median <= most, low <= most),
            Bound::AtLeast(least) => (median >= least, high >= least),
        };
        if is_met {
            Verdict::Met
        } else if is_open {
            Verdict::Open
        } else {
            Verdict::Missed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_missed_only_by_the_whole_interval() {
        let measured = Spread { median: 2.0, low: 1.0, high: 3.0 };
        for (bound, want) in [
            (Bound::AtMost(2.0), Verdict::Met),
            (Bound::AtMost(1.9), Verdict::Open),
            (Bound::AtMost(1.0), Verdict::Open),
            (Bound::AtMost(0.9), Verdict::Missed),
            (Bound::AtLeast(2.0), Verdict::Met),
            (Bound::AtLeast(2.1), Verdict::Open),
            (Bound::AtLeast(3.0), Verdict::Open),
            (Bound::AtLeast(3.1), Verdict::Missed),
        ] {
            let target = Target { what: String::new(), measured, bound };
            assert_eq!(target.verdict(), want, "{bound:?}");
        }
        assert_eq!(Target::at_most("", Spread::of([]), 1.0).verdict(), Verdict::Missed);
    }
}

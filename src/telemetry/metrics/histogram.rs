//! How often a time was how long.

use std::time::Duration;

/// Counts between bounds, which are the family's.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    bounds: &'static [f64],
    /// One for each bound, and one for what is above all of them.
    counts: Box<[u64]>,
    sum: f64,
}

impl Histogram {
    /// Nothing counted yet between these bounds, which ascend.
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: vec![0; bounds.len() + 1].into(),
            sum: 0.0,
        }
    }

    pub(super) fn observe(&mut self, time: Duration) {
        let seconds = time.as_secs_f64();
        let place = self.bounds.partition_point(|bound| *bound < seconds);
        self.counts[place] += 1;
        self.sum += seconds;
    }

    /// Adds another of the same bounds.
    pub(super) fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.sum += other.sum;
    }

    pub(super) fn bounds(&self) -> &'static [f64] {
        self.bounds
    }

    pub(super) fn sum(&self) -> f64 {
        self.sum
    }

    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Each bound with what is at most that, and above the one before it.
    pub(super) fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        bounds.zip(self.counts.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_what_is_below_it() {
        let mut histogram = Histogram::new(&[0.5, 2.0]);
        for millis in [0, 500, 501, 2000, 2001, 9000] {
            histogram.observe(Duration::from_millis(millis));
        }
        assert_eq!(
            histogram.buckets(),
            [(0.5, 2), (2.0, 2), (f64::INFINITY, 2)]
        );
        assert_eq!(histogram.count(), 6);
        let mut twice = histogram.clone();
        twice.merge(&histogram);
        assert_eq!(twice.count(), 12);
        assert_eq!(twice.sum(), 2.0 * histogram.sum());
    }
}

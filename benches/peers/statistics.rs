//! Medians, and how sure they are.

use crate::rig::random::Random;

const RESAMPLES: usize = 10_000;
/// The same numbers give the same interval.
const SEED: u64 = 0x5EED;

/// A median and the interval in which it lies with 95 %, by bootstrap.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Estimate {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = sorted[(sorted.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

pub(crate) fn estimate(values: &[f64]) -> Option<Estimate> {
    let mut random = Random::new(SEED);
    let mut draw = || values[random.below(values.len() as u64) as usize];
    let mut medians = Vec::with_capacity(RESAMPLES);
    let median_of_all = median(values)?;
    for _ in 0..RESAMPLES {
        let drawn: Vec<f64> = values.iter().map(|_| draw()).collect();
        medians.extend(median(&drawn));
    }
    medians.sort_by(f64::total_cmp);
    Some(Estimate {
        median: median_of_all,
        low: medians[RESAMPLES / 40],
        high: medians[RESAMPLES - 1 - RESAMPLES / 40],
    })
}

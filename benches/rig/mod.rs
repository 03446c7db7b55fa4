//! What the benchmarks of the whole gateway share: a server behind it and what flows, a certificate for it,
//! what a process has used, and a little arithmetic.

pub(crate) mod certificate;
pub(crate) mod flow;
pub(crate) mod message;
pub(crate) mod random;
pub(crate) mod server;
pub(crate) mod usage;

use std::error::Error;

/// Anything; it ends the run.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// The value that so many of a hundred don't exceed; `sorted` says it.
pub(crate) fn percentile<T: Copy>(sorted: &[T], percent: usize) -> Option<T> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

/// The value of a header in a head, or of a line in a file that looks like one.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

//! Tickets that were used, for as long as they could be used again.

use aws_lc_rs::aead::NONCE_LEN;
use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, PoisonError};
use tokio::time::Instant;

/// Of more, none is taken: forgetting one would let it be used twice.
const REMEMBERED_MAX: usize = 1_000_000;

type Number = [u8; NONCE_LEN];

/// Those of one method.
#[derive(Debug, Default)]
pub(super) struct Used(Mutex<Numbers>);

#[derive(Debug, Default)]
struct Numbers {
    known: HashSet<Number>,
    /// By when they are good no longer.
    ends: BTreeSet<(Instant, Number)>,
}

/// No more can be remembered now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Used {
    /// Whether it was not used before; from now on it was.
    pub(super) fn take(&self, number: Number, until: Instant) -> Result<bool, Full> {
        let mut numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.take(number, until, Instant::now(), REMEMBERED_MAX)
    }
}

impl Numbers {
    fn take(
        &mut self,
        number: Number,
        until: Instant,
        now: Instant,
        max: usize,
    ) -> Result<bool, Full> {
        while let Some((end, old)) = self.ends.first().copied()
            && end <= now
        {
            self.ends.remove(&(end, old));
            self.known.remove(&old);
        }
        if self.known.contains(&number) {
            return Ok(false);
        }
        if self.known.len() >= max {
            return Err(Full);
        }
        self.known.insert(number);
        self.ends.insert((until, number));
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_is_taken_once_and_forgotten_when_it_could_not_be_used_anyway() {
        let mut numbers = Numbers::default();
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let mut take = |number: u8, until, now| numbers.take([number; 12], at(until), at(now), 2);
        assert_eq!(take(1, 10, 0), Ok(true));
        assert_eq!(take(1, 10, 9), Ok(false));
        assert_eq!(take(2, 20, 9), Ok(true));
        assert_eq!(take(3, 20, 9), Err(Full));
        assert_eq!(take(3, 20, 10), Ok(true));
        assert_eq!(numbers.known.len(), 2);
        assert_eq!(numbers.ends.len(), 2);
    }
}

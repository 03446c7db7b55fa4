//! Bytes that nobody can guess, a few at a time.
//!
//! A call to the generator costs a microsecond, for one byte as for many: each thread draws for a while.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use std::cell::RefCell;

/// Drawn at once: enough for twenty handshakes.
const DRAWN: usize = 512;

thread_local! {
    static STOCK: RefCell<Stock> = const { RefCell::new(Stock { bytes: [0; DRAWN], used: DRAWN }) };
}

/// What a thread has drawn; each byte is given out once.
struct Stock {
    bytes: [u8; DRAWN],
    used: usize,
}

/// As many as are asked for, which are not many.
///
/// # Errors
/// If the system has no random numbers, which happens only before it has ever had some.
pub(super) fn random<const N: usize>() -> Result<[u8; N], Unspecified> {
    STOCK.with_borrow_mut(Stock::take)
}

impl Stock {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Unspecified> {
        const { assert!(N <= DRAWN) };
        if DRAWN - self.used < N {
            rand::fill(&mut self.bytes)?;
            self.used = 0;
        }
        let mut taken = [0; N];
        taken.copy_from_slice(&self.bytes[self.used..self.used + N]);
        self.used += N;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_bytes_are_given_out_twice() {
        let draw = || (0..3 * DRAWN).map(|_| random::<7>().unwrap());
        let mut seen: HashSet<[u8; 7]> = draw().collect();
        let there = std::thread::spawn(move || draw().collect::<Vec<_>>());
        seen.extend(there.join().unwrap());
        assert_eq!(seen.len(), 6 * DRAWN);
    }
}

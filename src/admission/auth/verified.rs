//! Passwords that were verified a short while ago, so that a reconnect storm does not cost a bcrypt
//! each. Pure: the caller says what time it is.
//!
//! Bounded by two generations: when the young one is full it becomes the old one, and what was not
//! asked for since then is gone. Entries are known by a keyed hash only; there is no password and
//! no name in here.

use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// Keyed hash of name, password and stored hash.
pub(super) type Key = [u8; 32];

/// Entries in all.
pub(super) const ENTRIES_MAX: usize = 10_000;
/// An entry that nobody asks for is forgotten after this long.
const UNUSED_FOR: Duration = Duration::from_secs(5 * 60);
/// However often it is asked for, the password is verified again after this long.
const IN_ALL: Duration = Duration::from_secs(60 * 60);

/// The passwords that were right.
#[derive(Debug, Default)]
pub(super) struct Verified {
    young: HashMap<Key, Entry>,
    old: HashMap<Key, Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    verified: Instant,
    used: Instant,
}

impl Verified {
    /// Keeps a password that was right when it was asked about.
    pub(super) fn insert(&mut self, key: Key, asked: Instant) {
        self.keep(
            key,
            Entry {
                verified: asked,
                used: asked,
            },
        );
    }

    /// Whether this password is known to be right; asking keeps it for longer.
    pub(super) fn knows(&mut self, key: &Key, now: Instant) -> bool {
        let entry = self.young.remove(key).or_else(|| self.old.remove(key));
        match entry {
            Some(entry) if entry.is_alive(now) => {
                self.keep(*key, Entry { used: now, ..entry });
                true
            }
            _ => false,
        }
    }

    fn keep(&mut self, key: Key, entry: Entry) {
        if self.young.len() >= ENTRIES_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, entry);
    }
}

impl Entry {
    fn is_alive(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.used) < UNUSED_FOR
            && now.saturating_duration_since(self.verified) < IN_ALL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn key(number: usize) -> Key {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_le_bytes());
        key
    }

    #[test]
    fn an_unused_entry_is_forgotten() {
        let start = Instant::now();
        let mut verified = Verified::default();
        verified.insert(key(1), start);
        verified.insert(key(2), start);
        assert!(verified.knows(&key(1), start + UNUSED_FOR - SECOND));
        assert!(!verified.knows(&key(2), start + UNUSED_FOR));
        assert!(!verified.knows(&key(3), start));
    }

    #[test]
    fn use_keeps_an_entry_but_not_for_ever() {
        let start = Instant::now();
        let mut verified = Verified::default();
        verified.insert(key(1), start);
        let mut now = start;
        while now + UNUSED_FOR / 2 < start + IN_ALL {
            now += UNUSED_FOR / 2;
            assert!(verified.knows(&key(1), now));
        }
        assert!(!verified.knows(&key(1), start + IN_ALL));
    }

    #[test]
    fn the_number_of_entries_is_bounded_and_used_ones_stay() {
        let now = Instant::now();
        let mut verified = Verified::default();
        for number in 0..3 * ENTRIES_MAX {
            verified.insert(key(number), now);
            assert!(verified.knows(&key(0), now), "lost after {number}");
            assert!(verified.young.len() + verified.old.len() <= ENTRIES_MAX);
        }
        assert!(!verified.knows(&key(1), now));
    }
}

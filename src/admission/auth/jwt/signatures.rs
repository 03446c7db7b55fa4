//! Signatures that were right, so that a client who comes again with the same token costs a hash and not
//! another verification: a reconnect storm is made of such clients.
//!
//! What is kept is that and no more: whatever a token says, its dates above all, is judged each time. It
//! belongs to one key set, and goes with it. Bounded by two generations: when the young one is full it
//! becomes the old one, and what was not asked for since then is gone.

use aws_lc_rs::digest::{SHA256, digest};
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// In all.
const ENTRIES_MAX: usize = 8_192;

/// Tokens whose signature is right.
#[derive(Default)]
pub(super) struct Signatures(Mutex<Generations>);

/// By what of a token nobody can find again in another one.
type Key = [u8; 32];

#[derive(Default)]
struct Generations {
    young: HashSet<Key>,
    old: HashSet<Key>,
}

impl Signatures {
    /// Whether the signature of this token, all of it, is right; `verify` finds out if nobody knows.
    pub(super) fn check<E>(
        &self,
        token: &[u8],
        verify: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let mut key = Key::default();
        key.copy_from_slice(digest(&SHA256, token).as_ref());
        if self.with(|known| known.has(&key)) {
            return Ok(());
        }
        verify()?;
        self.with(|known| known.keep(key));
        Ok(())
    }

    fn with<T>(&self, look: impl FnOnce(&mut Generations) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Generations {
    /// Asking keeps it for longer.
    fn has(&mut self, key: &Key) -> bool {
        if self.young.contains(key) {
            return true;
        }
        let is_old = self.old.remove(key);
        if is_old {
            self.keep(*key);
        }
        is_old
    }

    fn keep(&mut self, key: Key) {
        if self.young.len() >= ENTRIES_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key);
    }
}

impl std::fmt::Debug for Signatures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signatures").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it had to be verified.
    fn is_new(signatures: &Signatures, token: &str) -> bool {
        let mut is_new = false;
        let checked = signatures.check::<()>(token.as_bytes(), || {
            is_new = true;
            Ok(())
        });
        assert_eq!(checked, Ok(()));
        is_new
    }

    #[test]
    fn what_was_right_is_not_verified_again_and_what_was_wrong_is() {
        let signatures = Signatures::default();
        assert!(is_new(&signatures, "a"));
        assert!(!is_new(&signatures, "a"));
        assert!(is_new(&signatures, "b"));
        for _ in 0..2 {
            assert_eq!(signatures.check(b"forged", || Err("wrong")), Err("wrong"));
        }
    }

    #[test]
    fn their_number_is_bounded_and_used_ones_stay() {
        let signatures = Signatures::default();
        assert!(is_new(&signatures, "used"));
        assert!(is_new(&signatures, "unused"));
        for number in 0..ENTRIES_MAX * 2 {
            assert!(is_new(&signatures, &format!("token {number}")));
            assert!(!is_new(&signatures, "used"));
        }
        signatures.with(|known| assert!(known.young.len() + known.old.len() <= ENTRIES_MAX));
        assert!(is_new(&signatures, "unused"));
    }
}

//! Whose limit it is: one number for an address, an identity or a route.
//!
//! A keyed hash with a secret of the process: keys are small, all alike, and nobody outside can
//! find two that fall together (SipHash; 64 bits).

use super::Identity;
use crate::config::LimitKey;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::net::IpAddr;
use std::sync::LazyLock;

/// Who shares a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(u64);

/// Never changes once it is drawn.
static SECRET: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// What is hashed. The kind is part of it, so that no identity is ever an address.
#[derive(Hash)]
enum Whose<'a> {
    /// The clients of unix sockets, who have no address.
    Local,
    V4(u32),
    /// RFC 4291 §2.5.4: the half that the network gives; the other is the client's to choose.
    V6(u64),
    Identity(&'a Identity),
    Route,
}

impl KeyHash {
    /// Whom a limit per `per` counts. An identity falls back to the address.
    pub fn of(per: LimitKey, client: Option<IpAddr>, identity: Option<&Identity>) -> Self {
        match (per, identity) {
            (LimitKey::Route, _) => Self::hash(&Whose::Route),
            (LimitKey::Identity, Some(identity)) => Self::hash(&Whose::Identity(identity)),
            (LimitKey::Identity, None) | (LimitKey::ClientIp, _) => Self::hash(&whose(client)),
        }
    }

    /// The key as those carry it about who must not know what it is.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The key that has this [`Self::number`].
    pub fn numbered(number: u64) -> Self {
        Self(number)
    }

    /// Which of `buckets` it falls into.
    pub(super) fn bucket(self, buckets: usize) -> usize {
        // The remainder is smaller than a usize.
        (self.0 % buckets.max(1) as u64) as usize
    }

    fn hash(whose: &Whose<'_>) -> Self {
        Self(SECRET.hash_one(whose))
    }
}

fn whose(client: Option<IpAddr>) -> Whose<'static> {
    match client.map(|address| address.to_canonical()) {
        None => Whose::Local,
        Some(IpAddr::V4(address)) => Whose::V4(address.to_bits()),
        Some(IpAddr::V6(address)) => Whose::V6((address.to_bits() >> 64) as u64),
    }
}

/// For maps by [`KeyHash`], which needs no second hash.
pub(super) type Hashed = BuildHasherDefault<AsItIs>;

/// See [`Hashed`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str) -> KeyHash {
        KeyHash::of(LimitKey::ClientIp, Some(address.parse().unwrap()), None)
    }

    #[test]
    fn addresses_of_one_network_share_a_key() {
        for (one, other, is_same) in [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("10.0.0.1", "::ffff:10.0.0.1", true),
            ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("::1", "::2", true),
            ("::1", "127.0.0.1", false),
            ("::ffff:10.0.0.1", "::ffff:10.0.0.2", false),
        ] {
            assert_eq!(client(one) == client(other), is_same, "{one} {other}");
        }
    }

    #[test]
    fn who_has_no_address_shares_one_key() {
        let local = KeyHash::of(LimitKey::ClientIp, None, None);
        assert_eq!(local, KeyHash::of(LimitKey::Identity, None, None));
        assert_ne!(local, client("127.0.0.1"));
        assert_ne!(local, client("::"));
    }

    #[test]
    fn an_identity_counts_wherever_it_comes_from() {
        let (here, there) = ("10.0.0.1".parse().ok(), "10.0.0.2".parse().ok());
        let ann = Identity::new("people", "ann");
        let bob = Identity::new("people", "bob");
        let key = |client, identity: &Option<Identity>| {
            KeyHash::of(LimitKey::Identity, client, identity.as_ref())
        };
        assert_eq!(key(here, &ann), key(there, &ann));
        assert_ne!(key(here, &ann), key(here, &bob));
        assert_ne!(key(here, &ann), key(here, &Identity::new("peoplea", "nn")));
        assert_ne!(key(here, &None), key(there, &None));
        assert_eq!(key(here, &None), client("10.0.0.1"));
    }

    #[test]
    fn a_route_is_one_key() {
        let key = |client: &str| KeyHash::of(LimitKey::Route, client.parse().ok(), None);
        assert_eq!(key("10.0.0.1"), key("10.0.0.2"));
        assert_ne!(key("10.0.0.1"), client("10.0.0.1"));
    }
}

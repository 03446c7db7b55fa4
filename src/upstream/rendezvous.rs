//! The same endpoint for the same key, on every gateway: rendezvous hashing by weight (Thaler and
//! Ravishankar, 1998). Pure.
//!
//! Each endpoint draws a lot that depends on the key and on the endpoint's own address alone; the best
//! lot wins. The order of endpoints is of no matter, one that leaves gives up its own keys and no
//! others, and the next best is the same everywhere too. Hash and seed are fixed for good: a gateway of
//! another version must choose the same.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// What a client is bound by: a hash of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Affinity(u64);

impl Affinity {
    /// Of a key: an address, a path, the value of a cookie.
    pub fn of(key: &[u8]) -> Self {
        Self(xxh3_64(key))
    }
}

/// The hash of an endpoint's address.
pub(super) fn name(address: &str) -> u64 {
    xxh3_64(address.as_bytes())
}

/// An endpoint as its lot sees it.
pub(super) trait Contestant {
    /// The hash of its address.
    fn name(&self) -> u64;
    /// Relative to the others, at least 1.
    fn weight(&self) -> u32;
}

/// The one with the best lot for `affinity` among those that are `usable`.
pub(super) fn choose<C: Contestant>(
    affinity: Affinity,
    contestants: &[C],
    usable: impl Fn(&C) -> bool,
) -> Option<usize> {
    let lots = contestants
        .iter()
        .enumerate()
        .filter(|(_, contestant)| usable(contestant))
        .map(|(index, contestant)| (index, lot(affinity, contestant)));
    lots.max_by(|(_, one), (_, other)| one.total_cmp(other))
        .map(|(index, _)| index)
}

/// `-weight / ln(u)`, with `u` uniform over (0, 1): the greatest of such falls on each in proportion to
/// its weight.
fn lot(affinity: Affinity, contestant: &impl Contestant) -> f64 {
    let hash = xxh3_64_with_seed(&affinity.0.to_le_bytes(), contestant.name());
    let uniform = ((hash >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    -f64::from(contestant.weight()) / uniform.ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    struct Server(&'static str, u32);

    impl Contestant for Server {
        fn name(&self) -> u64 {
            name(self.0)
        }

        fn weight(&self) -> u32 {
            self.1
        }
    }

    const ADDRESSES: [&str; 4] = [
        "10.0.0.1:80",
        "10.0.0.2:80",
        "10.0.0.3:80",
        "unix:/run/a.sock",
    ];

    fn servers(weights: &[u32]) -> Vec<Server> {
        let servers = ADDRESSES.iter().zip(weights);
        servers
            .map(|(address, weight)| Server(address, *weight))
            .collect()
    }

    fn chosen(servers: &[Server], text: &str) -> &'static str {
        let index = choose(Affinity::of(text.as_bytes()), servers, |_| true).unwrap();
        servers[index].0
    }

    #[test]
    fn the_choice_is_the_same_in_every_version() {
        let found: Vec<&str> = (0..12)
            .map(|n| chosen(&servers(&[1, 1, 1, 1]), &format!("room-{n}")))
            .collect();
        let places = found
            .iter()
            .map(|address| ADDRESSES.iter().position(|one| one == address).unwrap());
        assert_eq!(places.collect::<Vec<_>>(), EXPECTED);
        assert_eq!(Affinity::of(b"room-0"), Affinity(KEY));
        assert_eq!(name("10.0.0.1:80"), NAME);
    }

    // Computed by another implementation of both the hash and the lots.
    const EXPECTED: [usize; 12] = [1, 3, 3, 3, 3, 0, 0, 2, 3, 3, 0, 2];
    const KEY: u64 = 0xc9cd_4194_b8fd_378f;
    const NAME: u64 = 0x0bda_c9db_975d_9f08;

    #[test]
    fn keys_are_shared_by_weight() {
        let servers = servers(&[1, 2, 1, 4]);
        let mut counts = [0; 4];
        for n in 0..8000_u32 {
            let key = Affinity::of(&n.to_le_bytes());
            counts[choose(key, &servers, |_| true).unwrap()] += 1;
        }
        for (count, weight) in counts.iter().zip([1, 2, 1, 4]) {
            let expected = weight * 1000;
            assert!(
                (expected - 150..expected + 150).contains(count),
                "{counts:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn who_leaves_moves_nobody_elses_keys(keys in prop::collection::vec(any::<u64>(), 1..50), gone in 0..4_usize) {
            let servers = servers(&[1, 3, 2, 1]);
            for key in keys {
                let key = Affinity(key);
                let before = choose(key, &servers, |_| true).unwrap();
                let after = choose(key, &servers, |one| one.0 != servers[gone].0).unwrap();
                prop_assert!(before == after || before == gone);
            }
        }

        #[test]
        fn the_order_is_of_no_matter(text in ".*", rotate in 0..4_usize) {
            let mut servers = servers(&[1, 3, 2, 1]);
            let before = chosen(&servers, &text);
            servers.rotate_left(rotate);
            prop_assert_eq!(before, chosen(&servers, &text));
        }
    }
}

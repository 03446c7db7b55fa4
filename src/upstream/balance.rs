//! Which endpoint takes the next session. Pure: shares and loads in, an index out.

use crate::config::Balance;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// What balancing needs to know of an endpoint.
pub(super) trait Share {
    /// Relative to the others, at least 1.
    fn weight(&self) -> u32;
    /// Handshakes and sessions on it now.
    fn load(&self) -> u32;
}

/// A way of choosing, with what it must remember.
#[derive(Debug)]
pub(super) enum Balancer {
    /// In turn, by weight.
    RoundRobin(Mutex<Turns>),
    /// Fewest sessions per weight; equals take turns.
    LeastConnections(AtomicUsize),
    /// The better of two drawn at random.
    RandomTwo(Dice),
}

/// Smooth weighted round robin: an endpoint of weight 5 beside two of weight 1 is chosen as
/// `a a b a c a a` and not five times in a row.
#[derive(Debug, Default)]
pub(super) struct Turns {
    credits: Vec<i64>,
}

/// Numbers that nobody relies on being unpredictable: SplitMix64 on a shared counter.
#[derive(Debug)]
pub(super) struct Dice(AtomicU64);

impl Balancer {
    /// Starts without a memory.
    pub(super) fn new(balance: &Balance) -> Self {
        match balance {
            Balance::RoundRobin => Self::RoundRobin(Mutex::default()),
            // Who has no key gets the one with the fewest sessions.
            Balance::LeastConnections | Balance::Hash(_) => {
                Self::LeastConnections(AtomicUsize::default())
            }
            Balance::RandomTwo => Self::RandomTwo(Dice::new(RandomState::new().hash_one(0))),
        }
    }

    /// The next of `shares` among those that are `usable`.
    pub(super) fn choose<S: Share>(
        &self,
        shares: &[S],
        usable: impl Fn(&S) -> bool,
    ) -> Option<usize> {
        match self {
            Self::RoundRobin(turns) => {
                let mut turns = turns.lock().unwrap_or_else(PoisonError::into_inner);
                turns.next(shares, usable)
            }
            Self::LeastConnections(turn) => {
                least_loaded(shares, usable, turn.fetch_add(1, Ordering::Relaxed))
            }
            Self::RandomTwo(dice) => better_of_two(shares, usable, dice),
        }
    }
}

impl Turns {
    fn next<S: Share>(&mut self, shares: &[S], usable: impl Fn(&S) -> bool) -> Option<usize> {
        self.credits.resize(shares.len(), 0);
        let mut total = 0;
        let mut best: Option<usize> = None;
        for (index, share) in shares.iter().enumerate() {
            if !usable(share) {
                continue;
            }
            let weight = i64::from(share.weight());
            total += weight;
            self.credits[index] += weight;
            if best.is_none_or(|best| self.credits[index] > self.credits[best]) {
                best = Some(index);
            }
        }
        self.credits[best?] -= total;
        best
    }
}

impl Dice {
    fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// Below `sides`, which is not 0. The bias of the remainder is of no matter for few sides.
    fn throw(&self, sides: usize) -> usize {
        let step = 0x9e37_79b9_7f4a_7c15;
        let mut word = self.0.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^= word >> 31;
        usize::try_from(word % sides.max(1) as u64).unwrap_or(0)
    }
}

/// Begins with whose `turn` it is, so that equals share what comes.
fn least_loaded<S: Share>(shares: &[S], usable: impl Fn(&S) -> bool, turn: usize) -> Option<usize> {
    let start = turn % shares.len().max(1);
    let order = (start..shares.len()).chain(0..start);
    order
        .filter(|&index| usable(&shares[index]))
        .reduce(
            |best, next| match is_lighter(&shares[next], &shares[best]) {
                true => next,
                false => best,
            },
        )
}

fn better_of_two<S: Share>(
    shares: &[S],
    usable: impl Fn(&S) -> bool,
    dice: &Dice,
) -> Option<usize> {
    let nth = |n: usize| {
        let mut usable = (0..shares.len()).filter(|&index| usable(&shares[index]));
        usable.nth(n)
    };
    let count = shares.iter().filter(|share| usable(share)).count();
    if count < 2 {
        return nth(0);
    }
    let first = dice.throw(count);
    // Among the others, so that the two differ.
    let second = (first + 1 + dice.throw(count - 1)) % count;
    let (first, second) = (nth(first)?, nth(second)?);
    match is_lighter(&shares[second], &shares[first]) {
        true => Some(second),
        false => Some(first),
    }
}

/// Compares what the load per weight would be with one more, without dividing.
fn is_lighter<S: Share>(left: &S, right: &S) -> bool {
    let after = |share: &S| u64::from(share.load()) + 1;
    after(left) * u64::from(right.weight()) < after(right) * u64::from(left.weight())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone, Copy)]
    struct Of {
        weight: u32,
        load: u32,
    }

    impl Share for Of {
        fn weight(&self) -> u32 {
            self.weight
        }

        fn load(&self) -> u32 {
            self.load
        }
    }

    fn shares(of: &[(u32, u32)]) -> Vec<Of> {
        of.iter()
            .map(|&(weight, load)| Of { weight, load })
            .collect()
    }

    fn all(_: &Of) -> bool {
        true
    }

    fn turns(weights: &[u32], count: usize) -> Vec<usize> {
        let shares: Vec<Of> = weights
            .iter()
            .map(|&weight| Of { weight, load: 0 })
            .collect();
        let balancer = Balancer::new(&Balance::RoundRobin);
        (0..count)
            .map(|_| balancer.choose(&shares, all).unwrap())
            .collect()
    }

    #[test]
    fn round_robin_takes_turns_smoothly() {
        assert_eq!(turns(&[1, 1, 1], 6), [0, 1, 2, 0, 1, 2]);
        assert_eq!(turns(&[5, 1, 1], 7), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(turns(&[2, 1], 6), [0, 1, 0, 0, 1, 0]);
    }

    #[test]
    fn the_fewest_sessions_per_weight_are_chosen() {
        let cases: [(&[(u32, u32)], usize); 4] = [
            (&[(1, 3), (1, 2), (1, 4)], 1),
            (&[(1, 3), (10, 20), (1, 4)], 1),
            (&[(1, 0), (2, 2)], 0),
            (&[(2, 4), (1, 2), (4, 3)], 2),
        ];
        let balancer = Balancer::new(&Balance::LeastConnections);
        for (of, expected) in cases {
            for _ in 0..20 {
                assert_eq!(balancer.choose(&shares(of), all), Some(expected), "{of:?}");
            }
        }
    }

    #[test]
    fn equals_share_what_comes() {
        let equals = shares(&[(1, 0), (1, 0), (1, 0)]);
        for balance in [Balance::LeastConnections, Balance::RandomTwo] {
            let balancer = Balancer::new(&balance);
            let mut counts = [0; 3];
            for _ in 0..3000 {
                counts[balancer.choose(&equals, all).unwrap()] += 1;
            }
            assert!(counts.iter().all(|&count| count > 700), "{counts:?}");
        }
    }

    #[test]
    fn the_most_loaded_of_all_is_never_the_better_of_two() {
        let uneven = shares(&[(1, 1), (1, 9), (1, 2)]);
        let balancer = Balancer::new(&Balance::RandomTwo);
        for _ in 0..1000 {
            assert_ne!(balancer.choose(&uneven, all), Some(1));
        }
    }

    fn any_balance() -> impl Strategy<Value = Balance> {
        prop_oneof![
            Just(Balance::RoundRobin),
            Just(Balance::LeastConnections),
            Just(Balance::RandomTwo),
        ]
    }

    proptest! {
        #[test]
        fn one_is_chosen_if_any_is_usable_and_only_of_those(
            balance in any_balance(),
            of in prop::collection::vec((1_u32..50, 0_u32..50, any::<bool>()), 0..12),
        ) {
            let balancer = Balancer::new(&balance);
            let usable: Vec<bool> = of.iter().map(|&(_, _, usable)| usable).collect();
            // The load tells which one it is, so that the predicate can look it up.
            let shares: Vec<Of> = of
                .iter()
                .enumerate()
                .map(|(index, &(weight, _, _))| Of { weight, load: index as u32 })
                .collect();
            for _ in 0..10 {
                let chosen = balancer.choose(&shares, |share| usable[share.load as usize]);
                prop_assert_eq!(chosen.is_some(), usable.contains(&true));
                prop_assert!(chosen.is_none_or(|index| usable[index]));
            }
        }

        #[test]
        fn round_robin_gives_each_its_weight(weights in prop::collection::vec(1_u32..20, 1..8)) {
            let total: u32 = weights.iter().sum();
            let mut counts = vec![0; weights.len()];
            for index in turns(&weights, total as usize) {
                counts[index] += 1;
            }
            prop_assert_eq!(counts, weights);
        }
    }
}

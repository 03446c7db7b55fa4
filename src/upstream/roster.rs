//! Who takes new sessions at the moment, and whose turn it is among them.

use super::balance::{Balancer, Share};
use super::endpoint::{Endpoint, Lease};
use super::rendezvous::{self, Affinity, Contestant};
use crate::config::Balance;
use std::sync::Arc;

/// A set of endpoints; a change makes a new one.
#[derive(Debug)]
pub(super) struct Roster {
    endpoints: Vec<Arc<Endpoint>>,
    balancer: Balancer,
}

/// How often a key is drawn for each endpoint, and in all.
const DRAWS: usize = 16;
const MOST_DRAWS: usize = 256;

impl Roster {
    /// Nobody has had a turn yet.
    pub(super) fn new(endpoints: Vec<Arc<Endpoint>>, balance: &Balance) -> Self {
        Self {
            endpoints,
            balancer: Balancer::new(balance),
        }
    }

    /// All of them.
    pub(super) fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// A place on the endpoint that `affinity` is bound to, or whose turn it is, among those that are
    /// `usable`; one that has just failed comes after all others.
    pub(super) fn lease(
        &self,
        affinity: Option<Affinity>,
        usable: impl Fn(&Arc<Endpoint>) -> bool,
    ) -> Option<Lease> {
        let index = self.pick(affinity, usable)?;
        self.endpoints.get(index).map(Endpoint::lease)
    }

    /// Draws until what is drawn is bound to the endpoint that would take a client without a key, so
    /// that new clients spread as evenly as if nothing bound them. Gives up after some draws for each
    /// endpoint: with hundreds of them chance alone spreads well enough.
    pub(super) fn spread<T>(&self, mut draw: impl FnMut() -> (Affinity, T)) -> (Affinity, T) {
        let wanted = self.pick(None, |_| true);
        let mut drawn = draw();
        for _ in 0..(DRAWS * self.endpoints.len()).min(MOST_DRAWS) {
            if self.pick(Some(drawn.0), |_| true) == wanted {
                break;
            }
            drawn = draw();
        }
        drawn
    }

    fn pick(
        &self,
        affinity: Option<Affinity>,
        usable: impl Fn(&Arc<Endpoint>) -> bool,
    ) -> Option<usize> {
        let is_ready = |endpoint: &Arc<Endpoint>| usable(endpoint) && !endpoint.is_resting();
        self.choose(affinity, is_ready)
            .or_else(|| self.choose(affinity, &usable))
    }

    fn choose(
        &self,
        affinity: Option<Affinity>,
        usable: impl Fn(&Arc<Endpoint>) -> bool,
    ) -> Option<usize> {
        match affinity {
            Some(affinity) => rendezvous::choose(affinity, &self.endpoints, usable),
            None => self.balancer.choose(&self.endpoints, usable),
        }
    }

    /// Whether the same endpoints are in it, in the same order.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let mut pairs = self.endpoints.iter().zip(&other.endpoints);
        self.endpoints.len() == other.endpoints.len()
            && pairs.all(|(one, other)| Arc::ptr_eq(one, other))
    }
}

impl Share for Arc<Endpoint> {
    fn weight(&self) -> u32 {
        self.weight
    }

    fn load(&self) -> u32 {
        self.sessions()
    }
}

impl Contestant for Arc<Endpoint> {
    fn name(&self) -> u64 {
        self.hash
    }

    fn weight(&self) -> u32 {
        self.weight
    }
}

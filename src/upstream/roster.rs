//! Who takes new sessions at the moment, and whose turn it is among them.

use super::balance::{Balancer, Share};
use super::endpoint::{Endpoint, Lease};
use crate::config::Balance;
use std::sync::Arc;

/// A set of endpoints; a change makes a new one.
#[derive(Debug)]
pub(super) struct Roster {
    endpoints: Vec<Arc<Endpoint>>,
    balancer: Balancer,
}

impl Roster {
    /// Nobody has had a turn yet.
    pub(super) fn new(endpoints: Vec<Arc<Endpoint>>, balance: Balance) -> Self {
        Self {
            endpoints,
            balancer: Balancer::new(balance),
        }
    }

    /// All of them.
    pub(super) fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// A place on the endpoint whose turn it is among those that are `usable`.
    pub(super) fn lease(&self, usable: impl Fn(&Arc<Endpoint>) -> bool) -> Option<Lease> {
        let index = self.balancer.choose(&self.endpoints, usable)?;
        self.endpoints.get(index).map(Endpoint::lease)
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

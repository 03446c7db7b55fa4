//! From where a client may come.

use crate::config::NetworkPolicy;
use ipnet::IpNet;
use std::net::IpAddr;
use thiserror::Error;

/// The networks of one route.
#[derive(Debug)]
pub struct NetworkRule {
    allow: Option<Box<[IpNet]>>,
    deny: Box<[IpNet]>,
}

/// The address may not enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NetworkRefusal {
    /// It is on the list of those who may not.
    #[error("the address is denied")]
    Denied,
    /// It is not on the list of those who may.
    #[error("the address is not allowed")]
    NotAllowed,
}

impl NetworkRule {
    /// `allow_ips` and `deny_ips` of a route.
    pub fn new(policy: &NetworkPolicy) -> Self {
        Self {
            allow: policy.allow.clone().map(Into::into),
            deny: policy.deny.clone().into(),
        }
    }

    /// Judges a client's address; `None` for one on a unix socket, which is in no network.
    pub fn check(&self, client: Option<IpAddr>) -> Result<(), NetworkRefusal> {
        let is_in = |networks: &[IpNet]| {
            client.is_some_and(|address| networks.iter().any(|network| network.contains(&address)))
        };
        if is_in(&self.deny) {
            return Err(NetworkRefusal::Denied);
        }
        match &self.allow {
            Some(allow) if !is_in(allow) => Err(NetworkRefusal::NotAllowed),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deny_wins_and_a_list_admits_nobody_else() {
        use NetworkRefusal::{Denied, NotAllowed};
        for (allow, deny, client, expected) in [
            (None, "", Some("192.0.2.7"), Ok(())),
            (None, "", None, Ok(())),
            (None, "192.0.2.0/24", Some("192.0.2.7"), Err(Denied)),
            (None, "192.0.2.0/24", Some("192.0.3.7"), Ok(())),
            (None, "192.0.2.0/24", None, Ok(())),
            (Some("192.0.2.0/24"), "", Some("192.0.2.7"), Ok(())),
            (Some("192.0.2.0/24"), "", Some("192.0.3.7"), Err(NotAllowed)),
            (Some("192.0.2.0/24"), "", Some("::1"), Err(NotAllowed)),
            (Some("0.0.0.0/0"), "", None, Err(NotAllowed)),
            (
                Some("192.0.2.0/24"),
                "192.0.2.7/32",
                Some("192.0.2.7"),
                Err(Denied),
            ),
            (Some("2001:db8::/32"), "", Some("2001:db8::7"), Ok(())),
        ] {
            let rule = NetworkRule::new(&NetworkPolicy {
                allow: allow.map(|network: &str| vec![network.parse().unwrap()]),
                deny: deny.parse().into_iter().collect(),
            });
            let client = client.map(|text| text.parse().unwrap());
            assert_eq!(rule.check(client), expected, "{allow:?} {deny} {client:?}");
        }
    }
}

//! What a route does with the handshakes that match it: its settings, ready for use.

use super::plain::PlainRules;
use super::rates::Rates;
use super::site::{AssembleError, Pools};
use super::ticket::TicketDesk;
use crate::admission::{Admission, NetworkRule, OriginRule, RateLimiter, auth};
use crate::config::{self, Affinity, AuthMethod, Balance, Compression, Listener, Route};
use crate::relay::{Courses, Rules};
use crate::route::Rewrite;
use crate::session::Names;
use crate::upstream::Pool;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;

/// What a route does with a handshake that matched it.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: Arc<str>,
    pub(super) upstream: Arc<str>,
    /// What its sessions share of names, for each listener of the settings.
    pub(super) names: Box<[Arc<Names>]>,
    /// What binds a client to an endpoint.
    pub(super) affinity: Option<Affinity>,
    pub(super) network: NetworkRule,
    pub(super) admission: Admission,
    pub(super) pool: Arc<Pool>,
    pub(super) rewrite: Rewrite,
    /// Empty: any.
    pub(super) subprotocols: Vec<String>,
    pub(super) compression: Compression,
    pub(super) identity_header: Option<HeaderName>,
    pub(super) request_headers: Edits,
    pub(super) response_headers: Edits,
    pub(super) rates: Rates,
    /// The rules of its sessions, and what passes in them.
    pub(super) courses: Courses,
    pub(super) plain: PlainRules,
    pub(super) tickets: Option<TicketDesk>,
}

/// `request_headers`, `response_headers`, ready for use.
#[derive(Debug, Default)]
pub(super) struct Edits {
    set: Vec<(HeaderName, HeaderValue)>,
    remove: Vec<HeaderName>,
}

impl Service {
    /// Compiles a route.
    pub(super) fn new(
        route: &Route,
        listeners: &[Listener],
        methods: &auth::Methods,
        pools: &Pools,
    ) -> Result<Self, AssembleError> {
        let named = |list: &[Arc<AuthMethod>]| {
            let named = list.iter().filter_map(|one| methods.named(&one.name));
            named.cloned().collect::<Vec<_>>()
        };
        let any = named(&route.auth);
        // The settings list every upstream that a route refers to.
        let pool = &pools[&route.upstream.name];
        let identity_header = route
            .identity_header
            .as_deref()
            .map(|name| header(route, name))
            .transpose()?;
        let rates = Rates::new(&route.limits);
        let rules = Arc::new(rules(route, &rates));
        let name: Arc<str> = route.name.as_str().into();
        let upstream: Arc<str> = route.upstream.name.as_str().into();
        let names = |listener: &Listener| Names {
            listener: listener.name.as_str().into(),
            route: name.clone(),
            upstream: upstream.clone(),
        };
        Ok(Self {
            names: listeners.iter().map(names).map(Arc::new).collect(),
            name,
            upstream,
            affinity: match &route.upstream.balance {
                Balance::Hash(affinity) => Some(affinity.clone()),
                _ => None,
            },
            network: NetworkRule::new(&route.network),
            admission: Admission::new(
                OriginRule::new(&route.origin),
                any.clone(),
                named(&route.auth_all),
            )
            .with_limits(&route.limits),
            pool: pool.clone(),
            rewrite: Rewrite {
                strip_prefix: route.strip_prefix.clone(),
                add_prefix: route.add_prefix.clone(),
            },
            subprotocols: route.subprotocols.clone(),
            compression: route.compression,
            identity_header,
            request_headers: edits(route, &route.request_headers)?,
            response_headers: edits(route, &route.response_headers)?,
            rates,
            courses: Courses::new(rules),
            plain: PlainRules::new(route),
            tickets: TicketDesk::new(route, &any),
        })
    }

    /// All that count by time.
    pub(super) fn limiters(&self) -> impl Iterator<Item = Arc<RateLimiter>> {
        let shared = self.rates.shared().iter().cloned();
        self.admission.limiters().chain(shared)
    }

    /// What the route lists of the client's offer, in the client's order.
    pub(super) fn offer(&self, offered: &[String]) -> Vec<String> {
        let is_listed =
            |token: &&String| self.subprotocols.is_empty() || self.subprotocols.contains(token);
        offered.iter().filter(is_listed).cloned().collect()
    }
}

impl Edits {
    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            headers.insert(name.clone(), value.clone());
        }
    }
}

fn rules(route: &Route, rates: &Rates) -> Rules {
    Rules {
        max_message_size: route.limits.max_message_size,
        validate_utf8: route.limits.validate_utf8,
        ping_interval: route.heartbeat.ping_interval,
        pong_timeout: route.heartbeat.pong_timeout,
        idle: route.timeouts.idle,
        max_duration: route.timeouts.max_duration,
        write: route.timeouts.write,
        close: route.timeouts.close,
        limits: rates.limits(),
    }
}

fn edits(route: &Route, edits: &config::HeaderEdits) -> Result<Edits, AssembleError> {
    let invalid = |name: &String| AssembleError::Header {
        route: route.name.clone(),
        name: name.clone(),
    };
    let set = edits.set.iter().map(|(name, value)| {
        let value = HeaderValue::from_str(value).map_err(|_| invalid(name))?;
        header(route, name).map(|name| (name, value))
    });
    let remove = edits.remove.iter().map(|name| header(route, name));
    Ok(Edits {
        set: set.collect::<Result<_, _>>()?,
        remove: remove.collect::<Result<_, _>>()?,
    })
}

fn header(route: &Route, name: &str) -> Result<HeaderName, AssembleError> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| AssembleError::Header {
        route: route.name.clone(),
        name: name.to_owned(),
    })
}

//! What the configuration became: an immutable snapshot that serves.

use super::client::{Client, Trust};
use super::service::Service;
use crate::admission;
use crate::admission::auth::{self, Departed, KeysError};
use crate::config::{self, Listener, Route, Settings};
use crate::http::{Origin, Reserved, Scheme, Target};
use crate::route::{Builder, Clash, Table};
use crate::telemetry::TlsLog;
use crate::tls::{Expiry, ServerTls, TlsError};
use crate::upstream::{Pool, PoolError};
use http::HeaderName;
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Everything that a handshake meets: listeners with their routes, upstreams, ways to prove who one is.
#[derive(Debug)]
pub struct Site {
    listeners: Vec<Entrance>,
    pools: Vec<Arc<Pool>>,
    methods: Vec<Arc<auth::Method>>,
    /// One for each route.
    services: Vec<Arc<Service>>,
    /// What begins a credential among subprotocols, on any route.
    pub(super) markers: Vec<auth::Marker>,
    /// Where tickets are asked for.
    ticket_paths: Box<[Box<str>]>,
    /// Header names that the gateway sets, and so takes out of every client's request.
    pub(super) reserved: Reserved,
    /// Whose word on a client is believed.
    pub(super) trust: Trust,
    /// Whether an upstream is told, by the PROXY protocol, who the client is.
    pub(super) tells_source: bool,
    /// Hosts that a route names: their own origin is to be trusted.
    named_hosts: HashSet<config::HostPattern>,
    /// When it was assembled.
    pub(super) loaded: Instant,
}

/// A listener as connections see it.
#[derive(Debug)]
pub(super) struct Entrance {
    pub(super) name: Arc<str>,
    pub(super) tls: Option<ServerTls>,
    /// Whether a PROXY protocol header comes first.
    pub(super) proxy_protocol: bool,
    pub(super) tls_log: TlsLog,
    /// Where every request is sent on to; `None`: they are served.
    pub(super) redirect_https: Option<u16>,
    pub(super) head_timeout: Duration,
    pub(super) max_header_size: usize,
    /// The scheme that clients used.
    pub(super) scheme: Scheme,
    pub(super) routes: Table<Arc<Service>>,
}

/// Why no site could be made of checked settings: what the files that they name contain.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// A listener's certificates.
    #[error("listener `{listener}`")]
    Listener {
        /// Its name.
        listener: String,
        /// What is wrong.
        #[source]
        cause: Box<TlsError>,
    },
    /// An upstream's roots.
    #[error(transparent)]
    Upstream(#[from] Box<PoolError>),
    /// A password file.
    #[error(transparent)]
    Auth(#[from] Box<auth::MethodError>),
    /// Two routes that no handshake could tell apart.
    #[error("route `{route}` and route `{earlier}` of the same host and path both serve {clash}")]
    Route {
        /// The later of the two.
        route: String,
        /// The other.
        earlier: String,
        /// What they have in common.
        clash: Clash,
    },
    /// A name that no header can have.
    #[error("server.client_ip_header: `{name}` is no header")]
    ClientIpHeader {
        /// As configured.
        name: String,
    },
    /// A header name or value that HTTP does not allow.
    #[error("route `{route}`: `{name}` is no header that can be set")]
    Header {
        /// The route.
        route: String,
        /// The header.
        name: String,
    },
}

/// A task that never ends by itself.
pub type Background = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Site {
    /// Builds everything, or says what in the named files is not usable.
    ///
    /// # Errors
    /// See [`AssembleError`].
    pub fn assemble(settings: &Settings) -> Result<Self, AssembleError> {
        let methods = auth::Methods::build(&settings.auth).map_err(Box::new)?;
        let pools = pools(settings)?;
        let services = services(settings, &methods, &pools)?;
        let tables = tables(settings, &services)?;
        let listeners = settings.listeners.iter().zip(tables).map(entrance);
        Ok(Self {
            listeners: listeners.collect::<Result<_, _>>()?,
            pools: pools.into_values().collect(),
            methods: methods.all(),
            ticket_paths: services
                .iter()
                .filter_map(|service| service.tickets.as_ref()?.path())
                .map(Into::into)
                .collect(),
            services,
            markers: methods.markers(),
            reserved: reserved(settings, &methods),
            trust: Trust::new(&settings.server).ok_or_else(|| AssembleError::ClientIpHeader {
                name: settings.server.client_ip_header.clone(),
            })?,
            tells_source: settings
                .upstreams
                .iter()
                .any(|upstream| upstream.proxy_protocol != config::ProxyProtocol::Off),
            named_hosts: settings
                .routes
                .iter()
                .flat_map(|route| route.hosts.clone())
                .collect(),
            loaded: Instant::now(),
        })
    }

    /// A listener's name.
    pub fn listener_name(&self, index: usize) -> &str {
        &self.listeners[index].name
    }

    pub(super) fn listener(&self, index: usize) -> &Entrance {
        &self.listeners[index]
    }

    /// Whether a route's tickets are asked for at that path.
    pub(super) fn gives_tickets_at(&self, path: &str) -> bool {
        self.ticket_paths.iter().any(|one| **one == *path)
    }

    /// What its routes do, each once.
    pub(super) fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.iter()
    }

    pub(super) fn pools(&self) -> impl Iterator<Item = &Arc<Pool>> {
        self.pools.iter()
    }

    /// Sections of the configuration, each with the number of its entries.
    pub(super) fn entries(&self) -> Vec<(&'static str, usize)> {
        vec![
            ("listeners", self.listeners.len()),
            ("routes", self.services.len()),
            ("upstreams", self.pools.len()),
            ("auth", self.methods.len()),
        ]
    }

    /// Fetches what methods need before they can judge, for who asks before the background has run. Says
    /// which of them cannot have it, and why.
    pub(super) async fn prepare(&self) -> Vec<(Arc<str>, KeysError)> {
        let mut missing = Vec::new();
        for method in &self.methods {
            if let Err(error) = method.prepare().await {
                missing.push((method.name().clone(), error));
            }
        }
        missing
    }

    /// From now on that token admits nobody.
    pub(super) fn refuse_token(&self, method: &str, id: &str) {
        let named = self.methods.iter().find(|one| **one.name() == *method);
        if let Some(method) = named {
            method.refuse_token(id);
        }
    }

    /// Until when certificates, authorities and revocation lists are good, those of listeners first.
    pub fn expiries(&self) -> Vec<Expiry> {
        let shown = self.listeners.iter().filter_map(|one| one.tls.as_ref());
        let shown = shown.flat_map(ServerTls::expiries);
        shown
            .chain(self.pools.iter().flat_map(|pool| pool.expiries()))
            .collect()
    }

    /// The work that goes on behind the handshakes: names resolved again, files followed. Who can no longer
    /// prove to be who it was is `departed`, whose certificate is on a list now is `revoked` by its id.
    pub(super) fn background(
        self: &Arc<Self>,
        departed: &Arc<Departed>,
        revoked: &Arc<dyn Fn(&str) + Send + Sync>,
    ) -> Vec<Background> {
        let mut work: Vec<Background> = Vec::new();
        for pool in &self.pools {
            let pool = Arc::clone(pool);
            work.push(Box::pin(async move { pool.maintain().await }));
        }
        for method in &self.methods {
            let (method, departed) = (Arc::clone(method), Arc::clone(departed));
            work.push(Box::pin(async move { method.follow(&*departed).await }));
        }
        let limiters = self.services.iter().flat_map(|service| service.limiters());
        work.push(Box::pin(admission::housekeeping(limiters.collect())));
        for index in 0..self.listeners.len() {
            let (site, revoked) = (self.clone(), Arc::clone(revoked));
            work.push(Box::pin(async move {
                let entrance = &site.listeners[index];
                let follow = async {
                    if let Some(tls) = &entrance.tls {
                        tls.follow(&*revoked).await;
                    }
                };
                tokio::join!(follow, entrance.tls_log.report());
            }));
        }
        work
    }

    /// The origin of a page that this very host serves; `None` where the host is not one that the
    /// gateway is known by, so that a foreign name pointed at its address (DNS rebinding) is no
    /// origin of ours.
    pub(super) fn own_origin(
        &self,
        listener: &Entrance,
        target: &Target,
        client: &Client,
    ) -> Option<Origin> {
        let authority = client.authority(target);
        self.answers_for(listener, &authority.host)
            .then(|| authority.origin(client.scheme))
    }

    fn answers_for(&self, listener: &Entrance, host: &str) -> bool {
        let is_named = |host: &str| {
            use config::HostPattern::{Exact, Wildcard};
            self.named_hosts.contains(&Exact(host.to_owned()))
                || host.split_once('.').is_some_and(|(_, suffix)| {
                    self.named_hosts.contains(&Wildcard(suffix.to_owned()))
                })
        };
        let is_certified = || {
            listener.tls.as_ref().is_some_and(|tls| {
                tls.names()
                    .iter()
                    .any(|name| match name.strip_prefix("*.") {
                        None => name == host,
                        Some(suffix) => {
                            host.split_once('.').is_some_and(|(_, rest)| rest == suffix)
                        }
                    })
            })
        };
        host == "localhost"
            || host.starts_with('[')
            || host.parse::<std::net::Ipv4Addr>().is_ok()
            || is_named(host)
            || is_certified()
    }
}

/// By name.
pub(super) type Pools = HashMap<String, Arc<Pool>>;

fn pools(settings: &Settings) -> Result<Pools, AssembleError> {
    let build = |upstream: &Arc<config::Upstream>| {
        let pool = Pool::new(upstream.clone()).map_err(Box::new)?;
        Ok((upstream.name.clone(), Arc::new(pool)))
    };
    settings.upstreams.iter().map(build).collect()
}

fn entrance(
    (listener, routes): (&Listener, Table<Arc<Service>>),
) -> Result<Entrance, AssembleError> {
    let tls = listener.tls.as_ref().map(ServerTls::load).transpose();
    let tls = tls.map_err(|cause| AssembleError::Listener {
        listener: listener.name.clone(),
        cause: Box::new(cause),
    })?;
    Ok(Entrance {
        name: listener.name.as_str().into(),
        tls,
        proxy_protocol: listener.proxy_protocol,
        tls_log: TlsLog::new(&listener.name),
        redirect_https: listener.redirect_https,
        head_timeout: listener.head_timeout,
        max_header_size: listener.max_header_size,
        scheme: match listener.public_scheme {
            config::Scheme::Http => Scheme::Http,
            config::Scheme::Https => Scheme::Https,
        },
        routes,
    })
}

/// In the order of the routes.
fn services(
    settings: &Settings,
    methods: &auth::Methods,
    pools: &Pools,
) -> Result<Vec<Arc<Service>>, AssembleError> {
    let listeners = &settings.listeners;
    let service = |route: &Arc<Route>| Service::new(route, listeners, methods, pools).map(Arc::new);
    settings.routes.iter().map(service).collect()
}

/// A table for each listener.
fn tables(
    settings: &Settings,
    services: &[Arc<Service>],
) -> Result<Vec<Table<Arc<Service>>>, AssembleError> {
    let mut builders: Vec<_> = settings
        .listeners
        .iter()
        .map(|_| Table::builder())
        .collect();
    for (route, service) in settings.routes.iter().zip(services) {
        for &index in &route.listeners {
            add(&mut builders[index], route, service)?;
        }
    }
    Ok(builders.into_iter().map(Builder::build).collect())
}

fn add(
    table: &mut Builder<Arc<Service>>,
    route: &Route,
    service: &Arc<Service>,
) -> Result<(), AssembleError> {
    for host in &route.hosts {
        for path in &route.paths {
            let added = table.add(host, path, &route.subprotocols, service.clone());
            added.map_err(|conflict| AssembleError::Route {
                route: route.name.clone(),
                earlier: conflict.earlier.name.to_string(),
                clash: conflict.clash,
            })?;
        }
    }
    Ok(())
}

/// A client must not be able to write what an upstream takes for the gateway's word, on whichever
/// route: every header that any route or method sets is the gateway's on all of them.
fn reserved(settings: &Settings, methods: &auth::Methods) -> Reserved {
    let names = settings.routes.iter().flat_map(|route| {
        let set = route
            .request_headers
            .set
            .iter()
            .map(|(name, _)| name.as_str());
        set.chain(route.identity_header.as_deref())
    });
    // An upstream may know that its balancer's header tells the client, and ours tells it otherwise.
    let told_by_proxies = settings.server.client_ip_header.as_str();
    let told_by_methods = methods.header_names().map(HeaderName::as_str);
    Reserved::new(names.chain(told_by_methods).chain([told_by_proxies]))
}

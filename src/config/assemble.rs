//! From what the files say to [`Settings`]: names resolved, what is there twice found.

use super::admin;
use super::conflict;
use super::encryption;
use super::inline::Serves;
use super::kind::Refers;
use super::listener::ListenerKeys;
use super::method;
use super::network;
use super::problem::{Log, Problem};
use super::reader::{At, Place};
use super::root::Root;
use super::route::RouteKeys;
use super::{AuthMethod, Listener, NetworkPolicy, OriginPolicy, Route, Settings, Upstream};
use std::sync::Arc;

/// The settings, or `None` once `log` knows why not. `whole` is the place of the main file.
pub(super) fn assemble(root: Root, whole: &Place, log: &Log) -> Option<Settings> {
    check_names(&root, log);
    check_presence(&root, whole, log);
    conflict::check(&root, log);
    admin::check(&root, log);
    network::check(&root, log);
    encryption::check(&root, log);
    method::check(&root, log);
    let listeners: Option<Vec<At<ListenerKeys>>> = root.listeners.into_iter().collect();
    let mut names = Names {
        listeners: listeners
            .iter()
            .flatten()
            .map(|keys| keys.value.name())
            .collect(),
        upstreams: defined(root.upstreams),
        auth: defined(root.auth),
    };
    let routes: Vec<Option<Arc<Route>>> = root
        .routes
        .into_iter()
        .map(|route| route.and_then(|keys| names.route(keys.value)).map(Arc::new))
        .collect();
    root.route_defaults?;
    Some(Settings {
        server: root.server?,
        health: match root.health {
            Some(keys) => Some(keys?.into()),
            None => None,
        },
        admin: match root.admin {
            Some(keys) => Some(keys?.into()),
            None => None,
        },
        log: root.log?,
        listeners: listeners?
            .into_iter()
            .map(|keys| Listener::from(keys.value))
            .collect(),
        upstreams: names.upstreams,
        auth: names.auth,
        routes: routes.into_iter().collect::<Option<_>>()?,
    })
}

fn defined<T>(named: Vec<(At<String>, Option<T>)>) -> Vec<Arc<T>> {
    named
        .into_iter()
        .filter_map(|(_, value)| value.map(Arc::new))
        .collect()
}

fn check_presence(root: &Root, whole: &Place, log: &Log) {
    let missing = |what: &str, example: &str| {
        log.add(
            Problem::new(format!("`[[{what}]]` is missing"))
                .at(whole)
                .help(format!("add at least one, such as\n{example}"))
                .absence(),
        );
    };
    if root.listeners.is_empty() {
        missing("listeners", "[[listeners]]\naddress = \"127.0.0.1:8080\"");
    }
    // One that could not be read may be the one that serves.
    let only_redirects = |listener: &Option<At<ListenerKeys>>| {
        let keys = listener.as_ref().map(|listener| &listener.value);
        keys.is_some_and(|keys| keys.redirect_https.value.is_some())
    };
    let is_idle = !root.listeners.is_empty() && root.listeners.iter().all(only_redirects);
    if root.routes.is_empty() && !is_idle {
        missing("routes", "[[routes]]\nupstream = \"ws://localhost:9000\"");
    }
}

fn check_names(root: &Root, log: &Log) {
    // A listener that could not be read may have any name.
    let listeners: Option<Vec<String>> = root
        .listeners
        .iter()
        .map(|keys| keys.as_ref().map(|keys| keys.value.name()))
        .collect();
    if let Some(names) = listeners {
        log.resolve(Refers::Listener, names.iter().map(String::as_str));
    }
    let upstreams = root.upstreams.iter().map(|(name, _)| name.value.as_str());
    log.resolve(Refers::Upstream, upstreams);
    let auth = root.auth.iter().map(|(name, _)| name.value.as_str());
    log.resolve(Refers::Auth, auth);
}

/// What names stand for. Unresolved ones have been reported already.
struct Names {
    listeners: Vec<String>,
    upstreams: Vec<Arc<Upstream>>,
    auth: Vec<Arc<AuthMethod>>,
}

impl Names {
    fn route(&mut self, keys: RouteKeys) -> Option<Route> {
        let (name, hosts, paths) = (keys.name(), keys.hosts(), keys.paths());
        let listeners = self.listeners(keys.listeners)?;
        let auth = self.methods(&keys.auth)?;
        let auth_all = self.methods(&keys.auth_all)?;
        Some(Route {
            name,
            listeners,
            auth,
            auth_all,
            upstream: self.upstream(keys.upstream)?,
            hosts,
            paths,
            subprotocols: keys
                .subprotocols
                .into_iter()
                .flatten()
                .map(|token| token.value)
                .collect(),
            origin: OriginPolicy {
                origins: keys.origins,
                require: keys.require_origin,
            },
            network: NetworkPolicy {
                allow: keys.allow_ips,
                deny: keys.deny_ips,
            },
            strip_prefix: keys.strip_prefix,
            add_prefix: keys.add_prefix,
            identity_header: keys.identity_header,
            request_headers: keys.request_headers,
            response_headers: keys.response_headers,
            http_requests: keys.http_requests,
            cors: keys.cors.map(|cors| cors.value),
            compression: keys.compression,
            limits: keys.limits,
            heartbeat: keys.heartbeat,
            timeouts: keys.timeouts,
        })
    }

    fn listeners(&self, names: Option<Vec<At<String>>>) -> Option<Vec<usize>> {
        let Some(names) = names else {
            return Some((0..self.listeners.len()).collect());
        };
        let index =
            |name: &At<String>| self.listeners.iter().position(|known| *known == name.value);
        names.iter().map(index).collect()
    }

    fn methods(&self, names: &[At<String>]) -> Option<Vec<Arc<AuthMethod>>> {
        let named = |name: &At<String>| {
            let mut all = self.auth.iter();
            all.find(|method| method.name == name.value).cloned()
        };
        names.iter().map(named).collect()
    }

    /// Routes that name the same endpoint share an upstream.
    fn upstream(&mut self, serves: Serves) -> Option<Arc<Upstream>> {
        match serves {
            Serves::Named(name) => self
                .upstreams
                .iter()
                .find(|known| known.name == name)
                .cloned(),
            Serves::Inline(upstream) => {
                if let Some(known) = self
                    .upstreams
                    .iter()
                    .find(|known| known.name == upstream.name)
                {
                    return Some(Arc::clone(known));
                }
                let upstream: Arc<Upstream> = upstream.into();
                self.upstreams.push(Arc::clone(&upstream));
                Some(upstream)
            }
        }
    }
}

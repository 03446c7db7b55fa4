//! What the methods that a route names in `auth` and `auth_all` need to be of any use there.

use super::auth::{AuthKind, CredentialSource};
use super::listener::ListenerKeys;
use super::problem::{Log, Problem};
use super::reader::At;
use super::root::Root;
use super::route::RouteKeys;

/// Reports all of it.
pub(super) fn check(root: &Root, log: &Log) {
    // One that could not be read may ask for certificates.
    let listeners: Option<Vec<&ListenerKeys>> = root
        .listeners
        .iter()
        .map(|listener| listener.as_ref().map(|listener| &listener.value))
        .collect();
    let markers = markers(root);
    for route in root.routes.iter().flatten().map(|route| &route.value) {
        check_subprotocols(route, &markers, log);
        check_tickets(root, route, log);
        if let Some(listeners) = &listeners {
            check_certificates(root, route, listeners, log);
        }
    }
}

/// What begins a credential, on whichever route, is taken out of every offer.
fn check_subprotocols(route: &RouteKeys, markers: &[(&str, &At<String>)], log: &Log) {
    for token in route.subprotocols.iter().flatten() {
        let is_marked = |(marker, _): &&(&str, &At<String>)| match marker.ends_with('.') {
            true => token.value.starts_with(*marker),
            false => token.value == *marker,
        };
        if let Some((_, method)) = markers.iter().find(is_marked) {
            log.add(
                Problem::new(format!(
                    "the subprotocol `{}` would be taken for a credential",
                    token.value
                ))
                .at(&token.place)
                .see(&method.place, "by the `sources` of this method")
                .help("give one of them another name"),
            );
        }
    }
}

/// Each with the name of its method.
fn markers(root: &Root) -> Vec<(&str, &At<String>)> {
    let mut markers = Vec::new();
    for (name, method) in &root.auth {
        let sources = match method.as_ref().map(|method| &method.kind) {
            Some(AuthKind::ApiKey(keys)) => &keys.sources,
            Some(AuthKind::Jwt(jwt)) => &jwt.sources,
            Some(AuthKind::Ticket(ticket)) => &ticket.sources,
            _ => continue,
        };
        for source in sources {
            if let CredentialSource::Subprotocol(marker) = source {
                markers.push((marker.as_str(), name));
            }
        }
    }
    markers
}

/// A ticket is asked for by some other proof, and stands in its place.
fn check_tickets(root: &Root, route: &RouteKeys, log: &Log) {
    let is_ticket = |name: &&At<String>| matches!(kind(root, name), Some(AuthKind::Ticket(_)));
    for name in route.auth_all.iter().filter(is_ticket) {
        log.add(
            Problem::new(format!(
                "`{}` gives tickets, and is in `auth_all`",
                name.value
            ))
            .at(&name.place)
            .label("nobody who has no ticket yet could ask for one")
            .help("list it in `auth`, beside the methods that a ticket stands for"),
        );
    }
    let Some(ticket) = route.auth.iter().find(is_ticket) else {
        return;
    };
    if route.auth.iter().all(|name| is_ticket(&name)) {
        log.add(
            Problem::new(format!("the route `{}` takes tickets alone", route.name()))
                .at(&ticket.place)
                .label("nobody could ask for one")
                .help("list another method beside it, by which tickets are asked for"),
        );
    }
}

fn check_certificates(root: &Root, route: &RouteKeys, listeners: &[&ListenerKeys], log: &Log) {
    let methods = route.auth.iter().chain(&route.auth_all);
    let mut asking =
        methods.filter(|name| matches!(kind(root, name), Some(AuthKind::ClientCert(_))));
    let Some(method) = asking.next() else { return };
    let serves = |listener: &&&ListenerKeys| match &route.listeners {
        Some(names) => names.iter().any(|name| name.value == listener.name()),
        None => true,
    };
    let asks = |listener: &&ListenerKeys| {
        let tls = listener.tls.as_ref();
        tls.is_some_and(|tls| tls.client_ca.is_some())
    };
    if !listeners.iter().filter(serves).any(asks) {
        log.add(
            Problem::new(format!(
                "no listener of the route `{}` asks for certificates",
                route.name()
            ))
            .at(&method.place)
            .help("name their roots: `client_ca = \"clients-ca.pem\"` in `[listeners.tls]`"),
        );
    }
}

fn kind<'r>(root: &'r Root, name: &At<String>) -> Option<&'r AuthKind> {
    let mut named = root.auth.iter().filter(|(key, _)| key.value == name.value);
    let (_, method) = named.next()?;
    method.as_ref().map(|method| &method.kind)
}

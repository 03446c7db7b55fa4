//! Keys of encryption that need or exclude each other, and credentials that would travel in plain
//! text.

use super::Scheme;
use super::listener::{BindAddress, ListenerKeys};
use super::problem::{Log, Problem};
use super::reader::At;
use super::root::Root;
use super::route::RouteKeys;

/// Reports all of it.
pub(super) fn check(root: &Root, log: &Log) {
    let routes: Vec<&RouteKeys> = root
        .routes
        .iter()
        .flatten()
        .map(|route| &route.value)
        .collect();
    for listener in root.listeners.iter().flatten() {
        check_client_certificates(&listener.value, log);
        check_redirect(&listener.value, log);
        check_credentials(&listener.value, &routes, log);
    }
}

/// What says how clients' certificates are checked needs something to check them by.
fn check_client_certificates(listener: &ListenerKeys, log: &Log) {
    let Some(tls) = &listener.tls else { return };
    if tls.client_ca.is_some() {
        return;
    }
    let auth = tls.client_auth.as_ref().map(|auth| &auth.place);
    let crl = tls.crl.as_ref().map(|crl| &crl.place);
    for (key, place) in [("client_auth", auth), ("crl", crl)] {
        if let Some(place) = place {
            log.add(
                Problem::new(format!("`{key}` without `client_ca`"))
                    .at(place)
                    .help("name the roots of the clients' certificates: `client_ca = \"clients-ca.pem\"`"),
            );
        }
    }
}

fn check_redirect(listener: &ListenerKeys, log: &Log) {
    let redirect = &listener.redirect_https;
    if redirect.value.is_none() {
        return;
    }
    if listener.tls.is_some() {
        log.add(
            Problem::new("`redirect_https` on a listener with TLS")
                .at(&redirect.place)
                .help("redirect on a plain listener of its own, such as one with `address = \"0.0.0.0:80\"`"),
        );
    } else if listener.public_scheme == Some(Scheme::Https) {
        log.add(
            Problem::new("`redirect_https` where clients use https already")
                .at(&redirect.place)
                .label("no request would be redirected")
                .help("leave out `redirect_https`, or `public_scheme = \"https\"`"),
        );
    }
}

/// Passwords, keys and tokens must not be asked for where everybody on the way can read them.
fn check_credentials(listener: &ListenerKeys, routes: &[&RouteKeys], log: &Log) {
    if listener.allow_plaintext_auth || is_confidential(listener) {
        return;
    }
    let name = listener.name();
    let asking: Vec<&&RouteKeys> = routes
        .iter()
        .filter(|route| methods(route).next().is_some() && serves(route, &name))
        .collect();
    let Some(method) = asking.first().and_then(|route| methods(route).next()) else {
        return;
    };
    log.add(plaintext(&listener.address, &asking, method));
}

fn methods(route: &RouteKeys) -> impl Iterator<Item = &At<String>> {
    route.auth.iter().chain(&route.auth_all)
}

/// Whether what clients send can be read by nobody else: encrypted, here or before, or never on a
/// wire. A listener that redirects serves only what came by https to a trusted proxy.
fn is_confidential(listener: &ListenerKeys) -> bool {
    let is_local = match &listener.address.value {
        BindAddress::Tcp(address) => address.ip().to_canonical().is_loopback(),
        BindAddress::Unix(_) => true,
    };
    is_local
        || listener.tls.is_some()
        || listener.public_scheme == Some(Scheme::Https)
        || listener.redirect_https.value.is_some()
}

fn serves(route: &RouteKeys, listener: &str) -> bool {
    match &route.listeners {
        Some(names) => names.iter().any(|name| name.value == listener),
        None => true,
    }
}

fn plaintext(address: &At<BindAddress>, asking: &[&&RouteKeys], method: &At<String>) -> Problem {
    let names: Vec<String> = asking
        .iter()
        .map(|route| format!("`{}`", route.name()))
        .collect();
    let routes = match names.len() {
        1 => "the route",
        _ => "the routes",
    };
    Problem::new(format!(
        "credentials for {routes} {} would travel unencrypted",
        names.join(", ")
    ))
    .at(&address.place)
    .label("neither TLS nor this machine alone")
    .see(&method.place, "credentials are asked for here")
    .help("add `[listeners.tls]`")
    .help("or, if TLS ends before wsgate, `public_scheme = \"https\"`")
    .help("or, if everybody on the way may read them, `allow_plaintext_auth = true`")
}

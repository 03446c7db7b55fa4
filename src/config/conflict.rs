//! What is there twice: names, addresses, and routes that claim the same handshakes.

use super::HostPattern;
use super::listener::{BindAddress, ListenerKeys};
use super::problem::{Log, Problem};
use super::reader::{At, Place};
use super::root::Root;
use super::route::RouteKeys;

/// Reports all of it.
pub(super) fn check(root: &Root, log: &Log) {
    check_defined_once("upstream", root.upstreams.iter().map(|(name, _)| name), log);
    check_defined_once(
        "authentication method",
        root.auth.iter().map(|(name, _)| name),
        log,
    );
    let listeners: Vec<&At<ListenerKeys>> = root.listeners.iter().flatten().collect();
    each_with_earlier(&listeners, |first, second| {
        check_listeners(first, second, log)
    });
    let routes: Vec<&At<RouteKeys>> = root.routes.iter().flatten().collect();
    for route in &routes {
        check_lists(&route.value, log);
        super::cors::check(&route.value, log);
    }
    each_with_earlier(&routes, |first, second| check_names(first, second, log));
    each_with_earlier(&routes, |first, second| check_targets(first, second, log));
}

/// Compares each with those before it, to the first with which something is wrong: what is there a
/// thousand times is no reason for half a million reports.
fn each_with_earlier<T: Copy>(items: &[T], is_wrong: impl Fn(T, T) -> bool) {
    for (at, second) in items.iter().enumerate() {
        // Each report is in the log by then.
        _ = items[..at].iter().any(|first| is_wrong(*first, *second));
    }
}

fn check_defined_once<'n>(what: &str, names: impl Iterator<Item = &'n At<String>>, log: &Log) {
    check_values(
        names,
        |name| format!("the {what} `{name}` is defined twice"),
        log,
    );
}

/// The same value twice.
fn check_values<'n>(
    values: impl Iterator<Item = &'n At<String>>,
    title: impl Fn(&str) -> String,
    log: &Log,
) {
    let values: Vec<&At<String>> = values.collect();
    each_with_earlier(&values, |first, second| {
        let is_twice = first.value == second.value;
        if is_twice {
            log.add(twice(title(&second.value), &first.place, &second.place));
        }
        is_twice
    });
}

/// A problem with what stands in two places.
pub(super) fn twice(title: String, first: &Place, second: &Place) -> Problem {
    Problem::new(title)
        .at(second)
        .label("again here")
        .see(first, "first here")
}

/// Says what is wrong, and whether anything is.
fn check_listeners(first: &At<ListenerKeys>, second: &At<ListenerKeys>, log: &Log) -> bool {
    let (first, second) = (&first.value, &second.value);
    let is_free_port =
        matches!(&second.address.value, BindAddress::Tcp(address) if address.port() == 0);
    if first.address.value == second.address.value && !is_free_port {
        let title = format!("two listeners have the address `{}`", second.address.value);
        log.add(twice(title, &first.address.place, &second.address.place));
    } else if first.name() == second.name() {
        let place = |keys: &ListenerKeys| match &keys.name {
            Some(name) => name.place.clone(),
            None => keys.address.place.clone(),
        };
        let title = format!("two listeners are named `{}`", second.name());
        log.add(twice(title, &place(first), &place(second)).help("give each a `name` of its own"));
    } else {
        return false;
    }
    true
}

/// The same name twice in one list.
fn check_lists(route: &RouteKeys, log: &Log) {
    let lists = [
        (
            "subprotocol",
            route.subprotocols.as_deref().unwrap_or_default(),
        ),
        ("listener", route.listeners.as_deref().unwrap_or_default()),
    ];
    let methods = route.auth.iter().chain(&route.auth_all);
    let lists = lists.into_iter().map(|(what, list)| (what, list.iter()));
    check_values(
        methods,
        |value| format!("the authentication method `{value}` is listed twice"),
        log,
    );
    for (what, list) in lists {
        check_values(
            list,
            |value| format!("the {what} `{value}` is listed twice"),
            log,
        );
    }
}

fn check_names(first: &At<RouteKeys>, second: &At<RouteKeys>, log: &Log) -> bool {
    let name = second.value.name();
    let is_twice = first.value.name() == name;
    if is_twice {
        let place = |route: &At<RouteKeys>| match &route.value.name {
            Some(name) => name.place.clone(),
            None => route.place.clone(),
        };
        let problem = twice(
            format!("two routes are named `{name}`"),
            &place(first),
            &place(second),
        );
        log.add(problem.help("give each a `name` of its own"));
    }
    is_twice
}

fn check_targets(first: &At<RouteKeys>, second: &At<RouteKeys>, log: &Log) -> bool {
    if !share_listener(&first.value, &second.value) {
        return false;
    }
    let shared = shared_target(&first.value, &second.value);
    shared.is_some_and(|what| check_subprotocols(&what, first, second, log))
}

fn share_listener(first: &RouteKeys, second: &RouteKeys) -> bool {
    match (&first.listeners, &second.listeners) {
        (Some(first), Some(second)) => first
            .iter()
            .any(|name| second.iter().any(|other| name.value == other.value)),
        _ => true,
    }
}

/// A host and path that both serve.
fn shared_target(first: &RouteKeys, second: &RouteKeys) -> Option<String> {
    let (hosts, paths) = (second.hosts(), second.paths());
    let host = first
        .hosts()
        .into_iter()
        .find(|host| hosts.contains(host))?;
    let path = first
        .paths()
        .into_iter()
        .find(|path| paths.contains(path))?;
    Some(match host {
        HostPattern::Any => format!("`{path}` on any host"),
        host => format!("`{host}{path}`"),
    })
}

/// Of two routes for the same `what` each handshake must belong to one.
fn check_subprotocols(
    what: &str,
    first: &At<RouteKeys>,
    second: &At<RouteKeys>,
    log: &Log,
) -> bool {
    match (&first.value.subprotocols, &second.value.subprotocols) {
        (None, None) => {
            let title = format!("two routes serve {what}");
            log.add(
                twice(title, &first.place, &second.place)
                    .help("give them different hosts, paths, listeners or `subprotocols`"),
            );
            true
        }
        (Some(first), Some(second)) => {
            let mut is_shared = false;
            for token in second {
                if let Some(other) = first.iter().find(|other| other.value == token.value) {
                    let title = format!(
                        "two routes serve the subprotocol `{}` of {what}",
                        token.value
                    );
                    log.add(twice(title, &other.place, &token.place));
                    is_shared = true;
                }
            }
            is_shared
        }
        _ => false,
    }
}

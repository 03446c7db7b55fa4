//! Clients that are bound to an endpoint: by what they bring, or by a cookie that they are given.

use crate::harness::gateway::LISTENER;
use crate::harness::peer::{Peer, nobody};
use crate::harness::{Answer, Gateway, Handshake, Leg, peer, sha256};
use std::collections::{BTreeMap, BTreeSet};

const NAMES: [&str; 3] = ["red", "green", "blue"];
/// Ports are random, and so is who gets whom: so many that in no run an endpoint gets none.
const CLIENTS: usize = 64;
const OWN_COOKIE: &str = "balance = { hash = \"cookie:io_backend\", issue = true }";

/// What the client of that number sends.
type Brings = fn(usize) -> Handshake;

/// Endpoints that tell who they are.
struct Backends(Vec<Peer>);

impl Backends {
    async fn start(count: usize) -> Self {
        let mut peers = Vec::new();
        for name in &NAMES[..count] {
            peers.push(peer::named(name).await);
        }
        Self(peers)
    }

    fn urls(&self) -> Vec<String> {
        self.0.iter().map(Peer::url).collect()
    }
}

/// A gateway before `urls`, whose callers may say who their client is.
fn gateway(urls: &[String], balance: &str, route: &str) -> Gateway {
    Gateway::start(&format!(
        "[server]
        trusted_proxies = [\"127.0.0.1\"]
        {LISTENER}
        [upstreams.io]
        endpoints = {urls:?}
        {balance}
        [[routes]]
        upstream = \"io\"
        {route}"
    ))
}

async fn enter(gateway: &Gateway, handshake: &Handshake) -> (Leg, String, Answer) {
    let (leg, answer) = gateway.ask(handshake).await;
    assert_eq!(answer.status, 101, "{answer:?}");
    let server = answer.header("X-Served-By").unwrap().to_owned();
    (leg, server, answer)
}

async fn server(gateway: &Gateway, handshake: &Handshake) -> String {
    enter(gateway, handshake).await.1
}

fn given(answer: &Answer) -> Vec<&str> {
    answer.all("Set-Cookie").collect()
}

fn named(name: &str, value: &str) -> Handshake {
    Handshake::new("/").with(name, value)
}

#[tokio::test]
async fn one_key_means_one_endpoint_on_every_gateway() {
    let backends = Backends::start(3).await;
    let urls = backends.urls();
    let reversed: Vec<String> = urls.iter().rev().cloned().collect();
    let by: [(&str, Brings); 5] = [
        ("client_ip", |n| {
            named("X-Forwarded-For", &format!("192.0.2.{n}"))
        }),
        ("path", |n| Handshake::new(&format!("/room/{n}?a={n}"))),
        ("header:X-Room", |n| named("X-Room", &n.to_string())),
        ("cookie:room", |n| {
            named("Cookie", &format!("a=1; room={n}"))
        }),
        ("query:room", |n| Handshake::new(&format!("/?a=1&room={n}"))),
    ];
    for (hash, handshake) in by {
        let balance = format!("balance = {{ hash = \"{hash}\" }}");
        let one = gateway(&urls, &balance, "");
        let other = gateway(&reversed, &balance, "");
        let mut found = BTreeSet::new();
        for n in 0..CLIENTS {
            let first = server(&one, &handshake(n)).await;
            assert_eq!(server(&one, &handshake(n)).await, first, "{hash} {n}");
            assert_eq!(server(&other, &handshake(n)).await, first, "{hash} {n}");
            found.insert(first);
        }
        assert_eq!(found.len(), 3, "{hash}");
    }
}

#[tokio::test]
async fn the_identity_binds() {
    let backends = Backends::start(2).await;
    let keys: Vec<String> = (0..CLIENTS)
        .map(|n| format!("robot-{n} = {{ sha256 = \"{}\" }}", sha256(&key(n))))
        .collect();
    let auth = format!(
        "auth = [\"robots\"]
        [auth.robots]
        kind = \"api_key\"
        keys = {{ {} }}
        sources = [\"header:X-API-Key\"]",
        keys.join(", ")
    );
    let gateway = gateway(&backends.urls(), "balance = { hash = \"identity\" }", &auth);
    let mut found = BTreeSet::new();
    for n in 0..CLIENTS {
        let handshake = named("X-API-Key", &key(n));
        let first = server(&gateway, &handshake).await;
        assert_eq!(server(&gateway, &handshake).await, first);
        found.insert(first);
    }
    assert_eq!(found.len(), 2);
}

fn key(n: usize) -> String {
    format!("a-long-enough-key-{n}")
}

#[tokio::test]
async fn three_clients_behind_one_address_spread_and_stay() {
    let backends = Backends::start(2).await;
    let gateway = gateway(&backends.urls(), OWN_COOKIE, "");
    let mut clients = Vec::new();
    for _ in 0..3 {
        // Not one after the other: what is on an endpoint counts, not only whose turn it is.
        clients.push(enter(&gateway, &Handshake::new("/")).await);
    }
    let used: BTreeSet<&String> = clients.iter().map(|(_, server, _)| server).collect();
    assert_eq!(used.len(), 2);
    for (_, first, answer) in &clients {
        let cookie = given(answer)[0].split(';').next().unwrap();
        for _ in 0..4 {
            let (_, again, answer) = enter(&gateway, &named("Cookie", cookie)).await;
            assert_eq!(&again, first);
            assert!(given(&answer).is_empty(), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn clients_without_a_key_spread_evenly() {
    let backends = Backends::start(3).await;
    for balance in [OWN_COOKIE, "balance = { hash = \"header:X-Room\" }"] {
        let gateway = gateway(&backends.urls(), balance, "");
        let mut clients = Vec::new();
        let mut counts = BTreeMap::<String, usize>::new();
        for _ in 0..12 {
            let (leg, server, _) = enter(&gateway, &Handshake::new("/")).await;
            clients.push(leg);
            *counts.entry(server).or_default() += 1;
        }
        assert_eq!(counts.into_values().collect::<Vec<_>>(), [4, 4, 4]);
    }
}

#[tokio::test]
async fn the_cookie_says_nothing_and_obeys_the_browsers_rules() {
    let backends = Backends::start(2).await;
    let balance = "balance = { hash = \"cookie:io_backend\", issue = true, same_site = \"none\", max_age = \"1h\" }";
    let gateway = gateway(&backends.urls(), balance, "");
    for (scheme, attributes) in [
        ("http", "Path=/; HttpOnly; SameSite=Lax; Max-Age=3600"),
        (
            "https",
            "Path=/; HttpOnly; SameSite=None; Partitioned; Secure; Max-Age=3600",
        ),
    ] {
        let handshake = named("X-Forwarded-Proto", scheme).with("X-Forwarded-For", "192.0.2.7");
        let (_leg, _, answer) = enter(&gateway, &handshake).await;
        let [cookie] = given(&answer)[..] else {
            panic!("{answer:?}");
        };
        let (pair, rest) = cookie.split_once("; ").unwrap();
        assert_eq!(rest, attributes);
        let value = pair.strip_prefix("io_backend=").unwrap();
        assert!(value.len() == 32 && value.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}

#[tokio::test]
async fn the_cookie_is_given_on_ordinary_requests_too() {
    let one =
        peer::answers("HTTP/1.1 200 OK\r\nSet-Cookie: app=1\r\nContent-Length: 2\r\n\r\nok").await;
    let gateway = gateway(&[one.url()], OWN_COOKIE, "http_requests = \"proxy\"");
    let (_leg, answer) = gateway
        .ask(&Handshake::plain("/socket.io/?transport=polling"))
        .await;
    let cookies = given(&answer);
    assert_eq!(cookies.len(), 2, "{answer:?}");
    assert_eq!(cookies[0], "app=1");
    assert!(cookies[1].starts_with("io_backend="));
}

#[tokio::test]
async fn who_is_refused_is_given_nothing() {
    let backends = Backends::start(2).await;
    let route = "origins = [\"https://app.test\"]";
    let gateway = gateway(&backends.urls(), OWN_COOKIE, route);
    let (_leg, answer) = gateway.ask(&named("Origin", "https://evil.test")).await;
    assert_eq!(answer.status, 403);
    assert!(given(&answer).is_empty());
}

#[tokio::test]
async fn an_endpoint_that_is_gone_gives_up_its_own_clients_and_no_others() {
    let backends = Backends::start(2).await;
    let mut urls = backends.urls();
    let balance = "balance = { hash = \"header:X-Room\" }";
    let whole = gateway(&urls, balance, "");
    let mut before = Vec::new();
    for n in 0..CLIENTS {
        before.push(server(&whole, &named("X-Room", &n.to_string())).await);
    }
    assert!(before.contains(&"red".to_owned()) && before.contains(&"green".to_owned()));

    // One more that takes no connections: its clients go to the next best, everybody else stays.
    urls.push(nobody().await);
    let broken = gateway(&urls, balance, "");
    for (n, first) in before.iter().enumerate() {
        let handshake = named("X-Room", &n.to_string());
        assert_eq!(&server(&broken, &handshake).await, first);
        assert_eq!(&server(&broken, &handshake).await, first);
    }
}

#[tokio::test]
async fn cookies_that_are_empty_or_doubled_do_no_harm() {
    let backends = Backends::start(2).await;
    let gateway = gateway(&backends.urls(), OWN_COOKIE, "");
    let (_leg, _, answer) = enter(&gateway, &named("Cookie", "io_backend=")).await;
    assert_eq!(given(&answer).len(), 1);
    let long = format!("io_backend={}", "x".repeat(4000));
    let first = server(&gateway, &named("Cookie", &long)).await;
    let doubled = format!("{long}; io_backend=other");
    assert_eq!(server(&gateway, &named("Cookie", &doubled)).await, first);
}

//! Upstreams that are names: what they stand for, and when that changes.

use super::peer::{Behaviour, Peer};
use super::*;
use crate::upstream::resolve::tests::{Script, addresses};
use tokio::time::timeout;

fn named() -> Upstream {
    settings(vec![EndpointAddress::Tcp {
        tls: false,
        host: "chat.test".to_owned(),
        port: 8080,
    }])
}

fn named_pool(settings: Upstream, script: &Arc<Script>) -> Pool {
    Pool::with_lookup(Arc::new(settings), script.lookup()).unwrap()
}

async fn two_peers() -> (Peer, Peer) {
    let one = Peer::that(Behaviour::Agrees).await;
    (one, Peer::that(Behaviour::Agrees).await)
}

#[tokio::test]
async fn each_address_of_a_name_is_an_endpoint() {
    let (one, other) = two_peers().await;
    let script = Script::at_once(vec![Ok(vec![one.address, other.address])]);
    let pool = named_pool(named(), &script);
    for _ in 0..4 {
        pool.open(&ask()).await.unwrap();
    }
    assert_eq!((one.accepted(), other.accepted()), (2, 2));
    assert_eq!(script.asked(), 1);
}

#[tokio::test]
async fn a_name_that_is_the_endpoint_is_dialled_at_its_next_address() {
    let closed = ClosedPort::new();
    let peer = Peer::that(Behaviour::Agrees).await;
    let script = Script::at_once(vec![Ok(vec![closed.address, peer.address])]);
    let mut settings = named();
    settings.resolve = Resolve::One;
    settings.host_header = HostHeader::Endpoint;
    let opened = named_pool(settings, &script).open(&ask()).await.unwrap();
    assert_eq!(opened.lease.name(), "chat.test:8080");
    assert_eq!(opened.attempts, 1);
    assert!(peer.asked()[0].contains("\r\nHost: chat.test:8080\r\n"));
}

#[tokio::test]
async fn an_address_that_leaves_keeps_its_sessions_and_takes_no_new_ones() {
    let (old, new) = two_peers().await;
    let script = Script::at_once(vec![Ok(vec![old.address]), Ok(vec![new.address])]);
    let mut settings = named();
    settings.balance = Balance::LeastConnections;
    let pool = named_pool(settings, &script);
    let kept = pool.open(&ask()).await.unwrap();
    assert_eq!(kept.lease.name(), old.address.to_string());

    pool.refresh().await;
    let opened = pool.open(&ask()).await.unwrap();
    assert_eq!(opened.lease.name(), new.address.to_string());
    assert_eq!(sessions(&kept), 1);
}

#[tokio::test]
async fn an_endpoint_that_stays_keeps_its_count_and_its_turn() {
    let (one, other) = two_peers().await;
    let (a, b) = (one.address, other.address);
    let script = Script::at_once(vec![Ok(vec![a, b]), Ok(vec![b, a])]);
    let pool = named_pool(named(), &script);
    let first = pool.open(&ask()).await.unwrap();
    pool.refresh().await;
    assert_eq!(script.asked(), 2);
    let second = pool.open(&ask()).await.unwrap();
    assert_ne!(first.lease.name(), second.lease.name());
    assert_eq!(pool.sessions(), 2);
}

#[tokio::test(start_paused = true)]
async fn names_are_asked_at_each_interval_and_outages_change_nothing() {
    let script = Script::at_once(vec![Ok(addresses(&[1, 2])), Err("outage"), Ok(Vec::new())]);
    let pool = named_pool(named(), &script);
    assert_eq!(pool.endpoints(), 0);
    let kept = timeout(Duration::from_secs(95), pool.maintain()).await;
    assert!(kept.is_err(), "maintaining never ends");
    assert_eq!(script.asked(), 4);
    assert_eq!(pool.endpoints(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_hangs_does_not_hold_up_the_others() {
    let hangs = Script::new(Duration::from_secs(3600), vec![Ok(Vec::new())]);
    let answers = Script::at_once(vec![Ok(addresses(&[1]))]);
    let mut settings = named();
    let mut other = settings.endpoints[0].clone();
    if let EndpointAddress::Tcp { host, .. } = &mut other.address {
        "other.test".clone_into(host);
    }
    settings.endpoints.push(other);
    let (hangs, answers) = (hangs.lookup(), answers.lookup());
    let lookup: crate::upstream::resolve::Lookup = Arc::new(move |host, port| match &*host {
        "chat.test" => hangs(host, port),
        _ => answers(host, port),
    });
    let pool = Pool::with_lookup(Arc::new(settings), lookup).unwrap();
    let _ = timeout(Duration::from_secs(1), pool.maintain()).await;
    assert_eq!(pool.endpoints(), 1);
}

#[tokio::test]
async fn maintaining_addresses_never_ends_and_asks_nobody() {
    let pool = pool_of(&["127.0.0.1:1".parse().unwrap()]);
    let kept = timeout(Duration::ZERO, pool.maintain()).await;
    assert!(kept.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_hangs_holds_nobody_longer_than_open_timeout() {
    let script = Script::new(Duration::from_secs(3600), vec![Ok(Vec::new())]);
    let mut settings = named();
    settings.open_timeout = Duration::from_secs(2);
    let pool = named_pool(settings, &script);
    let begun = tokio::time::Instant::now();
    let error = pool.open(&ask()).await.unwrap_err();
    assert_eq!(error.label(), "resolve_timeout");
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_never_had_an_answer_is_no_endpoint() {
    let script = Script::at_once(vec![Err("no such host")]);
    let error = named_pool(named(), &script).open(&ask()).await.unwrap_err();
    assert_eq!(error.label(), "no_endpoint");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "`chat.test` cannot be resolved: no such host");
}

#[tokio::test]
async fn an_endpoint_beside_an_unknown_name_serves_at_once() {
    let peer = Peer::that(Behaviour::Agrees).await;
    let script = Script::new(Duration::from_secs(3600), vec![Ok(Vec::new())]);
    let mut settings = named();
    settings.endpoints.push(Endpoint {
        address: ws(peer.address),
        weight: 1,
    });
    let pool = named_pool(settings, &script);
    pool.open(&ask()).await.unwrap();
    assert_eq!(script.asked(), 0);
}

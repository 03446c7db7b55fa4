//! When another endpoint is asked, and who takes turns.

use super::peer::{Behaviour, Peer};
use super::*;

#[tokio::test]
async fn another_endpoint_is_asked_only_if_the_first_cannot_have_begun() {
    use Behaviour::*;
    let cases = [
        (ClosesBeforeAnswer, true),
        (ResetsBeforeAnswer, true),
        (AcceptsAndStaysSilent, false),
        (CutsItsHeadAt(20), false),
        (ClosesAfterInterim, false),
        (WrongAccept, false),
    ];
    for (behaviour, is_retried) in cases {
        let faulty = Peer::that(behaviour).await;
        let agrees = Peer::that(Agrees).await;
        let pool = pool_of(&[faulty.address, agrees.address]);
        let opened = pool.open(&ask()).await;
        assert_eq!(opened.is_ok(), is_retried, "{behaviour:?}");
        if let Ok(opened) = opened {
            assert_eq!(opened.attempts, 2, "{behaviour:?}");
            assert_eq!(opened.lease.name(), agrees.address.to_string());
        }
    }
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_passed_over() {
    let agrees = Peer::that(Behaviour::Agrees).await;
    let closed = ClosedPort::new();
    let pool = pool_of(&[closed.address, agrees.address]);
    for _ in 0..4 {
        let opened = pool.open(&ask()).await.unwrap();
        assert_eq!(opened.lease.name(), agrees.address.to_string());
    }
}

#[tokio::test]
async fn no_endpoint_is_asked_twice_and_no_more_than_configured() {
    let mut addresses = Vec::new();
    let mut peers = Vec::new();
    for _ in 0..4 {
        let peer = Peer::that(Behaviour::ClosesBeforeAnswer).await;
        addresses.push(peer.address);
        peers.push(peer);
    }
    let asked = |peers: &[Peer]| peers.iter().map(Peer::accepted).collect::<Vec<_>>();

    let error = pool_of(&addresses).open(&ask()).await.unwrap_err();
    assert_eq!(error.label(), "lost");
    assert_eq!(asked(&peers), [1, 1, 1, 0]);

    let error = pool_of(&addresses[..2]).open(&ask()).await.unwrap_err();
    assert_eq!(error.label(), "lost");
    assert_eq!(asked(&peers), [2, 2, 1, 0]);

    let mut once = settings(addresses.iter().copied().map(ws).collect());
    once.retries = 0;
    pool(once).open(&ask()).await.unwrap_err();
    assert_eq!(asked(&peers), [3, 2, 1, 0]);
}

#[tokio::test]
async fn a_lone_endpoint_that_refuses_is_asked_once() {
    let closed = ClosedPort::new();
    let error = pool_of(&[closed.address]).open(&ask()).await.unwrap_err();
    assert_eq!(error.label(), "connect_failed");
    assert_eq!(error.side(), crate::upstream::Side::Upstream);
}

#[tokio::test]
async fn endpoints_take_turns_by_weight() {
    let heavy = Peer::that(Behaviour::Agrees).await;
    let light = Peer::that(Behaviour::Agrees).await;
    let mut settings = settings(vec![ws(heavy.address), ws(light.address)]);
    settings.endpoints[0].weight = 3;
    let pool = pool(settings);
    for _ in 0..8 {
        pool.open(&ask()).await.unwrap();
    }
    assert_eq!((heavy.accepted(), light.accepted()), (6, 2));
}

#[tokio::test]
async fn the_endpoint_with_fewer_sessions_is_next() {
    let one = Peer::that(Behaviour::Agrees).await;
    let other = Peer::that(Behaviour::Agrees).await;
    let mut settings = settings(vec![ws(one.address), ws(other.address)]);
    settings.balance = Balance::LeastConnections;
    let pool = pool(settings);
    let mut live = Vec::new();
    for _ in 0..6 {
        live.push(pool.open(&ask()).await.unwrap());
    }
    assert_eq!((one.accepted(), other.accepted()), (3, 3));
    live.retain(|opened| opened.lease.name() == one.address.to_string());
    for _ in 0..3 {
        live.push(pool.open(&ask()).await.unwrap());
    }
    assert_eq!((one.accepted(), other.accepted()), (3, 6));
}

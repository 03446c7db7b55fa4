//! How many handshakes may be in flight, and what those beyond are told.

use crate::harness::gateway::LISTENER;
use crate::harness::{Answer, Authority, Gateway, Handshake, Leg, Upstream, peer, within};
use tempfile::TempDir;
use tokio::net::TcpStream;

fn gateway(url: &str, max: usize) -> Gateway {
    Gateway::start(&format!(
        "[server]\nworkers = 1\nmax_handshakes = {max}\n{LISTENER}[[routes]]\nupstream = \"{url}\""
    ))
}

#[track_caller]
fn assert_refused(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.header("Retry-After"), Some("5"), "{answer:?}");
    assert!(answer.body.contains("too many handshakes"), "{answer:?}");
}

/// Asks until there is a slot again.
async fn is_served(gateway: &Gateway) {
    within("a free slot", async {
        while gateway.status(&Handshake::new("/")).await != 101 {}
    })
    .await;
}

#[tokio::test]
async fn beyond_so_many_stalled_clients_the_next_gets_503_until_they_leave() {
    let echo = peer::echo().await;
    let gateway = gateway(&echo.url(), 3);
    let mut stalled = Vec::new();
    for start in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\n"] {
        let mut client = gateway.connect().await;
        client.send(start).await;
        stalled.push(client);
    }
    for _ in 0..3 {
        assert_refused(&gateway.ask(&Handshake::new("/")).await.1);
    }
    assert_refused(&gateway.ask(&Handshake::plain("/")).await.1);
    drop(stalled);
    is_served(&gateway).await;
}

#[tokio::test]
async fn a_handshake_that_waits_for_its_upstream_is_in_flight() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream.url(), 1);
    let mut waiting = gateway.connect().await;
    waiting
        .send(Handshake::new("/").bytes(gateway.address()))
        .await;
    let mut server = upstream.accept().await;
    assert_refused(&gateway.ask(&Handshake::new("/")).await.1);
    server.agree().await;
    assert_eq!(waiting.answer().await.status, 101);
    let (_next, _leg) = tokio::join!(is_served(&gateway), upstream.serve());
    gateway.has_sessions(2).await;
}

#[tokio::test]
async fn sessions_and_idle_connections_are_not_in_flight() {
    let gateway = gateway("builtin:echo", 1);
    let ask = Handshake::plain("/").bytes(gateway.address());
    let mut idle = Vec::new();
    for _ in 0..5 {
        let mut client = gateway.connect().await;
        client.send(&ask).await;
        assert_eq!(client.answer().await.status, 200);
        idle.push(client);
    }
    let mut sessions = Vec::new();
    for _ in 0..5 {
        sessions.push(gateway.open().await);
    }
    for client in &mut idle {
        client.send(&ask).await;
        assert_eq!(client.answer().await.status, 200, "the next one on it");
    }
}

#[tokio::test]
async fn a_stalled_client_holds_its_slot_no_longer_than_the_heads_deadline() {
    let echo = peer::echo().await;
    let gateway = Gateway::start(&format!(
        "[server]\nworkers = 1\nmax_handshakes = 1\n{LISTENER}head_timeout = \"300ms\"
        [[routes]]\nupstream = \"{}\"",
        echo.url()
    ));
    let mut stalled = gateway.connect().await;
    stalled.send("GET /").await;
    is_served(&gateway).await;
    assert_eq!(stalled.answer().await.status, 408);
}

/// One slot, and a certificate for `a.example`.
fn tls_gateway(authority: &Authority, url: &str) -> Gateway {
    let folder = TempDir::new().unwrap();
    authority.write(folder.path(), "a", &["a.example"]);
    Gateway::start_in(
        folder,
        &format!(
            "[server]\nworkers = 1\nmax_handshakes = 1\n{LISTENER}
            [listeners.tls]
            certificates = [{{ cert = \"a.pem\", key = \"a.key\" }}]
            [[routes]]
            upstream = \"{url}\""
        ),
    )
}

async fn ask_by_tls(gateway: &Gateway, authority: &Authority) -> Answer {
    let mut client = gateway.connect_tls(authority, "a.example").await;
    let ask = Handshake::new("/").host("a.example");
    client.send(ask.bytes(gateway.address())).await;
    client.answer().await
}

#[tokio::test]
async fn clients_that_stall_within_tls_take_slots_and_the_next_is_told_over_tls() {
    let authority = Authority::new();
    let echo = peer::echo().await;
    let gateway = tls_gateway(&authority, &echo.url());
    let stalled = gateway.connect().await;
    assert_refused(&ask_by_tls(&gateway, &authority).await);
    drop(stalled);
    within("a free slot", async {
        while ask_by_tls(&gateway, &authority).await.status != 101 {}
    })
    .await;
}

#[tokio::test]
async fn beyond_the_reserve_a_connection_is_closed() {
    let authority = Authority::new();
    let echo = peer::echo().await;
    let gateway = tls_gateway(&authority, &echo.url());
    // One has the slot, sixteen the reserve, and the others nothing.
    let mut stalled: Vec<Leg> = Vec::new();
    for _ in 0..20 {
        stalled.push(gateway.connect().await);
    }
    for client in &mut stalled[17..] {
        client.ended().await;
    }
    let silent = TcpStream::connect(gateway.address()).await.unwrap();
    assert!(
        authority.connect(silent, "a.example").await.is_err(),
        "no TLS at all"
    );
    stalled.truncate(17);
    drop(stalled);
    within("a free slot", async {
        while ask_by_tls(&gateway, &authority).await.status != 101 {}
    })
    .await;
}

//! How many handshakes may be in flight, and what those beyond are told.

use crate::harness::gateway::LISTENER;
use crate::harness::{Answer, Authority, Gateway, Handshake, Leg, Upstream, breath, peer, within};
use tempfile::TempDir;

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
async fn clients_that_have_not_asked_yet_are_not_in_flight() {
    let echo = peer::echo().await;
    let gateway = gateway(&echo.url(), 1);
    let mut stalled = Vec::new();
    for start in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\n"] {
        let mut client = gateway.connect().await;
        client.send(start).await;
        stalled.push(client);
    }
    for _ in 0..3 {
        assert_eq!(gateway.status(&Handshake::new("/")).await, 101);
    }
}

#[tokio::test]
async fn handshakes_that_wait_for_their_upstream_are_in_flight() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream.url(), 2);
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let client = gateway.send(&Handshake::new("/")).await;
        waiting.push((client, upstream.accept().await));
    }
    for _ in 0..3 {
        assert_refused(&gateway.ask(&Handshake::new("/")).await.1);
    }
    assert_refused(&gateway.ask(&Handshake::plain("/")).await.1);
    for (client, server) in &mut waiting {
        server.agree().await;
        assert_eq!(client.answer().await.status, 101);
    }
    let (_next, _leg) = tokio::join!(is_served(&gateway), upstream.serve());
    gateway.has_sessions(3).await;
}

#[tokio::test]
async fn however_a_handshake_ends_its_slot_is_free_again() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream.url(), 1);
    let refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    for answer in [refusal, "HTTP/1.1 101 Switching Protocols\r\n\r\n", ""] {
        let serve = async { upstream.accept().await.send(answer).await };
        let ask = Handshake::new("/");
        let (status, ()) = tokio::join!(gateway.status(&ask), serve);
        assert!([403, 502].contains(&status), "{status} after {answer:?}");
    }
    // A client that is gone before its answer.
    let client = gateway.send(&Handshake::new("/")).await;
    let server = upstream.accept().await;
    client.reset();
    drop(server);
    let _leg = within("a free slot", async {
        tokio::select! {
            () = is_served(&gateway) => {}
            never = serve_all(&upstream) => never,
        }
    })
    .await;
}

/// Agrees to whatever comes, even if nobody waits for it any more.
async fn serve_all(upstream: &Upstream) {
    loop {
        let mut leg = upstream.accept().await;
        leg.agree().await;
    }
}

#[tokio::test]
async fn a_request_that_waits_for_its_answer_is_no_handshake_in_flight() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::start(&format!(
        "[server]\nworkers = 1\nmax_handshakes = 1\n{LISTENER}
        [[routes]]\nupstream = \"{}\"\nhttp_requests = \"proxy\"",
        upstream.url()
    ));
    let mut polling = gateway.send(&Handshake::plain("/")).await;
    let mut poll = upstream.accept().await;
    let (session, _leg) = tokio::join!(gateway.open(), upstream.serve());
    poll.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnews")
        .await;
    assert_eq!(polling.answer().await.body, "news");
    drop(session);
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

/// One slot, and a certificate for `a.example`.
fn tls_gateway(authority: &Authority, url: &str, listener: &str) -> Gateway {
    let folder = TempDir::new().unwrap();
    authority.write(folder.path(), "a", &["a.example"]);
    Gateway::start_in(
        folder,
        &format!(
            "[server]\nworkers = 1\nmax_handshakes = 1\n{LISTENER}{listener}
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

/// A client that begins TLS and says no more.
async fn stalled_in_tls(gateway: &Gateway) -> Leg {
    let mut client = gateway.connect().await;
    client.send([22, 3, 1]).await;
    client
}

#[tokio::test]
async fn over_tls_the_next_waits_and_is_then_told() {
    let authority = Authority::new();
    let upstream = Upstream::bind().await;
    let gateway = tls_gateway(&authority, &upstream.url(), "head_timeout = \"4s\"");
    let mut first = gateway.connect_tls(&authority, "a.example").await;
    let ask = Handshake::new("/").host("a.example");
    first.send(ask.bytes(gateway.address())).await;
    let mut server = upstream.accept().await;
    assert_refused(&ask_by_tls(&gateway, &authority).await);
    server.agree().await;
    assert_eq!(first.answer().await.status, 101);
    let (answer, _leg) = tokio::join!(ask_by_tls(&gateway, &authority), upstream.serve());
    assert_eq!(answer.status, 101);
}

#[tokio::test]
async fn over_tls_who_waits_gets_the_slot_that_becomes_free() {
    let authority = Authority::new();
    let upstream = Upstream::bind().await;
    let gateway = tls_gateway(&authority, &upstream.url(), "");
    let mut first = gateway.connect_tls(&authority, "a.example").await;
    let ask = Handshake::new("/").host("a.example");
    first.send(ask.bytes(gateway.address())).await;
    let mut server = upstream.accept().await;
    let others = async {
        // Most likely it waits by now.
        for _ in 0..50 {
            breath().await;
        }
        server.agree().await;
        assert_eq!(first.answer().await.status, 101);
        upstream.serve().await
    };
    let (answer, _leg) = tokio::join!(ask_by_tls(&gateway, &authority), others);
    assert_eq!(answer.status, 101);
}

#[tokio::test]
async fn connections_that_say_nothing_take_no_slot_of_tls() {
    let authority = Authority::new();
    let echo = peer::echo().await;
    let gateway = tls_gateway(&authority, &echo.url(), "");
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(gateway.connect().await);
    }
    assert_eq!(ask_by_tls(&gateway, &authority).await.status, 101);
}

#[tokio::test]
async fn a_stalled_client_holds_its_slot_no_longer_than_the_heads_deadline() {
    let authority = Authority::new();
    let echo = peer::echo().await;
    let gateway = tls_gateway(&authority, &echo.url(), "head_timeout = \"1500ms\"");
    let mut stalled = stalled_in_tls(&gateway).await;
    within("a free slot", async {
        while ask_by_tls(&gateway, &authority).await.status != 101 {}
    })
    .await;
    stalled.ended().await;
}

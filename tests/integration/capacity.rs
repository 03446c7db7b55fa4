//! What the gateway does not hold waits outside.

use crate::harness::gateway::LISTENER;
use crate::harness::{Gateway, Handshake, breath, peer};

#[tokio::test]
async fn a_connection_beyond_the_limit_waits_for_its_turn() {
    let named = peer::named("it").await;
    let gateway = Gateway::start(&format!(
        "[server]\nmax_connections = 2\n{LISTENER}[[routes]]\nupstream = \"{}\"",
        named.url()
    ));
    let first = gateway.open().await;
    let _second = gateway.open().await;
    let mut third = gateway.connect().await;
    third
        .send(Handshake::new("/").bytes(gateway.address()))
        .await;
    for _ in 0..50 {
        breath().await;
    }
    gateway.has_sessions(2).await;
    drop(first);
    assert_eq!(third.answer().await.status, 101);
}

#[tokio::test]
async fn five_hundred_handshakes_at_once_are_all_answered() {
    let named = peer::named("it").await;
    let gateway = Gateway::before(named.url());
    let mut clients = Vec::new();
    for _ in 0..500 {
        let mut client = gateway.connect().await;
        client
            .send(Handshake::new("/").bytes(gateway.address()))
            .await;
        clients.push(client);
    }
    for client in &mut clients {
        assert_eq!(client.answer().await.status, 101);
    }
    gateway.has_sessions(500).await;
    drop(clients);
    gateway.has_sessions(0).await;
}

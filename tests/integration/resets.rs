//! Connections that end with a RST, at every stage.

use crate::harness::{Frame, Gateway, Handshake, Upstream, peer, session, within};

#[tokio::test]
async fn a_clients_reset_ends_the_upstream_without_a_close() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    let (client, mut server) = session(&gateway, &upstream).await;
    client.reset();
    server.ended().await;
    gateway.has_sessions(0).await;
}

#[tokio::test]
async fn an_upstreams_reset_gives_the_client_1012() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    let (mut client, server) = session(&gateway, &upstream).await;
    server.reset();
    client.close(1012).await;
    client.finish().await;
    client.ended().await;
    gateway.has_sessions(0).await;
}

#[tokio::test]
async fn an_upstream_that_resets_right_after_its_101_gives_the_client_1012() {
    let rude = peer::resets_after_101().await;
    let gateway = Gateway::before(rude.url());
    for _ in 0..20 {
        let (mut client, answer) = gateway.ask(&Handshake::new("/")).await;
        // The reset may come before the gateway has read the 101.
        match answer.status {
            101 => drop(client.close(1012).await),
            status => assert!([502, 503].contains(&status), "{answer:?}"),
        }
    }
    gateway.has_sessions(0).await;
}

#[tokio::test]
async fn an_upstream_that_hangs_up_inside_a_frame_ends_its_client_without_a_close() {
    let rude = peer::closes_mid_frame().await;
    let gateway = Gateway::before(rude.url());
    let mut client = gateway.open().await;
    let (seen, _) = client.rest().await;
    assert_eq!(seen, &Frame::text("cut in two").bytes()[..6]);
    drop(client);
    gateway.has_sessions(0).await;
}

#[tokio::test]
async fn resets_in_the_middle_of_floods_leave_nothing_behind() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    let flood = Frame::binary(vec![8; 100_000]).masked().bytes();
    for _ in 0..10 {
        let (mut client, mut server) = session(&gateway, &upstream).await;
        client.send(&flood).await;
        server.send(&Frame::binary(vec![8; 100_000]).bytes()).await;
        client.reset();
        within("the upstream's end", server.rest()).await;

        let (mut client, mut server) = session(&gateway, &upstream).await;
        client.send(&flood).await;
        server.send(&Frame::binary(vec![8; 100_000]).bytes()).await;
        server.reset();
        within("the client's end", client.rest_as_a_proper_peer(true)).await;
    }
    gateway.has_sessions(0).await;
}

#[tokio::test]
async fn a_reset_while_the_101_is_on_its_way_leaves_nothing_behind() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    for _ in 0..50 {
        let mut client = gateway.connect().await;
        let ask = Handshake::new("/").bytes(gateway.address());
        client.send(ask).await;
        let mut server = upstream.accept().await;
        // Either may be first.
        server.agree().await;
        client.reset();
        server.ended().await;
    }
    gateway.has_sessions(0).await;
    session(&gateway, &upstream).await;
}

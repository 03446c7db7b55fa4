//! The process ends gently: no new clients, 1001 for each session at a frame boundary, and a time
//! by which all is over.

use crate::harness::gateway::LISTENER;
use crate::harness::{Frame, Gateway, Handshake, Leg, Upstream, session, within};

fn gateway(upstream: &Upstream, timeout: &str) -> Gateway {
    Gateway::start(&format!(
        "[server]\ndrain_timeout = \"{timeout}\"\n{LISTENER}[[routes]]\nupstream = \"{}\"",
        upstream.url()
    ))
}

/// Answers the gateway's 1001 and waits for the end.
async fn says_goodbye(leg: &mut Leg, masked: bool) {
    let why = leg.close(1001).await;
    assert!(!why.is_empty());
    let answer = Frame::close(1001, "");
    leg.send_frame(&if masked { answer.masked() } else { answer })
        .await;
    leg.ended().await;
}

#[tokio::test]
async fn every_session_is_closed_with_1001_on_both_sides() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream, "8s");
    let mut sessions = Vec::new();
    for _ in 0..5 {
        sessions.push(session(&gateway, &upstream).await);
    }
    gateway.has_sessions(5).await;
    let peers = async {
        for (client, server) in &mut sessions {
            tokio::join!(says_goodbye(client, true), says_goodbye(server, false));
        }
    };
    let (drained, ()) = tokio::join!(gateway.drain(), peers);
    assert_eq!((drained.sessions, drained.cut), (5, 0));
}

#[tokio::test]
async fn an_idle_gateway_drains_at_once() {
    let upstream = Upstream::bind().await;
    let drained = gateway(&upstream, "8s").drain().await;
    assert_eq!((drained.sessions, drained.cut), (0, 0));
}

#[tokio::test]
async fn a_session_that_does_not_end_is_cut_in_time() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream, "300ms");
    let (mut client, mut server) = session(&gateway, &upstream).await;
    gateway.has_sessions(1).await;
    let drained = gateway.drain().await;
    assert_eq!((drained.sessions, drained.cut), (1, 1));
    client.close(1001).await;
    client.ended().await;
    server.close(1001).await;
    server.ended().await;
}

#[tokio::test]
async fn a_frame_under_way_is_not_torn() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream, "5s");
    let (mut client, mut server) = session(&gateway, &upstream).await;
    let frame = Frame::binary(vec![2; 1000]).masked().bytes();
    client.send(&frame[..500]).await;
    assert_eq!(server.bytes(500).await, &frame[..500]);
    let peers = async {
        // The client's own direction is free: it is told at once, and ends its frame.
        client.close(1001).await;
        let rest = [&frame[500..], &Frame::close(1001, "").masked().bytes()].concat();
        let _ = client.try_send(&rest).await;
        client.finish().await;
        assert_eq!(server.bytes(508).await, &frame[500..]);
        says_goodbye(&mut server, false).await;
    };
    let (drained, ()) = tokio::join!(gateway.drain(), peers);
    assert_eq!((drained.sessions, drained.cut), (1, 0));
}

#[tokio::test]
async fn a_request_that_comes_during_the_drain_gets_503() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream, "5s");
    // Connected before, asks after; who came after it has a session, so it was accepted.
    let mut late = gateway.connect().await;
    let head = Handshake::new("/").bytes(gateway.address());
    late.send(&head[..10]).await;
    let (mut held, _server) = session(&gateway, &upstream).await;
    let address = gateway.address().to_owned();
    let peers = async {
        held.close(1001).await;
        late.send(&head[10..]).await;
        let answer = late.answer().await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.header("Retry-After").is_some(), "{answer:?}");
        assert!(
            tokio::net::TcpStream::connect(address).await.is_err(),
            "still listens"
        );
        drop((held, late, _server));
    };
    tokio::join!(gateway.drain(), peers);
}

#[tokio::test]
async fn a_handshake_under_way_is_refused_or_closed_at_once() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream, "8s");
    let (mut held, mut held_server) = session(&gateway, &upstream).await;
    let mut late = gateway.send(&Handshake::new("/")).await;
    let mut server = upstream.accept().await;
    let peers = async {
        // The drain has begun, and this upstream takes its time.
        held.close(1001).await;
        held_server.close(1001).await;
        server.agree().await;
        let answer = within("an answer", late.answer()).await;
        if answer.status == 101 {
            tokio::join!(
                says_goodbye(&mut late, true),
                says_goodbye(&mut server, false)
            );
        } else {
            assert_eq!(answer.status, 503, "{answer:?}");
            assert!(answer.header("Retry-After").is_some(), "{answer:?}");
        }
        drop((held, held_server, late, server));
    };
    let (drained, ()) = tokio::join!(gateway.drain(), peers);
    assert_eq!(drained.cut, 0);
}

#[tokio::test]
async fn a_silent_connection_does_not_hold_up_the_drain_for_long() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream, "1h");
    let mut silent = gateway.connect().await;
    let goes_home = async {
        silent.ended().await;
        drop(silent);
    };
    let drained = within("the end of the drain", async {
        tokio::join!(gateway.drain(), goes_home).0
    });
    assert_eq!(drained.await.sessions, 0);
}

#[tokio::test]
async fn a_second_order_ends_it_at_once() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream, "1h");
    let (mut client, mut server) = session(&gateway, &upstream).await;
    let drain = gateway.drain();
    tokio::select! {
        drained = drain => panic!("{drained:?}"),
        _ = client.close(1001) => {}
    }
    // The drain was dropped, and the gateway with it.
    client.ended().await;
    server.close(1001).await;
    server.ended().await;
}

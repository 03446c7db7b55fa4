//! One side has said its last word, with a Close or without, and the other goes on (RFC 6455 §7.1).

use crate::harness::{Frame, Gateway, Leg, Upstream, session};

async fn pair() -> (Gateway, Leg, Leg) {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    let (client, server) = session(&gateway, &upstream).await;
    (gateway, client, server)
}

#[tokio::test]
async fn a_close_with_a_fin_behind_it_is_still_answered() {
    let (_gateway, mut client, mut server) = pair().await;
    client.send_frame(&Frame::close(1000, "bye").masked()).await;
    client.finish().await;
    assert_eq!(server.close(1000).await, "bye");
    server.send_frame(&Frame::text("one more")).await;
    server.send_frame(&Frame::close(1000, "bye too")).await;
    assert_eq!(client.frame().await, Frame::text("one more"));
    assert_eq!(client.close(1000).await, "bye too");
    client.ended().await;
    server.ended().await;
}

#[tokio::test]
async fn an_upstreams_close_with_a_fin_behind_it_is_a_close() {
    let (gateway, mut client, mut server) = pair().await;
    server.send_frame(&Frame::close(4000, "kicked")).await;
    server.finish().await;
    assert_eq!(client.close(4000).await, "kicked");
    let answer = Frame::close(4000, "").masked();
    client.send_frame(&answer).await;
    assert_eq!(server.frame().await, answer);
    client.ended().await;
    gateway.has_sessions(0).await;
}

#[tokio::test]
async fn an_upstream_that_drops_the_socket_behind_its_close_is_not_lost() {
    let (gateway, mut client, mut server) = pair().await;
    server.send_frame(&Frame::close(4000, "kicked")).await;
    drop(server);
    assert_eq!(client.close(4000).await, "kicked");
    let _ = client
        .try_send(&Frame::close(4000, "").masked().bytes())
        .await;
    client.finish().await;
    client.ended().await;
    gateway.has_sessions(0).await;
}

#[tokio::test]
async fn a_client_that_only_stops_sending_is_lost() {
    let (gateway, mut client, mut server) = pair().await;
    client.send_frame(&Frame::text("last").masked()).await;
    client.finish().await;
    assert_eq!(server.frame().await.unmasked(), Frame::text("last"));
    // As it would directly: a FIN, no Close.
    server.ended().await;
    drop(server);
    gateway.has_sessions(0).await;
}

#[tokio::test]
async fn what_an_upstream_sent_before_its_end_arrives_before_1012() {
    let (_gateway, mut client, mut server) = pair().await;
    let data = Frame::binary(vec![4; 1 << 20]);
    server.send_frame(&data).await;
    server.finish().await;
    assert!(client.frame().await == data);
    client.close(1012).await;
}

#[tokio::test]
async fn an_upstream_that_ends_inside_a_frame_ends_its_client_without_a_close() {
    let (gateway, mut client, mut server) = pair().await;
    let frame = Frame::text("cut in two").bytes();
    server.send(&frame[..6]).await;
    server.finish().await;
    let (seen, _) = client.rest().await;
    assert_eq!(seen, &frame[..6]);
    client.finish().await;
    gateway.has_sessions(0).await;
}

#[tokio::test]
async fn a_client_that_ends_inside_a_frame_ends_its_upstream() {
    let (gateway, mut client, mut server) = pair().await;
    let frame = Frame::text("cut in two").masked().bytes();
    client.send(&frame[..9]).await;
    client.finish().await;
    let (seen, _) = server.rest().await;
    assert_eq!(seen, &frame[..9]);
    drop(server);
    gateway.has_sessions(0).await;
}

#[tokio::test]
async fn a_head_that_never_became_a_frame_is_not_forwarded() {
    let (gateway, mut client, mut server) = pair().await;
    client.send(&Frame::text("x").masked().bytes()[..4]).await;
    client.finish().await;
    server.ended().await;
    drop(server);
    gateway.has_sessions(0).await;
}

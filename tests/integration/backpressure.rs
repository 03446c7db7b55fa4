//! A slow reader slows its own writer and nobody else, and costs a bounded amount of memory.

use crate::harness::program::{Program, configuration};
use crate::harness::wire::Length;
use crate::harness::{Frame, Gateway, Handshake, Leg, Upstream, peer, session, session_by};

/// What the kernel's buffers of four sockets may hold, and the gateway's remainder.
const IN_FLIGHT_MAX: usize = 48 << 20;

fn messages() -> Vec<u8> {
    Frame::binary(vec![6; 60_000]).bytes()
}

fn masked_messages() -> Vec<u8> {
    Frame::binary(vec![6; 60_000]).masked().bytes()
}

#[tokio::test]
async fn an_upstream_that_does_not_read_stops_its_client_alone() {
    let upstream = Upstream::bind_narrow().await;
    let gateway = Gateway::before(upstream.url());
    let (mut client, mut server) = session(&gateway, &upstream).await;
    let (other_client, other_server) = session(&gateway, &upstream).await;

    let sent = client.send_until_stalled(masked_messages).await;
    assert!(sent.len() < IN_FLIGHT_MAX, "{} bytes", sent.len());
    passes(other_client, other_server).await;
    // It reads again: nothing was lost, doubled or reordered.
    assert!(server.bytes(sent.len()).await == sent);
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_its_upstream_alone() {
    let upstream = Upstream::bind_narrow().await;
    let gateway = Gateway::before(upstream.url());
    let mut client = gateway.connect_narrow().await;
    client
        .send(Handshake::new("/").bytes(gateway.address()))
        .await;
    let mut server = upstream.serve().await;
    assert_eq!(client.answer().await.status, 101);
    let (other_client, other_server) = session(&gateway, &upstream).await;

    let sent = server.send_until_stalled(messages).await;
    assert!(sent.len() < IN_FLIGHT_MAX, "{} bytes", sent.len());
    passes(other_client, other_server).await;
    // The direction that is not stalled still works.
    let upwards = Frame::text("upwards").masked();
    client.send_frame(&upwards).await;
    assert_eq!(server.frame().await, upwards);
    assert!(client.bytes(sent.len()).await == sent);
}

#[tokio::test]
async fn both_directions_may_be_full_at_once() {
    let upstream = Upstream::bind_narrow().await;
    let gateway = Gateway::before(upstream.url());
    let (mut client, mut server) = session(&gateway, &upstream).await;
    let up = client.send_until_stalled(masked_messages).await;
    let down = server.send_until_stalled(messages).await;
    let (got_up, got_down) = tokio::join!(server.bytes(up.len()), client.bytes(down.len()));
    assert!(got_up == up && got_down == down);
}

#[tokio::test]
async fn a_slow_reader_is_cut_when_its_write_deadline_has_passed() {
    let upstream = Upstream::bind_narrow().await;
    let gateway = Gateway::route(upstream.url(), "[routes.timeouts]\nwrite = \"300ms\"");
    let (client, mut server) = session(&gateway, &upstream).await;
    // Until the gateway hangs up.
    while server.try_send(&messages()).await.is_ok() {}
    gateway.has_sessions(0).await;
    drop(client);
}

#[tokio::test]
async fn a_frame_of_64_mib_passes_in_bounded_memory() {
    let upstream = Upstream::bind().await;
    let folder = tempfile::tempdir().unwrap();
    let program = program(&upstream, folder.path()).await;
    let mut client = program.connect().await;
    client
        .send(Handshake::new("/").bytes(&program.address))
        .await;
    let mut server = upstream.serve().await;
    assert_eq!(client.answer().await.status, 101);

    let frame = Frame::binary(vec![3; 64 << 20]).masked().bytes();
    let before = program.memory();
    tokio::join!(client.send(&frame), async {
        assert!(server.bytes(frame.len()).await == frame);
    });
    let grown = program.memory_peak() - before;
    assert!(grown < 4096, "{grown} KiB");
}

#[tokio::test]
async fn promises_of_long_frames_cost_nothing() {
    let upstream = Upstream::bind().await;
    let folder = tempfile::tempdir().unwrap();
    let program = program(&upstream, folder.path()).await;
    let before = program.memory();
    let mut held = Vec::new();
    for _ in 0..50 {
        let mut client = program.connect().await;
        client
            .send(Handshake::new("/").bytes(&program.address))
            .await;
        let mut server = upstream.serve().await;
        assert_eq!(client.answer().await.status, 101);
        let head = Frame::binary("").masked().head(Length::Eight, 64 << 20);
        client.send(&head).await;
        assert_eq!(server.bytes(head.len()).await, head);
        held.push((client, server));
    }
    let grown = program.memory_peak() - before;
    assert!(grown < 8192, "{grown} KiB for {} sessions", held.len());
}

#[tokio::test]
async fn a_stalled_session_does_not_keep_others_from_starting() {
    let upstream = Upstream::bind_narrow().await;
    let gateway = Gateway::before(upstream.url());
    let (mut client, _server) = session(&gateway, &upstream).await;
    client.send_until_stalled(masked_messages).await;
    let (_, _, answer) = session_by(&gateway, &upstream, &Handshake::new("/")).await;
    assert_eq!(answer.status, 101);
    let echo = peer::echo().await;
    let other = Gateway::before(echo.url());
    other.open().await;
}

async fn program(upstream: &Upstream, folder: &std::path::Path) -> Program {
    let toml = format!(
        "[[listeners]]\naddress = \"127.0.0.1:0\"\n[[routes]]\nupstream = \"{}\"\n\
         [routes.limits]\nmax_message_size = \"off\"",
        upstream.url()
    );
    configuration(folder, &toml);
    Program::start(&["run", "wsgate.toml"], folder).await
}

async fn passes(mut client: Leg, mut server: Leg) {
    let frame = Frame::text("not slow").masked();
    client.send_frame(&frame).await;
    assert_eq!(server.frame().await, frame);
    server.send_frame(&frame.clone().unmasked()).await;
    assert_eq!(client.frame().await, frame.unmasked());
}

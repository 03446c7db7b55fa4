//! What the gateway does not hold waits outside.

use crate::harness::gateway::LISTENER;
use crate::harness::program::{Program, configuration};
use crate::harness::{Frame, Gateway, Handshake, breath, peer};
use tempfile::TempDir;

#[tokio::test]
async fn a_connection_beyond_the_limit_waits_for_its_turn() {
    let named = peer::named("it").await;
    let gateway = Gateway::start(&format!(
        "[server]\nmax_connections = 2\n{LISTENER}[[routes]]\nupstream = \"{}\"",
        named.url()
    ));
    let first = gateway.open().await;
    let _second = gateway.open().await;
    let mut third = gateway.send(&Handshake::new("/")).await;
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
        let client = gateway.send(&Handshake::new("/")).await;
        clients.push(client);
    }
    for client in &mut clients {
        assert_eq!(client.answer().await.status, 101);
    }
    gateway.has_sessions(500).await;
    drop(clients);
    gateway.has_sessions(0).await;
}

#[tokio::test]
async fn without_files_live_sessions_go_on_and_others_wait_or_get_503() {
    let folder = TempDir::new().unwrap();
    let echo = peer::echo().await;
    let toml = format!("{LISTENER}[[routes]]\nupstream = \"{}\"", echo.url());
    configuration(folder.path(), &toml);
    let mut program = Program::start(&["run", "wsgate.toml"], folder.path()).await;
    let ask = Handshake::new("/").bytes(&program.address);
    let mut live = program.connect().await;
    live.send(&ask).await;
    assert_eq!(live.answer().await.status, 101);

    // Room for a few, and more than that come.
    program.limit_files(program.files() + 4);
    let mut idle = Vec::new();
    for _ in 0..40 {
        idle.push(program.connect().await);
    }
    let message = "no more open files or memory: new connections wait; raise the limit of open files \
                   (ulimit -n, LimitNOFILE=) or lower server.max_connections";
    assert_eq!(program.event(message).await["level"], "ERROR");
    for _ in 0..3 {
        live.send_frame(&Frame::text("still here").masked()).await;
        assert_eq!(live.frame().await, Frame::text("still here"));
    }
    // One that was taken has nobody to go to.
    idle[0].send(&ask).await;
    let answer = idle[0].answer().await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.header("Retry-After").is_some(), "{answer:?}");

    program.limit_files(1024);
    program.event("accepting again").await;
    let mut next = program.connect().await;
    next.send(&ask).await;
    assert_eq!(next.answer().await.status, 101);
    for client in &mut idle[1..] {
        client.send(&ask).await;
        assert_eq!(client.answer().await.status, 101);
    }
}

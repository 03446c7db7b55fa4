//! Probes: who asks how the gateway is, from outside and by `wsgate health`, and what he is told.

use crate::harness::gateway::LISTENER;
use crate::harness::program::{Finished, Program, configuration, finish};
use crate::harness::{Answer, Frame, Gateway, Handshake, Leg, Upstream, peer, session, within};
use rustix::process::Signal;
use std::path::Path;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

const HEALTH: &str = "[health]\naddress = \"127.0.0.1:0\"\n";

fn gateway(url: &str, more: &str) -> Gateway {
    Gateway::start(&format!(
        "{more}\n{HEALTH}{LISTENER}[[routes]]\nupstream = \"{url}\"\n"
    ))
}

async fn ask(gateway: &Gateway, request: &Handshake) -> Answer {
    ask_at(gateway.address_of("[health]"), request).await
}

async fn ask_at(address: &str, request: &Handshake) -> Answer {
    let mut leg = Leg::plain(TcpStream::connect(address).await.unwrap());
    leg.send(request.bytes(address)).await;
    leg.answer().await
}

/// The status of a probe at a unix socket.
async fn status_at(socket: &Path, path: &str) -> Option<u16> {
    let mut stream = UnixStream::connect(socket).await.ok()?;
    let request = Handshake::plain(path).bytes("localhost");
    stream.write_all(&request).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

#[tokio::test]
async fn a_gateway_that_works_says_so() {
    let gateway = gateway("builtin:echo", "");
    for (path, body) in [("/healthz", "ok\n"), ("/readyz", "ready\n")] {
        let answer = ask(&gateway, &Handshake::plain(path)).await;
        assert_eq!((answer.status, &*answer.body), (200, body), "{answer:?}");
        assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    }
    let head = Handshake::plain("/healthz").method("HEAD");
    assert_eq!(ask_head(&gateway, &head).await, 200);
}

/// An answer to HEAD has no body, whatever length it tells.
async fn ask_head(gateway: &Gateway, request: &Handshake) -> u16 {
    let mut leg = gateway.connect_to("[health]").await;
    leg.send(request.bytes("localhost")).await;
    let head = leg.head().await;
    leg.ended().await;
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn nothing_else_is_there() {
    let gateway = gateway("builtin:echo", "");
    for path in [
        "/",
        "/metrics",
        "/healthz/",
        "/healthz/x",
        "//healthz",
        "/api",
    ] {
        let answer = ask(&gateway, &Handshake::plain(path)).await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = ask(&gateway, &Handshake::plain("/healthz").method(method)).await;
        assert_eq!(answer.status, 405, "{method}: {answer:?}");
        assert_eq!(answer.header("Allow"), Some("GET, HEAD"), "{method}");
    }
    // A handshake gets no session here.
    assert_eq!(ask(&gateway, &Handshake::new("/")).await.status, 404);
}

#[tokio::test]
async fn clients_do_not_reach_it() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream.url(), "");
    for path in ["/healthz", "/readyz", "/metrics"] {
        let answer = gateway.ask(&Handshake::plain(path)).await.1;
        assert_eq!(answer.status, 426, "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn silent_connections_do_not_keep_a_probe_out() {
    let gateway = gateway("builtin:echo", "");
    let mut silent = Vec::new();
    for _ in 0..400 {
        silent.push(gateway.connect_to("[health]").await);
    }
    let answer = ask(&gateway, &Handshake::plain("/healthz")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    // The oldest made room; it did not take until they were cut for their silence.
    silent.swap_remove(0).ended().await;
    let mut youngest = silent.pop().unwrap();
    let request = Handshake::plain("/healthz").bytes("localhost");
    youngest.send(request).await;
    assert_eq!(youngest.answer().await.status, 200);
}

#[tokio::test]
async fn what_is_no_request_is_not_answered_as_one() {
    let gateway = gateway("builtin:echo", "");
    let long = format!("GET /healthz HTTP/1.1\r\nX: {}", "a".repeat(20_000));
    for junk in ["\0\0\0\0\r\n\r\n", "GET\r\n\r\n", &long] {
        let mut leg = gateway.connect_to("[health]").await;
        let _ = leg.try_send(junk.as_bytes()).await;
        let (answer, _) = leg.rest().await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
    }
    assert_eq!(
        ask(&gateway, &Handshake::plain("/healthz")).await.status,
        200
    );
}

#[tokio::test]
async fn a_drain_is_told_by_readiness_and_not_by_health() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream.url(), "");
    let (mut client, mut server) = session(&gateway, &upstream).await;
    gateway.has_sessions(1).await;
    let address = gateway.address_of("[health]").to_owned();
    let peers = async {
        client.close(1001).await;
        let ready = ask_at(&address, &Handshake::plain("/readyz")).await;
        assert_eq!((ready.status, &*ready.body), (503, "going away\n"));
        let health = ask_at(&address, &Handshake::plain("/healthz")).await;
        assert_eq!(health.status, 200, "{health:?}");
        client.send_frame(&Frame::close(1001, "").masked()).await;
        server.close(1001).await;
        server.send_frame(&Frame::close(1001, "")).await;
    };
    tokio::join!(gateway.drain(), peers);
    assert!(TcpStream::connect(address).await.is_err(), "still there");
}

#[tokio::test]
async fn service_goes_on_for_the_delay_while_readiness_fails() {
    let folder = TempDir::new().unwrap();
    let echo = peer::echo().await;
    let socket = folder.path().join("health.sock");
    let toml = format!(
        "[server]\nshutdown_delay = \"1h\"\n[health]\naddress = \"unix:health.sock\"\n\
         [[listeners]]\naddress = \"127.0.0.1:0\"\n[[routes]]\nupstream = \"{}\"\n",
        echo.url()
    );
    configuration(folder.path(), &toml);
    let program = Program::start(&["run", "wsgate.toml"], folder.path()).await;
    assert_eq!(status_at(&socket, "/readyz").await, Some(200));
    program.signal(Signal::TERM);
    within("the end of readiness", async {
        while status_at(&socket, "/readyz").await != Some(503) {}
    })
    .await;
    // A client that comes now is served like any other.
    let mut client = program.connect().await;
    client
        .send(Handshake::new("/").bytes(&program.address))
        .await;
    assert_eq!(client.answer().await.status, 101);
    client.send_frame(&Frame::text("late").masked()).await;
    assert_eq!(client.frame().await, Frame::text("late"));
    assert_eq!(status_at(&socket, "/healthz").await, Some(200));
    program.signal(Signal::TERM);
    client.ended().await;
    program.ended().await;
}

/// `wsgate health` with a configuration of these sections.
async fn health(folder: &Path, sections: &str, more: &[&str]) -> Finished {
    let toml = format!(
        "{sections}\n[[listeners]]\naddress = \"127.0.0.1:0\"\n[[routes]]\nupstream = \"builtin:echo\"\n"
    );
    configuration(folder, &toml);
    finish(&[&["health", "wsgate.toml"], more].concat(), folder, "").await
}

#[tokio::test]
async fn the_command_says_yes_with_0() {
    let folder = TempDir::new().unwrap();
    let gateway = gateway("builtin:echo", "");
    let address = gateway.address_of("[health]");
    let port = address.rsplit_once(':').unwrap().1;
    for written in [address, &format!("0.0.0.0:{port}")] {
        for more in [&[][..], &["--ready"]] {
            let sections = format!("health.address = \"{written}\"");
            let finished = health(folder.path(), &sections, more).await;
            assert_eq!(finished.code, Some(0), "{finished:?}");
            assert_eq!((&*finished.out, &*finished.err), ("ok\n", ""));
        }
    }
}

#[tokio::test]
async fn the_command_asks_at_a_unix_socket_too() {
    let folder = TempDir::new().unwrap();
    let toml = format!(
        "[admin]\naddress = \"unix:admin.sock\"\ntokens = {{ ops = {{ secret = \"hush\", may = [\"read\"] }} }}\n\
         {LISTENER}[[routes]]\nupstream = \"builtin:echo\"\n"
    );
    configuration(folder.path(), &toml);
    let program = Program::start(&["run", "wsgate.toml"], folder.path()).await;
    // No token is needed for a probe, and none is shown.
    let finished = finish(&["health"], folder.path(), "").await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    program.signal(Signal::TERM);
    assert_eq!(program.ended().await.0, Some(0));
    assert!(!folder.path().join("admin.sock").exists());
    let finished = finish(&["health"], folder.path(), "").await;
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.err.contains("admin.sock"), "{finished:?}");
    assert!(!finished.err.contains("hush"), "{finished:?}");
}

#[tokio::test]
async fn the_command_says_no_with_1() {
    let folder = TempDir::new().unwrap();
    let nobody = Upstream::bind().await.address();
    let no_http = peer::answers("SSH-2.0-OpenSSH_10.0\r\n").await;
    let sick = peer::answers("HTTP/1.1 503 Service Unavailable\r\n\r\n<secret>").await;
    let at = |url: &str| format!("health.address = \"{}\"", url.trim_start_matches("ws://"));
    for (sections, word) in [
        (at(&nobody.to_string()), "no answer"),
        (at(&no_http.url()), "not HTTP"),
        (at(&sick.url()), "503"),
        (String::new(), "neither `[health]` nor `[admin]`"),
        ("health.address = \"127.0.0.1:0\"".to_owned(), "port"),
        ("health.address = \"nonsense\"".to_owned(), "nonsense"),
        (
            "health.address = \"unix:missing.sock\"".to_owned(),
            "missing.sock",
        ),
    ] {
        let finished = health(folder.path(), &sections, &[]).await;
        assert_eq!(finished.code, Some(1), "{sections}: {finished:?}");
        assert!(finished.err.contains(word), "{sections}: {finished:?}");
        assert!(!finished.err.contains("<secret>"), "{finished:?}");
        assert!(finished.out.is_empty(), "{finished:?}");
    }
}

#[tokio::test]
async fn a_drained_gateway_is_alive_and_not_ready_for_the_command() {
    let folder = TempDir::new().unwrap();
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream.url(), "");
    let (mut client, server) = session(&gateway, &upstream).await;
    gateway.has_sessions(1).await;
    let sections = format!("health.address = \"{}\"", gateway.address_of("[health]"));
    let peers = async {
        client.close(1001).await;
        assert_eq!(health(folder.path(), &sections, &[]).await.code, Some(0));
        let ready = health(folder.path(), &sections, &["--ready"]).await;
        assert_eq!(ready.code, Some(1), "{ready:?}");
        assert!(ready.err.contains("/readyz with 503"), "{ready:?}");
        drop((client, server));
    };
    tokio::join!(gateway.drain(), peers);
}

#[tokio::test]
async fn an_address_that_is_taken_is_told() {
    let folder = TempDir::new().unwrap();
    let taken = Upstream::bind().await;
    let toml = format!(
        "[health]\naddress = \"{}\"\n{LISTENER}[[routes]]\nupstream = \"builtin:echo\"\n",
        taken.address()
    );
    configuration(folder.path(), &toml);
    let finished = finish(&["run", "wsgate.toml"], folder.path(), "").await;
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.err.contains("[health]"), "{finished:?}");
}

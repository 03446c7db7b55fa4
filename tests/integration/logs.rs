//! The access log of the real program: every field of the contract, no secret, no control
//! character.

use crate::harness::program::{Program, configuration};
use crate::harness::{Frame, Handshake, Upstream, peer, sha256};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

const PASSWORD: &str = "correct-horse-battery";
const KEY: &str = "key-of-the-robot-0451";

/// The program with one route `chat` that wants a password or a key.
async fn program(url: &str, log: &str, folder: &TempDir) -> Program {
    let hash = bcrypt::hash(PASSWORD, 4).unwrap();
    std::fs::write(folder.path().join("users"), format!("alice:{hash}\n")).unwrap();
    let toml = format!(
        "[log]\n{log}
        [[listeners]]
        name = \"main\"
        address = \"127.0.0.1:0\"
        [upstreams.backend]
        endpoints = [\"{url}\"]
        [auth.people]
        kind = \"basic\"
        htpasswd = \"users\"
        realm = \"people\"
        [auth.robots]
        kind = \"api_key\"
        keys = {{ ci = {{ sha256 = \"{}\" }} }}
        sources = [\"query:key\", \"cookie:key\", \"header:X-Key\"]
        [[routes]]
        name = \"chat\"
        path = \"/chat/*\"
        auth = [\"people\", \"robots\"]
        upstream = \"backend\"",
        sha256(KEY)
    );
    configuration(folder.path(), &toml);
    Program::start(&["run", "wsgate.toml"], folder.path()).await
}

fn alice(target: &str) -> Handshake {
    use base64::prelude::{BASE64_STANDARD, Engine};
    let token = BASE64_STANDARD.encode(format!("alice:{PASSWORD}"));
    Handshake::new(target).with("Authorization", &format!("Basic {token}"))
}

#[tokio::test]
async fn a_session_has_a_line_when_it_opens_and_one_when_it_ends() {
    let (folder, upstream) = (TempDir::new().unwrap(), Upstream::bind().await);
    let mut program = program(&upstream.url(), "", &folder).await;
    let ask = alice("/chat/room?secret=1")
        .host("chat.example")
        .with("Sec-WebSocket-Protocol", "v1");
    let mut client = program.connect().await;
    client.send(ask.bytes(&program.address)).await;
    let mut server = upstream.accept().await;
    let id = server.asked("X-Request-Id").unwrap().to_owned();
    server.agree_with("Sec-WebSocket-Protocol: v1\r\n").await;
    assert_eq!(client.answer().await.status, 101);

    let opened = program.event("session opened").await;
    let endpoint = upstream.address().to_string();
    for (field, value) in [
        ("request_id", id.as_str()),
        ("listener", "main"),
        ("client", "127.0.0.1"),
        ("host", "chat.example"),
        ("path", "/chat/room"),
        ("route", "chat"),
        ("upstream", "backend"),
        ("identity", "people:alice"),
        ("subprotocol", "v1"),
    ] {
        assert_eq!(opened[field], value, "{field} in {opened}");
    }
    assert!(
        opened["endpoint"].as_str().unwrap().contains(&endpoint),
        "{opened}"
    );
    assert!(opened["handshake_ms"].as_f64().unwrap() > 0.0, "{opened}");

    client.send_frame(&Frame::text("one").open().masked()).await;
    client
        .send_frame(&Frame::continuation("two").masked())
        .await;
    server.frame().await;
    server.frame().await;
    server.send_frame(&Frame::binary("answer")).await;
    client.frame().await;
    client
        .send_frame(&Frame::close(4001, "a reason").masked())
        .await;
    server.close(4001).await;
    server.send_frame(&Frame::close(4002, "")).await;
    client.close(4002).await;

    let ended = program.event("session ended").await;
    assert_eq!(ended["request_id"], id.as_str());
    assert_eq!(ended["ended_by"], "client", "{ended}");
    assert!(
        ended["reason"]
            .as_str()
            .is_some_and(|reason| !reason.is_empty()),
        "{ended}"
    );
    for (field, value) in [
        ("client_close_received", 4001),
        ("client_close_sent", 4002),
        ("upstream_close_received", 4002),
        ("upstream_close_sent", 4001),
        ("to_upstream_messages", 1),
        ("to_client_messages", 1),
    ] {
        assert_eq!(ended[field], value, "{field} in {ended}");
    }
    assert!(
        ended["to_upstream_frames"].as_u64().unwrap() >= 2,
        "{ended}"
    );
    assert!(ended["to_upstream_bytes"].as_u64().unwrap() >= 6, "{ended}");
    assert!(ended["to_client_bytes"].as_u64().unwrap() >= 6, "{ended}");
    assert!(ended["duration_ms"].as_f64().unwrap() > 0.0, "{ended}");
    assert_eq!(ended["client_cut_mid_frame"], false);
}

#[tokio::test]
async fn how_a_session_ended_is_told() {
    let (folder, upstream) = (TempDir::new().unwrap(), Upstream::bind().await);
    let mut program = program(&upstream.url(), "", &folder).await;
    let mut labels = Vec::new();
    for end in 0..4 {
        let mut client = program.connect().await;
        client.send(alice("/chat").bytes(&program.address)).await;
        let mut server = upstream.serve().await;
        assert_eq!(client.answer().await.status, 101);
        match end {
            0 => {
                client.reset();
                server.ended().await;
                drop(server);
            }
            1 => {
                server.reset();
                client.rest_as_a_proper_peer(true).await;
            }
            2 => {
                client.send(b"\xff\xff").await;
                tokio::join!(
                    client.close_and_leave(1002),
                    server.rest_as_a_proper_peer(false)
                );
                drop((client, server));
            }
            _ => {
                server.send(&Frame::text("cut in two").bytes()[..5]).await;
                server.finish().await;
                client.rest().await;
                drop((client, server));
            }
        }
        let ended = program.event("session ended").await;
        let by = ended["ended_by"].as_str().unwrap().to_owned();
        assert_eq!(
            by,
            ["client", "upstream", "client", "upstream"][end],
            "{ended}"
        );
        assert_eq!(ended["client_cut_mid_frame"], end == 3, "{ended}");
        labels.push(ended["reason"].as_str().unwrap().to_owned());
    }
    assert_ne!(
        labels[0], labels[2],
        "a reset and a broken frame are told apart: {labels:?}"
    );
}

#[tokio::test]
async fn a_refusal_has_a_line_with_what_the_client_was_told() {
    let (folder, echo) = (TempDir::new().unwrap(), peer::echo().await);
    let mut program = program(&echo.url(), "", &folder).await;
    for (ask, status, route) in [
        (Handshake::new("/chat?a=b"), 401, Some("chat")),
        (Handshake::new("/nowhere?a=b"), 404, None),
        (Handshake::plain("/chat"), 426, Some("chat")),
        (
            Handshake::new("/chat").without("Sec-WebSocket-Key"),
            400,
            None,
        ),
        (Handshake::new("/chat").with("X Y", "z"), 400, None),
        (
            Handshake::new("/chat").with("Origin", "https://evil.example"),
            403,
            Some("chat"),
        ),
    ] {
        let mut client = program.connect().await;
        client.send(ask.bytes(&program.address)).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, status, "{answer:?}");
        let line = program.event("refused").await;
        assert_eq!(line["status"], status, "{line}");
        assert_eq!(
            line["request_id"],
            answer.header("X-Request-Id").unwrap(),
            "{line}"
        );
        assert_eq!(line["client"], "127.0.0.1", "{line}");
        assert_eq!(line["listener"], "main", "{line}");
        assert!(
            line["reason"]
                .as_str()
                .is_some_and(|reason| !reason.is_empty()),
            "{line}"
        );
        assert!(line["took_ms"].is_number(), "{line}");
        if let Some(route) = route {
            assert_eq!(line["route"], route, "{line}");
            assert_eq!(line["path"], "/chat", "{line}");
        }
    }
}

#[tokio::test]
async fn secrets_are_in_no_line_at_any_level() {
    for format in ["json", "text"] {
        let (folder, echo) = (TempDir::new().unwrap(), peer::echo().await);
        let log = format!("level = \"trace\"\nformat = \"{format}\"");
        let program = program(&echo.url(), &log, &folder).await;
        let asks = [
            (alice("/"), 404),
            (alice("/chat"), 101),
            (alice("/chat").with("X-Key", "wrong-but-secret"), 101),
            (Handshake::new(&format!("/chat?key={KEY}")), 101),
            (
                Handshake::new("/chat").with("Cookie", &format!("key={KEY}")),
                101,
            ),
            (Handshake::new("/chat").with("X-Key", KEY), 101),
            (Handshake::new(&format!("/chat?key={KEY}x")), 401),
            (
                Handshake::new("/chat").with("Authorization", "Basic d3JvbmctYnV0LXNlY3JldA=="),
                401,
            ),
            (
                Handshake::new(&format!("/chat?key={KEY}")).without("Host"),
                400,
            ),
            (Handshake::new(&format!("/nowhere?key={KEY}")), 404),
        ];
        for (ask, status) in asks {
            let mut client = program.connect().await;
            client.send(ask.bytes(&program.address)).await;
            assert_eq!(client.answer().await.status, status, "{ask:?}");
        }
        program.signal(Signal::TERM);
        let (_, log) = program.ended().await;
        assert!(log.len() > 10, "{log:#?}");
        for line in log {
            for secret in [
                PASSWORD,
                KEY,
                "wrong-but-secret",
                "d3JvbmctYnV0",
                "YWxpY2U6",
            ] {
                assert!(!line.contains(secret), "{line}");
            }
        }
    }
}

#[tokio::test]
async fn no_control_character_reaches_the_log() {
    for format in ["json", "text"] {
        let (folder, echo) = (TempDir::new().unwrap(), peer::echo().await);
        let log = format!("level = \"trace\"\nformat = \"{format}\"");
        let program = program(&echo.url(), &log, &folder).await;
        for ask in [
            alice("/chat/\x1b[31mred"),
            alice("/chat/%1b%0d%0aforged"),
            alice("/chat").host("evil\x1b[2J"),
            alice("/chat").host("caf\u{e9}\u{202e}.example"),
            alice("/chat").with("Sec-WebSocket-Protocol", "a\x1b[31m"),
            alice("/chat").with("Origin", "https://evil\x1b[31m.example"),
            alice("/chat").with("Origin", "https://evil\u{9b}31m.example"),
            alice("/chat").method("G\x1bT"),
        ] {
            let mut client = program.connect().await;
            client.send(ask.bytes(&program.address)).await;
            client.rest_as_a_proper_peer(true).await;
        }
        program.signal(Signal::TERM);
        let (_, log) = program.ended().await;
        for line in log {
            assert!(
                !line.chars().any(char::is_control),
                "{}",
                line.escape_debug()
            );
            assert!(
                format == "text" || serde_json::from_str::<Value>(&line).is_ok(),
                "{line}"
            );
        }
    }
}

#[tokio::test]
async fn what_ends_a_session_writes_no_line_of_its_own() {
    let forged = "\x1b[2J\r\n{\"message\":\"forged\"}";
    for format in ["json", "text"] {
        let (folder, upstream) = (TempDir::new().unwrap(), Upstream::bind().await);
        let log = format!("level = \"trace\"\nformat = \"{format}\"");
        let program = program(&upstream.url(), &log, &folder).await;
        for is_client in [true, false] {
            let mut client = program.connect().await;
            client.send(alice("/chat").bytes(&program.address)).await;
            let mut server = upstream.serve().await;
            assert_eq!(client.answer().await.status, 101);
            let (one, other) = match is_client {
                true => (&mut client, &mut server),
                false => (&mut server, &mut client),
            };
            let close = Frame::close(4000, forged);
            one.send(
                if is_client {
                    close.clone().masked()
                } else {
                    close
                }
                .bytes(),
            )
            .await;
            assert_eq!(other.close(4000).await, forged);
            drop((client, server));
        }
        program.signal(Signal::TERM);
        let (_, log) = program.ended().await;
        for line in log {
            assert!(
                !line.contains("forged") && !line.chars().any(char::is_control),
                "{line:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_an_upstream_answers_writes_no_line_of_its_own() {
    let (folder, upstream) = (TempDir::new().unwrap(), Upstream::bind().await);
    let program = program(&upstream.url(), "level = \"trace\"", &folder).await;
    let forged = "\x1b[2J\n{\"message\":\"forged\"}";
    for answer in [
        format!("{forged}\r\n\r\n"),
        format!("HTTP/1.1 {forged}\r\n\r\n"),
        format!("HTTP/1.1 500 {forged}\r\nContent-Length: 0\r\n\r\n"),
        format!("HTTP/1.1 101 Yes\r\nUpgrade: {forged}\r\n\r\n"),
        format!("HTTP/1.1 101 Yes\r\nSec-WebSocket-Protocol: {forged}\r\n\r\n"),
        format!("HTTP/1.1 403 No\r\nContent-Length: 30\r\n\r\n{forged}"),
    ] {
        let mut client = program.connect().await;
        client.send(alice("/chat").bytes(&program.address)).await;
        let mut server = upstream.accept().await;
        server.send(answer).await;
        server.finish().await;
        assert!(client.answer().await.status >= 400);
    }
    program.signal(Signal::TERM);
    let (_, log) = program.ended().await;
    for line in log {
        assert!(!line.chars().any(char::is_control), "{line:?}");
        let event: Value = serde_json::from_str(&line).unwrap();
        assert_ne!(event["message"], "forged");
    }
}

#[tokio::test]
async fn a_token_among_the_offered_subprotocols_is_in_no_line() {
    let (folder, upstream) = (TempDir::new().unwrap(), Upstream::bind().await);
    let program = program(&upstream.url(), "level = \"trace\"", &folder).await;
    for (ask, status) in [
        (alice("/chat"), 101),
        (Handshake::new("/chat"), 401),
        (alice("/nowhere"), 404),
        (alice("/chat").with("Sec-WebSocket-Protocol", "v 2"), 400),
    ] {
        let mut client = program.connect().await;
        let ask = ask.with("Sec-WebSocket-Protocol", "v1, bearer.secret-token-4711");
        client.send(ask.bytes(&program.address)).await;
        if status == 101 {
            let mut server = upstream.accept().await;
            server.agree_with("Sec-WebSocket-Protocol: v1\r\n").await;
        }
        assert_eq!(client.answer().await.status, status);
    }
    program.signal(Signal::TERM);
    let (_, log) = program.ended().await;
    for line in log {
        assert!(!line.contains("secret-token"), "{line}");
    }
}

#[tokio::test]
async fn the_access_log_can_be_switched_off() {
    let (folder, echo) = (TempDir::new().unwrap(), peer::echo().await);
    let program = program(&echo.url(), "access = false", &folder).await;
    let mut client = program.connect().await;
    client.send(alice("/chat").bytes(&program.address)).await;
    assert_eq!(client.answer().await.status, 101);
    drop(client);
    program.signal(Signal::TERM);
    let (_, log) = program.ended().await;
    assert!(
        !log.iter().any(|line| line.contains("session opened")),
        "{log:#?}"
    );
}

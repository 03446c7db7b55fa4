//! Upstreams that break the handshake, never answer, or are not there (RFC 6455 §4.1, items 1 to 6
//! of what a client must check).

use crate::harness::gateway::LISTENER;
use crate::harness::{Gateway, Handshake, Upstream, peer};

#[tokio::test]
async fn answers_that_break_the_handshake_get_502() {
    let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    let switching = "HTTP/1.1 101 Switching Protocols\r\n";
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
    for (what, answer) in [
        ("no Accept", format!("{switching}{upgrade}\r\n")),
        (
            "an Accept for another key",
            format!("{switching}{upgrade}{accept}\r\n"),
        ),
        (
            "h2c",
            format!("{switching}Upgrade: h2c\r\nConnection: Upgrade\r\n{accept}\r\n"),
        ),
        ("not HTTP", "SSH-2.0-OpenSSH_9.9\r\n\r\n".into()),
        (
            "HTTP/1.0",
            format!("HTTP/1.0 101 Yes\r\n{upgrade}{accept}\r\n"),
        ),
        ("no status", format!("HTTP/1.1 \r\n{upgrade}{accept}\r\n")),
        (
            "a head without end",
            format!("HTTP/1.1 101 Yes\r\nX: {}", "x".repeat(1 << 20)),
        ),
        (
            "endless headers",
            format!("{switching}{}", "X-Y: z\r\n".repeat(100_000)),
        ),
        (
            "endless hints",
            "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(10_000),
        ),
        (
            "endless continues",
            "HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000),
        ),
    ] {
        let broken = peer::answers(answer).await;
        let gateway = Gateway::before(broken.url());
        let (_, answer) = gateway.ask(&Handshake::new("/")).await;
        assert_eq!(answer.status, 502, "{what}: {answer:?}");
    }
}

#[tokio::test]
async fn a_right_accept_does_not_excuse_the_rest() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    for (what, headers) in [
        ("no Upgrade", "Connection: Upgrade\r\n"),
        ("no Connection", "Upgrade: websocket\r\n"),
        (
            "Connection: close",
            "Upgrade: websocket\r\nConnection: close\r\n",
        ),
        ("h2c", "Upgrade: h2c\r\nConnection: Upgrade\r\n"),
        (
            "two protocols",
            "Upgrade: websocket, h2c\r\nConnection: Upgrade\r\n",
        ),
    ] {
        let mut client = gateway.send(&Handshake::new("/")).await;
        let mut server = upstream.accept().await;
        let accept = server.accept_key();
        let head = format!("HTTP/1.1 101 Yes\r\n{headers}Sec-WebSocket-Accept: {accept}\r\n\r\n");
        server.send(head).await;
        assert_eq!(client.answer().await.status, 502, "{what}");
        server.ended().await;
    }
}

#[tokio::test]
async fn an_accept_twice_is_no_accept() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    let mut client = gateway.send(&Handshake::new("/")).await;
    let mut server = upstream.accept().await;
    server
        .agree_with("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")
        .await;
    assert_eq!(client.answer().await.status, 502);
}

#[tokio::test]
async fn hints_before_the_answer_are_skipped() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    let mut client = gateway.send(&Handshake::new("/")).await;
    let mut server = upstream.accept().await;
    server
        .send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        .await;
    server.agree().await;
    assert_eq!(client.answer().await.status, 101);
}

#[tokio::test]
async fn an_answer_means_the_same_however_it_arrives() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    let mut client = gateway.send(&Handshake::new("/")).await;
    let mut server = upstream.accept().await;
    let accept = server.accept_key();
    let answer = format!(
        "HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n\x01\x02hi"
    );
    server.send_byte_by_byte(answer.as_bytes()).await;
    assert_eq!(client.answer().await.status, 101);
    assert_eq!(client.bytes(4).await, b"\x01\x02hi");
}

#[tokio::test]
async fn an_upstream_that_is_not_there_gets_502() {
    let gateway = Gateway::before(peer::nobody().await);
    let (_, answer) = gateway.ask(&Handshake::new("/")).await;
    assert_eq!(answer.status, 502, "{answer:?}");
}

#[tokio::test]
async fn an_upstream_that_hangs_up_gets_502() {
    let rude = peer::hangs_up().await;
    let gateway = Gateway::before(rude.url());
    assert_eq!(gateway.status(&Handshake::new("/")).await, 502);
}

#[tokio::test]
async fn an_upstream_that_never_answers_gets_504() {
    let silent = peer::silent().await;
    let gateway = Gateway::start(&format!(
        "{LISTENER}
        [upstreams.mute]
        endpoints = [\"{}\"]
        upgrade_timeout = \"300ms\"
        [[routes]]
        upstream = \"mute\"",
        silent.url()
    ));
    assert_eq!(gateway.status(&Handshake::new("/")).await, 504);
}

#[tokio::test]
async fn an_upstream_that_stalls_in_tls_gets_504() {
    let silent = peer::silent().await;
    let gateway = Gateway::start(&format!(
        "{LISTENER}
        [upstreams.mute]
        endpoints = [\"{}\"]
        connect_timeout = \"300ms\"
        retries = 0
        [[routes]]
        upstream = \"mute\"",
        silent.url().replace("ws://", "wss://")
    ));
    assert_eq!(gateway.status(&Handshake::new("/")).await, 504);
}

#[tokio::test]
async fn opening_has_a_deadline_over_all_attempts() {
    let (one, two) = (peer::silent().await, peer::silent().await);
    let gateway = Gateway::start(&format!(
        "{LISTENER}
        [upstreams.mute]
        endpoints = [\"{}\", \"{}\"]
        upgrade_timeout = \"8s\"
        open_timeout = \"300ms\"
        [[routes]]
        upstream = \"mute\"",
        one.url(),
        two.url()
    ));
    assert_eq!(gateway.status(&Handshake::new("/")).await, 504);
}

#[tokio::test]
async fn another_endpoint_is_tried_while_nothing_was_promised() {
    let (rude, good) = (peer::hangs_up().await, peer::named("good").await);
    let gateway = Gateway::start(&format!(
        "{LISTENER}
        [upstreams.pool]
        endpoints = [\"{}\", \"{}\", \"{}\"]
        [[routes]]
        upstream = \"pool\"",
        peer::nobody().await,
        rude.url(),
        good.url()
    ));
    for _ in 0..6 {
        let (_, answer) = gateway.ask(&Handshake::new("/")).await;
        assert_eq!(answer.header("X-Served-By"), Some("good"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_not_tried_elsewhere() {
    let refuses = peer::answers("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n").await;
    let other = Upstream::bind().await;
    let gateway = Gateway::start(&format!(
        "{LISTENER}
        [upstreams.pool]
        endpoints = [\"{}\", \"{}\"]
        [[routes]]
        upstream = \"pool\"",
        refuses.url(),
        other.url()
    ));
    assert_eq!(gateway.status(&Handshake::new("/")).await, 403);
    other.was_left_alone().await;
}

#[tokio::test]
async fn sessions_go_round_by_weight() {
    let (one, two) = (peer::named("one").await, peer::named("two").await);
    let gateway = Gateway::start(&format!(
        "{LISTENER}
        [upstreams.pool]
        endpoints = [\"{}\", {{ url = \"{}\", weight = 2 }}]
        [[routes]]
        upstream = \"pool\"",
        one.url(),
        two.url()
    ));
    let mut to_two = 0;
    for _ in 0..9 {
        let (_, answer) = gateway.ask(&Handshake::new("/")).await;
        to_two += usize::from(answer.header("X-Served-By") == Some("two"));
    }
    assert_eq!(to_two, 6);
}

#[tokio::test]
async fn the_fewest_sessions_win() {
    let (one, two) = (peer::named("one").await, peer::named("two").await);
    let gateway = Gateway::start(&format!(
        "{LISTENER}
        [upstreams.pool]
        endpoints = [\"{}\", \"{}\"]
        balance = \"least_connections\"
        [[routes]]
        upstream = \"pool\"",
        one.url(),
        two.url()
    ));
    let (mut of_one, mut of_two) = (Vec::new(), Vec::new());
    for _ in 0..6 {
        let (client, answer) = gateway.ask(&Handshake::new("/")).await;
        let sessions = if answer.header("X-Served-By") == Some("one") {
            &mut of_one
        } else {
            &mut of_two
        };
        sessions.push(client);
    }
    assert_eq!((of_one.len(), of_two.len()), (3, 3));

    of_one.clear();
    gateway.has_sessions(3).await;
    for _ in 0..3 {
        let (client, answer) = gateway.ask(&Handshake::new("/")).await;
        assert_eq!(answer.header("X-Served-By"), Some("one"));
        of_one.push(client);
    }
}

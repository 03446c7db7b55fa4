//! What makes a request a WebSocket handshake, and what each wrong one is told (RFC 6455 §4.2.1,
//! RFC 9112). A refused handshake never reaches the upstream.

use crate::harness::handshake::CLIENT_KEY;
use crate::harness::{Frame, Gateway, Handshake, Upstream, peer, session_by, within};

fn ask() -> Handshake {
    Handshake::new("/")
}

#[tokio::test]
async fn the_answer_proves_that_the_key_was_read() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    let (_client, server, answer) = session_by(&gateway, &upstream, &ask()).await;

    // RFC 6455 §1.3 has this pair.
    assert_eq!(
        answer.header("Sec-WebSocket-Accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    assert!(
        answer
            .header("Upgrade")
            .unwrap()
            .eq_ignore_ascii_case("websocket")
    );
    assert!(
        answer
            .header("Connection")
            .unwrap()
            .eq_ignore_ascii_case("upgrade")
    );

    assert_eq!(server.asked_line(), "GET / HTTP/1.1");
    assert_eq!(server.asked("Sec-WebSocket-Version"), Some("13"));
    let key = server.asked("Sec-WebSocket-Key").unwrap();
    assert_ne!(key, CLIENT_KEY, "the gateway makes a key of its own");
    assert_eq!(key.len(), 24);
}

#[tokio::test]
async fn every_upstream_handshake_has_a_fresh_key() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    let (_first, one, _) = session_by(&gateway, &upstream, &ask()).await;
    let (_second, two, _) = session_by(&gateway, &upstream, &ask()).await;
    assert_ne!(
        one.asked("Sec-WebSocket-Key"),
        two.asked("Sec-WebSocket-Key")
    );
}

#[tokio::test]
async fn spellings_that_real_clients_use_are_accepted() {
    let spellings = [
        ("Firefox", ask().set("Connection", "keep-alive, Upgrade")),
        (
            "mixed case",
            ask()
                .set("Connection", "uPgRaDe")
                .set("Upgrade", "WebSocket"),
        ),
        (
            "two Connection lines",
            ask()
                .set("Connection", "keep-alive")
                .with("Connection", "upgrade"),
        ),
        ("empty list members", ask().set("Connection", ", ,Upgrade,")),
        ("a length of none", ask().with("Content-Length", "0")),
        ("more spaces", ask().set("Upgrade", "  websocket\t ")),
        (
            "lower-case names",
            ask().without("Upgrade").with("upgrade", "websocket"),
        ),
        ("an absolute target", Handshake::new("http://{host}/")),
    ];
    let echo = peer::echo().await;
    let gateway = Gateway::before(echo.url());
    for (what, handshake) in spellings {
        assert_eq!(gateway.status(&handshake).await, 101, "{what}");
    }
}

#[tokio::test]
async fn keys_that_are_no_sixteen_bytes_in_base64_get_400() {
    refused_with(
        &[400],
        [
            ("no key", ask().without("Sec-WebSocket-Key")),
            ("an empty key", ask().set("Sec-WebSocket-Key", "")),
            ("a short key", ask().set("Sec-WebSocket-Key", "c2hvcnQ=")),
            (
                "a long key",
                ask().set("Sec-WebSocket-Key", "c2V2ZW50ZWVuIGJ5dGVzIQ="),
            ),
            (
                "18 bytes",
                ask().set("Sec-WebSocket-Key", "MTIzNDU2Nzg5MDEyMzQ1Njc4"),
            ),
            (
                "not base64",
                ask().set("Sec-WebSocket-Key", "!!!!!!!!!!!!!!!!!!!!!!=="),
            ),
            (
                "no padding",
                ask().set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ"),
            ),
            ("two keys", ask().with("Sec-WebSocket-Key", CLIENT_KEY)),
        ],
    )
    .await;
}

#[tokio::test]
async fn versions_other_than_13_get_426_and_are_told_13() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    for (what, handshake) in [
        ("8", ask().set("Sec-WebSocket-Version", "8")),
        ("7", ask().set("Sec-WebSocket-Version", "7")),
        ("none", ask().without("Sec-WebSocket-Version")),
        ("13 and 8", ask().with("Sec-WebSocket-Version", "8")),
        ("a list", ask().set("Sec-WebSocket-Version", "13, 8")),
        ("13 twice", ask().with("Sec-WebSocket-Version", "13")),
        ("words", ask().set("Sec-WebSocket-Version", "thirteen")),
        ("013", ask().set("Sec-WebSocket-Version", "013")),
    ] {
        let (mut client, answer) = gateway.ask(&handshake).await;
        assert_eq!(answer.status, 426, "{what}: {answer:?}");
        assert_eq!(answer.header("Sec-WebSocket-Version"), Some("13"), "{what}");
        client.finish().await;
        client.ended().await;
    }
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn methods_other_than_get_get_405() {
    refused_with(
        &[405],
        [
            ("POST", ask().method("POST")),
            ("DELETE", ask().method("DELETE")),
            ("OPTIONS", ask().method("OPTIONS")),
            ("CONNECT", ask().method("CONNECT")),
            (
                "CONNECT to a host",
                Handshake::plain("example.com:443")
                    .method("CONNECT")
                    .host("example.com:443"),
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn old_http_gets_400() {
    refused_with(
        &[400],
        [
            ("HTTP/1.0", ask().version("HTTP/1.0")),
            ("HTTP/0.9", ask().version("HTTP/0.9")),
            ("HTTP/2.0", ask().version("HTTP/2.0")),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_handshake_with_a_body_gets_400() {
    refused_with(
        &[400],
        [
            (
                "a length",
                ask().with("Content-Length", "5").behind(b"hello"),
            ),
            (
                "chunks",
                ask()
                    .with("Transfer-Encoding", "chunked")
                    .behind(b"0\r\n\r\n"),
            ),
            (
                "both",
                ask()
                    .with("Content-Length", "5")
                    .with("Transfer-Encoding", "chunked"),
            ),
            (
                "both, the length none",
                ask()
                    .with("Content-Length", "0")
                    .with("Transfer-Encoding", "chunked"),
            ),
            (
                "two lengths",
                ask()
                    .with("Content-Length", "0")
                    .with("Content-Length", "5"),
            ),
            (
                "the same length twice",
                ask()
                    .with("Content-Length", "5")
                    .with("Content-Length", "5"),
            ),
            ("a list of lengths", ask().with("Content-Length", "0, 0")),
            ("a signed length", ask().with("Content-Length", "+0")),
            ("identity", ask().with("Transfer-Encoding", "identity")),
        ],
    )
    .await;
}

#[tokio::test]
async fn heads_that_two_servers_might_read_differently_get_400() {
    refused_with(
        &[400],
        [
            ("a folded line", ask().with("X-Folded", "one\r\n two")),
            (
                "a bare LF after a value",
                ask().with("X-Bare", "one\nX-Other: two"),
            ),
            ("a bare CR in a value", ask().with("X-Bare", "one\rtwo")),
            ("a space before the colon", ask().with("X-Space ", "one")),
            ("a tab before the colon", ask().with("X-Tab\t", "one")),
            ("NUL in a value", ask().with("X-Nul", "one\0two")),
            (
                "a control character in a value",
                ask().with("X-Bell", "one\x07two"),
            ),
            ("DEL in a value", ask().with("X-Del", "one\x7ftwo")),
            ("a control character in a name", ask().with("X-\x01", "one")),
            ("NUL in a name", ask().with("X-\0", "one")),
            ("an empty name", ask().with("", "one")),
            ("a space in a name", ask().with("X Y", "one")),
            ("a name with a parenthesis", ask().with("X(Y)", "one")),
            (
                "a line without a colon",
                ask().with("X-A", "one\r\nno colon here"),
            ),
            ("a space in the target", Handshake::new("/a b")),
            ("a tab after the method", ask().method("GET\t")),
            ("two spaces after the method", ask().method("GET ")),
            ("a method that is no token", ask().method("G(T")),
        ],
    )
    .await;
}

#[tokio::test]
async fn hosts_that_are_missing_repeated_or_contradicted_get_400() {
    refused_with(
        &[400],
        [
            ("no Host", ask().without("Host")),
            ("two Hosts", ask().with("Host", "other.example")),
            ("the same Host twice", ask().with("Host", "{host}")),
            ("an empty Host", ask().host("")),
            (
                "another host in the target",
                Handshake::new("http://other.example/"),
            ),
            ("a path in Host", ask().host("a.example/b")),
            ("a user in Host", ask().host("me@a.example")),
            ("a space in Host", ask().host("a.example b.example")),
            ("a list of hosts", ask().host("a.example, b.example")),
            ("a port that is no number", ask().host("a.example:http")),
            ("a port beyond 65535", ask().host("a.example:70000")),
            ("a fragment in the target", Handshake::new("/chat#top")),
            ("a target without a slash", Handshake::new("chat")),
            ("an asterisk as target", Handshake::new("*")),
        ],
    )
    .await;
}

#[tokio::test]
async fn upgrades_to_something_else_are_not_served() {
    refused_with(
        &[400],
        [
            ("nothing", ask().set("Upgrade", "")),
            ("h2c", ask().set("Upgrade", "h2c")),
            ("h2c too", ask().set("Upgrade", "websocket, h2c")),
            ("h2c before", ask().set("Upgrade", "h2c, websocket")),
            ("a line for h2c", ask().with("Upgrade", "h2c")),
            (
                "websocket with a version",
                ask().set("Upgrade", "websocket/13"),
            ),
            (
                "HTTP/2 with its settings",
                ask()
                    .set("Upgrade", "h2c")
                    .set("Connection", "Upgrade, HTTP2-Settings")
                    .with("HTTP2-Settings", "AAMAAABkAAQAAP__"),
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_plain_request_is_told_to_upgrade() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    for (what, status, request) in [
        ("GET", 426, Handshake::plain("/")),
        (
            "POST",
            426,
            Handshake::plain("/")
                .method("POST")
                .with("Content-Length", "2")
                .behind(b"{}"),
        ),
        (
            "Upgrade without Connection",
            400,
            ask().without("Connection"),
        ),
        ("Connection without Upgrade", 426, ask().without("Upgrade")),
        ("Connection: close", 400, ask().set("Connection", "close")),
    ] {
        let (_, answer) = gateway.ask(&request).await;
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        if status == 426 {
            let upgrade = answer
                .header("Upgrade")
                .unwrap_or_else(|| panic!("{what}: {answer:?}"));
            assert_eq!(upgrade, "websocket", "{what}");
        }
    }
    let plain = gateway.status(&Handshake::plain("/")).await;
    assert_eq!(plain, 426);
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn a_refusal_is_short_plain_has_an_id_and_ends_the_connection() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    for handshake in [
        ask().without("Sec-WebSocket-Key"),
        ask().with("X Y", "below hyper"),
    ] {
        let handshake = handshake.behind(b"GET /second HTTP/1.1\r\nHost: a\r\n\r\n");
        let (mut client, answer) = gateway.ask(&handshake).await;
        assert_eq!(answer.status, 400);
        assert!(
            answer
                .header("Content-Type")
                .unwrap()
                .starts_with("text/plain"),
            "{answer:?}"
        );
        assert_eq!(answer.header("Connection"), Some("close"));
        assert!(answer.header("X-Request-Id").is_some(), "{answer:?}");
        assert!((1..300).contains(&answer.body.len()), "{answer:?}");
        client.finish().await;
        client.ended().await;
    }
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn a_head_means_the_same_however_it_arrives() {
    let echo = peer::echo().await;
    let gateway = Gateway::before(echo.url());
    let right = ask().with("X-A", "b").bytes(gateway.address());
    for cut in 1..right.len() {
        let mut client = gateway.connect().await;
        client.send_cut_at(&right, cut).await;
        assert_eq!(client.answer().await.status, 101, "cut at {cut}");
    }
    for (status, handshake) in [
        (101, ask()),
        (400, ask().with("X-Folded", "one\r\n two")),
        (400, ask().with("X-Bare", "one\nX-Other: two")),
        (426, ask().set("Sec-WebSocket-Version", "8")),
    ] {
        let mut client = gateway.connect().await;
        client
            .send_byte_by_byte(&handshake.bytes(gateway.address()))
            .await;
        assert_eq!(client.answer().await.status, status);
    }
}

#[tokio::test]
async fn frames_behind_the_handshake_wait_for_the_upstream() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    let early = Frame::text("early").masked();

    let mut client = gateway.send(&ask().behind(&early.bytes())).await;
    let mut server = upstream.accept().await;
    server.agree().await;
    assert_eq!(client.answer().await.status, 101);
    assert_eq!(server.frame().await, early);
}

#[tokio::test]
async fn frames_behind_the_upstreams_answer_reach_the_client() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    let mut client = gateway.send(&ask()).await;
    let mut server = upstream.accept().await;
    let accept = server.accept_key();
    let frames = [
        Frame::text("first").bytes(),
        Frame::binary("second").bytes(),
    ]
    .concat();
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    server.send([head.as_bytes(), &frames].concat()).await;
    assert_eq!(client.answer().await.status, 101);
    assert_eq!(client.bytes(frames.len()).await, frames);
}

#[tokio::test]
async fn a_client_that_vanishes_during_the_handshake_frees_the_upstream() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());

    // Before the upstream has answered.
    let client = gateway.send(&ask()).await;
    let mut server = upstream.accept().await;
    client.reset();
    server.agree().await;
    within("the upstream's end", server.ended()).await;

    // Before the head was whole, and before it began.
    let mut client = gateway.connect().await;
    client.send(&ask().bytes(gateway.address())[..40]).await;
    client.reset();
    gateway.connect().await.reset();

    gateway.has_sessions(0).await;
    assert_eq!(session_by(&gateway, &upstream, &ask()).await.2.status, 101);
}

/// Each gets one of these statuses, and nothing that comes behind it gets a word; the upstream hears
/// of none.
async fn refused_with<const N: usize>(statuses: &[u16], cases: [(&str, Handshake); N]) {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    for (what, handshake) in cases {
        let hidden = Handshake::new("/hidden").bytes(gateway.address());
        let (mut client, answer) = gateway.ask(&handshake.followed_by(&hidden)).await;
        assert!(statuses.contains(&answer.status), "{what}: {answer:?}");
        client.finish().await;
        client.ended().await;
    }
    upstream.was_left_alone().await;
    gateway.has_sessions(0).await;
}

//! Ordinary requests and answers that break the rules: nothing of one client reaches another, and
//! nothing that is incomplete looks whole.

use crate::harness::gateway::LISTENER;
use crate::harness::leg::End;
use crate::harness::plain::{HIDDEN, OK, PROXY, asked, chunked, get, proxy, proxy_with};
use crate::harness::{Gateway, Handshake, Upstream, peer};

#[tokio::test]
async fn answers_with_two_readings_get_502_and_their_connection_closes() {
    let ok = "HTTP/1.1 200 OK\r\n";
    for (what, answer) in [
        (
            "a length and chunks",
            format!("{ok}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ),
        (
            "chunks and no length",
            format!("{ok}Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n"),
        ),
        (
            "a length twice",
            format!("{ok}Content-Length: 2\r\nContent-Length: 2\r\n\r\nok"),
        ),
        (
            "two lengths",
            format!("{ok}Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!"),
        ),
        (
            "a list of lengths",
            format!("{ok}Content-Length: 2, 2\r\n\r\nok"),
        ),
        (
            "a length with a sign",
            format!("{ok}Content-Length: +2\r\n\r\nok"),
        ),
        (
            "chunks that are zipped",
            format!("{ok}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        ),
        (
            "chunks twice",
            format!(
                "{ok}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
        ),
        (
            "chunks in HTTP/1.0",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
        ),
        (
            "a folded header",
            format!("{ok}X-A: b\r\n c\r\nContent-Length: 2\r\n\r\nok"),
        ),
        (
            "a bare line feed",
            format!("{ok}X-A: b\nContent-Length: 2\r\n\r\nok"),
        ),
        (
            "bare line feeds",
            "HTTP/1.1 200 OK\nContent-Length: 2\n\nok".into(),
        ),
        (
            "a bare carriage return",
            format!("{ok}X-A: b\rc\r\nContent-Length: 2\r\n\r\nok"),
        ),
        (
            "a space before the colon",
            format!("{ok}Content-Length : 2\r\n\r\nok"),
        ),
        ("NUL", format!("{ok}X-A: \0\r\nContent-Length: 2\r\n\r\nok")),
        ("not HTTP", "SSH-2.0-OpenSSH_9.9\r\n".into()),
        ("HTTP/2", "HTTP/2 200\r\n\r\n".into()),
        ("no status", "HTTP/1.1 OK\r\n\r\n".into()),
        (
            "101",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
                .into(),
        ),
        (
            "h2c",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
                .into(),
        ),
        (
            "endless hints",
            "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(10_000),
        ),
        (
            "endless continues",
            "HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000),
        ),
        (
            "a head without end",
            format!("{ok}X: {}", "x".repeat(1 << 20)),
        ),
        (
            "endless headers",
            format!("{ok}{}", "X-Y: z\r\n".repeat(100_000)),
        ),
    ] {
        let (gateway, upstream) = proxy().await;
        let (mut client, mut server) = asked(&gateway, &upstream, &get("/")).await;
        // The gateway may have had enough before the end.
        let _ = server.try_send(answer.as_bytes()).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 502, "{what}: {answer:?}");
        server.ended().await;
    }
}

#[tokio::test]
async fn hints_before_the_answer_are_skipped() {
    let (gateway, upstream) = proxy().await;
    let (mut client, mut server) = asked(&gateway, &upstream, &get("/")).await;
    server
        .send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        .await;
    server.send(OK).await;
    assert_eq!(client.answer().await.body, "ok");
}

#[tokio::test]
async fn an_answer_means_the_same_however_it_arrives() {
    let (gateway, upstream) = proxy().await;
    let (mut client, mut server) = asked(&gateway, &upstream, &get("/")).await;
    server
        .send_byte_by_byte(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nA: b\r\n\r\n",
        )
        .await;
    let head = client.head().await;
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    let mut got = client.bytes(1).await;
    while !got.ends_with(b"0\r\n\r\n") {
        got.extend(client.bytes(1).await);
    }
    // As it was, or each byte as it came.
    let bodies: [&[u8]; 2] = [b"2\r\nok\r\n0\r\n\r\n", b"1\r\no\r\n1\r\nk\r\n0\r\n\r\n"];
    assert!(bodies.contains(&&got[..]), "{}", got.escape_ascii());
    // It was clean to the last byte, so the connection is good for another request.
    client.send(get("/next").bytes(gateway.address())).await;
    server.take_request().await;
}

#[tokio::test]
async fn what_follows_an_answer_is_nobodys_answer() {
    let poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    for (method, answer) in [
        ("GET", format!("{OK}{poison}")),
        ("GET", format!("HTTP/1.1 204 No Content\r\n\r\n{poison}")),
        (
            "GET",
            format!("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n{poison}"),
        ),
        (
            "HEAD",
            format!("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{poison}"),
        ),
        (
            "GET",
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{poison}"),
        ),
    ] {
        let (gateway, upstream) = proxy().await;
        let (mut client, mut server) = asked(&gateway, &upstream, &get("/").method(method)).await;
        server.send(answer.as_bytes()).await;
        client.head().await;
        server.ended().await;
        let (mut other, mut server) = asked(&gateway, &upstream, &get("/other")).await;
        server.send(OK).await;
        assert_eq!(other.answer().await.body, "ok", "{answer}");
    }
}

#[tokio::test]
async fn what_an_idle_upstream_says_unasked_is_nobodys_answer() {
    let (gateway, upstream) = proxy().await;
    let (mut client, mut server) = asked(&gateway, &upstream, &get("/")).await;
    server.send(OK).await;
    assert_eq!(client.answer().await.body, "ok");
    server
        .send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        .await;
    let (mut other, mut fresh) = asked(&gateway, &upstream, &get("/other")).await;
    fresh.send(OK).await;
    assert_eq!(other.answer().await.body, "ok");
    server.ended().await;
}

#[tokio::test]
async fn answers_that_break_off_look_broken_off() {
    for (framing, body) in [
        ("Content-Length: 9", "half"),
        ("Transfer-Encoding: chunked", "4\r\nhalf\r\n"),
        ("Transfer-Encoding: chunked", "9\r\nhalf"),
        // A chunk whose size lies, and one without a size.
        ("Transfer-Encoding: chunked", "4\r\nhalf!\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked", "4\r\nhalf\r\n-1\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked", "4\r\nhalf\n0\n\n"),
    ] {
        let (gateway, upstream) = proxy().await;
        let (mut client, mut server) = asked(&gateway, &upstream, &get("/")).await;
        server
            .send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{body}"))
            .await;
        server.finish().await;
        let head = client.head().await.to_ascii_lowercase();
        assert!(head.contains(&framing.to_ascii_lowercase()), "{head}");
        let (got, _) = client.rest().await;
        let got = String::from_utf8(got).unwrap();
        assert!(got.contains("half"), "{got:?} of {body:?}");
        // Neither nine bytes nor a last chunk.
        assert!(got.len() < 9 || !head.contains("length"), "{got:?}");
        assert!(!got.ends_with("0\r\n\r\n"), "{got:?} of {body:?}");
    }
}

#[tokio::test]
async fn an_old_client_sees_a_reset_where_the_answer_breaks_off() {
    let (gateway, upstream) = proxy().await;
    let (mut client, mut server) = asked(&gateway, &upstream, &get("/").version("HTTP/1.0")).await;
    server
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        .await;
    client.head().await;
    assert_eq!(client.bytes(4).await, b"half");
    server.finish().await;
    assert_eq!(client.ended().await, End::Reset);
}

#[tokio::test]
async fn a_lost_connection_gets_502_whatever_was_asked() {
    for request in [get("/"), chunked().behind(b"0\r\n\r\n")] {
        let (gateway, upstream) = proxy().await;
        let (mut client, server) = asked(&gateway, &upstream, &request).await;
        drop(server);
        assert_eq!(client.answer().await.status, 502);
        // It was a fresh connection: the upstream may have done what it was asked.
        upstream.was_left_alone().await;
    }
}

#[tokio::test]
async fn a_connection_that_closed_while_it_waited_costs_a_repeatable_request_nothing() {
    let (gateway, upstream) = proxy().await;
    let (mut client, mut server) = asked(&gateway, &upstream, &get("/1")).await;
    server.send(OK).await;
    assert_eq!(client.answer().await.body, "ok");
    // The upstream takes the next request and hangs up, as it does when both cross.
    client.send(get("/2").bytes(gateway.address())).await;
    server.take_request().await;
    drop(server);
    let mut server = upstream.accept().await;
    assert_eq!(server.asked_line(), "GET /2 HTTP/1.1");
    server.send(OK).await;
    assert_eq!(client.answer().await.body, "ok");
}

#[tokio::test]
async fn a_request_that_may_not_be_repeated_is_not() {
    let (gateway, upstream) = proxy().await;
    let (mut client, mut server) = asked(&gateway, &upstream, &get("/1")).await;
    server.send(OK).await;
    assert_eq!(client.answer().await.body, "ok");
    let post = get("/2")
        .method("POST")
        .with("Content-Length", "2")
        .behind(b"hi");
    client.send(post.bytes(gateway.address())).await;
    server.take_request().await;
    assert_eq!(server.bytes(2).await, b"hi");
    drop(server);
    assert_eq!(client.answer().await.status, 502);
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn a_request_is_repeated_once_only() {
    let (gateway, upstream) = proxy().await;
    let (mut client, mut server) = asked(&gateway, &upstream, &get("/1")).await;
    server.send(OK).await;
    assert_eq!(client.answer().await.body, "ok");
    client.send(get("/2").bytes(gateway.address())).await;
    server.take_request().await;
    drop(server);
    drop(upstream.accept().await);
    assert_eq!(client.answer().await.status, 502);
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_reached_leaves_the_request_to_another() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::start(&format!(
        "{LISTENER}
        [upstreams.pool]
        endpoints = [\"{}\", \"{}\"]
        [[routes]]
        upstream = \"pool\"
        {PROXY}",
        peer::nobody().await,
        upstream.url()
    ));
    for _ in 0..2 {
        let request = get("/")
            .method("POST")
            .with("Content-Length", "2")
            .behind(b"hi");
        let (mut client, mut server) = asked(&gateway, &upstream, &request).await;
        assert_eq!(server.bytes(2).await, b"hi");
        server
            .send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
            .await;
        assert_eq!(client.answer().await.body, "ok");
    }
}

#[tokio::test]
async fn an_upstream_that_says_whose_a_connection_is_gets_one_for_each_request() {
    for got in each_by_its_own_connection("proxy_protocol = \"v1\"").await {
        assert!(got.starts_with("PROXY TCP4 127.0.0.1 "), "{got}");
    }
}

#[tokio::test]
async fn an_upstream_without_keep_alive_gets_a_connection_for_each_request() {
    for got in each_by_its_own_connection("keep_alive = \"off\"").await {
        assert!(got.starts_with("GET / HTTP/1.1\r\n"), "{got}");
    }
}

/// What an upstream with these keys gets of two requests of one client, each of which must come by a
/// connection of its own.
async fn each_by_its_own_connection(keys: &str) -> Vec<String> {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::start(&format!(
        "{LISTENER}
        [upstreams.pool]
        endpoints = [\"{}\"]
        {keys}
        [[routes]]
        upstream = \"pool\"
        {PROXY}",
        upstream.url()
    ));
    let mut client = gateway.connect().await;
    let mut got = Vec::new();
    for _ in 0..2 {
        client.send(get("/").bytes(gateway.address())).await;
        let mut server = upstream.accept().await;
        assert_eq!(server.asked("Connection"), Some("close"));
        server.send(OK).await;
        assert_eq!(client.answer().await.body, "ok");
        server.ended().await;
        got.push(server.request);
    }
    got
}

#[tokio::test]
async fn requests_with_two_readings_get_400() {
    let (gateway, upstream) = proxy().await;
    let post = || get("/").method("POST");
    for (what, request) in [
        (
            "a length and chunks",
            post()
                .with("Content-Length", "5")
                .with("Transfer-Encoding", "chunked"),
        ),
        (
            "a length twice",
            post()
                .with("Content-Length", "5")
                .with("Content-Length", "5"),
        ),
        (
            "two lengths",
            post()
                .with("Content-Length", "0")
                .with("Content-Length", "5"),
        ),
        (
            "chunks that are zipped",
            post().with("Transfer-Encoding", "gzip, chunked"),
        ),
        (
            "chunks twice",
            post()
                .with("Transfer-Encoding", "chunked")
                .with("Transfer-Encoding", "chunked"),
        ),
        (
            "chunks in HTTP/1.0",
            post()
                .with("Transfer-Encoding", "chunked")
                .version("HTTP/1.0"),
        ),
        ("a folded header", get("/").with("X-A", "b\r\n c")),
        ("a bare line feed", get("/").with("X-A", "b\nX-B: c")),
        ("a space before the colon", get("/").with("X-A ", "b")),
        ("NUL", get("/").with("X-A", "\0")),
        ("no Host", get("/").without("Host")),
        ("two Hosts", get("/").with("Host", "other")),
        ("another host in the target", get("http://other/")),
        ("a path with dots", get("/a/../b")),
        ("no path", get("*").method("OPTIONS")),
    ] {
        let request = request.behind(HIDDEN.as_bytes());
        let mut client = gateway.connect().await;
        let _ = client.try_send(&request.bytes(gateway.address())).await;
        assert_eq!(client.answer().await.status, 400, "{what}");
        client.finish().await;
        client.ended().await;
    }
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn chunks_that_are_broken_get_400_and_hide_nothing() {
    for body in [
        format!("x\r\n{HIDDEN}"),
        format!("-1\r\n{HIDDEN}"),
        format!("0x2\r\nhi\r\n0\r\n\r\n{HIDDEN}"),
        format!("2\nhi\n0\n\n{HIDDEN}"),
        format!("2\r\nhi!\r\n0\r\n\r\n{HIDDEN}"),
        format!("ffffffffffffffff\r\n{HIDDEN}"),
        format!("2;\nx\r\nhi\r\n0\r\n\r\n{HIDDEN}"),
    ] {
        let (gateway, upstream) = proxy().await;
        let request = chunked().behind(body.as_bytes());
        let mut client = gateway.send(&request).await;
        let mut server = upstream.accept_silently().await;
        assert_eq!(client.answer().await.status, 400, "{body:?}");
        client.finish().await;
        client.ended().await;
        let (got, _) = server.rest().await;
        let got = String::from_utf8(got).unwrap();
        assert!(
            !got.contains("internal") && !got.contains("\r\n0\r\n\r\n"),
            "{got:?} of {body:?}"
        );
        upstream.was_left_alone().await;
    }
}

#[tokio::test]
async fn a_body_does_not_become_a_request() {
    let (gateway, upstream) = proxy().await;
    let length = HIDDEN.len().to_string();
    let request = get("/").method("GET").with("Content-Length", &length);
    let (mut client, mut server) =
        asked(&gateway, &upstream, &request.behind(HIDDEN.as_bytes())).await;
    assert_eq!(server.asked("Content-Length"), Some(length.as_str()));
    assert_eq!(server.bytes(HIDDEN.len()).await, HIDDEN.as_bytes());
    server.send(OK).await;
    assert_eq!(client.answer().await.body, "ok");
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn hop_by_hop_headers_pass_neither_way() {
    let (gateway, upstream) = proxy().await;
    let request = get("/")
        .with("Connection", "keep-alive, X-Hop, Authorization")
        .with("X-Hop", "1")
        .with("Keep-Alive", "timeout=5")
        .with("TE", "trailers")
        .with("Trailer", "X")
        .with("Proxy-Authorization", "Basic eDp5")
        .with("Proxy-Connection", "keep-alive")
        .with("Sec-WebSocket-Key", "x")
        .with("Authorization", "Basic eDp5")
        .with("X-Forwarded-For", "1.2.3.4");
    let (mut client, mut server) = asked(&gateway, &upstream, &request).await;
    for name in [
        "Connection",
        "X-Hop",
        "Keep-Alive",
        "TE",
        "Trailer",
        "Proxy-Authorization",
        "Proxy-Connection",
        "Sec-WebSocket-Key",
    ] {
        assert_eq!(server.asked(name), None, "{name}");
    }
    assert_eq!(server.asked("Authorization"), Some("Basic eDp5"));
    assert_eq!(server.asked("X-Forwarded-For"), Some("127.0.0.1"));
    server
        .send(
            "HTTP/1.1 200 OK\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
             Alt-Svc: h3=\":443\"\r\nProxy-Authenticate: Basic\r\nTrailer: X\r\nServer: x\r\n\
             Upgrade: h2c\r\nContent-Length: 2\r\n\r\nok",
        )
        .await;
    let answer = client.answer().await;
    for name in [
        "X-Hop",
        "Keep-Alive",
        "Alt-Svc",
        "Proxy-Authenticate",
        "Trailer",
        "Upgrade",
    ] {
        assert_eq!(answer.header(name), None, "{name}");
    }
    assert_eq!(answer.header("Server"), Some("x"));
}

#[tokio::test]
async fn a_post_of_another_sites_page_gets_403() {
    let (gateway, upstream) = proxy().await;
    let own = format!("http://{}", gateway.address());
    let post = || {
        get("/")
            .method("POST")
            .with("Content-Length", "2")
            .behind(b"hi")
    };
    for request in [
        post().with("Origin", "https://evil.example"),
        post().with("Origin", "null"),
        post().with("Sec-Fetch-Site", "cross-site"),
        get("/").with("Origin", "https://evil.example"),
    ] {
        assert_eq!(gateway.status(&request).await, 403, "{request:?}");
    }
    upstream.was_left_alone().await;
    for request in [
        post().with("Origin", &own),
        post(),
        // A link on another site.
        get("/").with("Sec-Fetch-Site", "cross-site"),
    ] {
        let (mut client, mut server) = asked(&gateway, &upstream, &request).await;
        server
            .send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
            .await;
        assert_eq!(client.answer().await.status, 200, "{request:?}");
    }
}

#[tokio::test]
async fn a_required_origin_is_required_of_handshakes_only() {
    let (gateway, upstream) = proxy_with("require_origin = true").await;
    assert_eq!(gateway.status(&Handshake::new("/")).await, 403);
    let (mut client, mut server) = asked(&gateway, &upstream, &get("/")).await;
    server.send(OK).await;
    assert_eq!(client.answer().await.status, 200);
}

#[tokio::test]
async fn an_upstream_that_never_answers_gets_504() {
    let (gateway, upstream) = proxy_with("timeouts = { response = \"200ms\" }").await;
    let (mut client, mut server) = asked(&gateway, &upstream, &get("/")).await;
    assert_eq!(client.answer().await.status, 504);
    server.ended().await;
}

#[tokio::test]
async fn an_upstream_that_takes_nothing_gets_504() {
    let upstream = Upstream::bind_narrow().await;
    let keys = format!("{PROXY}\ntimeouts = {{ body = \"200ms\" }}");
    let gateway = Gateway::route(upstream.url(), &keys);
    let request = get("/").method("PUT").with("Content-Length", "1000000000");
    let (mut client, _server) = asked(&gateway, &upstream, &request).await;
    client.send_until_refused(&[b'x'; 64 << 10]).await;
    assert_eq!(client.answer().await.status, 504);
}

#[tokio::test]
async fn a_client_whose_body_stands_still_gets_408() {
    let (gateway, upstream) = proxy_with("timeouts = { body = \"200ms\" }").await;
    let request = get("/")
        .method("POST")
        .with("Content-Length", "9")
        .behind(b"half");
    let (mut client, mut server) = asked(&gateway, &upstream, &request).await;
    assert_eq!(client.answer().await.status, 408);
    assert_eq!(server.bytes(4).await, b"half");
    server.ended().await;
}

#[tokio::test]
async fn an_answer_that_stands_still_is_cut() {
    let (gateway, upstream) = proxy_with("timeouts = { body = \"200ms\" }").await;
    let (mut client, mut server) = asked(&gateway, &upstream, &get("/")).await;
    server
        .send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        .await;
    client.head().await;
    assert_eq!(client.rest().await.0, b"half");
    server.ended().await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut() {
    let upstream = Upstream::bind_narrow().await;
    let keys = format!("{PROXY}\ntimeouts = {{ body = \"300ms\" }}");
    let gateway = Gateway::route(upstream.url(), &keys);
    let mut client = gateway.connect_narrow().await;
    client.send(get("/").bytes(gateway.address())).await;
    let mut server = upstream.accept().await;
    server.send("HTTP/1.1 200 OK\r\n\r\n").await;
    server.send_until_refused(&[b'x'; 64 << 10]).await;
}

#[tokio::test]
async fn a_refused_upload_reaches_nobody() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::route(
        upstream.url(),
        &format!("{PROXY}\ndeny_ips = [\"127.0.0.0/8\"]"),
    );
    let request = chunked().behind(format!("2\r\nhi\r\n0\r\n\r\n{HIDDEN}").as_bytes());
    let mut client = gateway.send(&request).await;
    assert_eq!(client.answer().await.status, 403);
    client.finish().await;
    client.ended().await;
    upstream.was_left_alone().await;
}

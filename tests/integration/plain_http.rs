//! Ordinary requests on routes that pass them on: what reaches the upstream, what the client gets,
//! and that nothing waits for the end of what has begun.

use crate::harness::gateway::LISTENER;
use crate::harness::leg::End;
use crate::harness::plain::{OK, PROXY, asked, get, proxy, proxy_with};
use crate::harness::{Frame, Gateway, Handshake, Leg, Upstream, session};

fn post(target: &str, body: &str) -> Handshake {
    get(target)
        .method("POST")
        .with("Content-Length", &body.len().to_string())
        .behind(body.as_bytes())
}

/// The upstream answers, and both connections carry another request.
async fn are_kept(gateway: &Gateway, client: &mut Leg, server: &mut Leg) {
    server.send(OK).await;
    assert_eq!(client.answer().await.body, "ok");
    client.send(get("/next").bytes(gateway.address())).await;
    server.take_request().await;
    assert_eq!(server.asked_line(), "GET /next HTTP/1.1");
}

#[tokio::test]
async fn a_request_and_its_answer_pass() {
    let (gateway, upstream) = proxy_with("add_prefix = \"/app\"").await;
    let request = get("/a?b=%2F")
        .with("Range", "bytes=0-1")
        .with("Cookie", "a=1; b=2");
    let (mut client, mut server) = asked(&gateway, &upstream, &request).await;
    assert_eq!(server.asked_line(), "GET /app/a?b=%2F HTTP/1.1");
    assert_eq!(server.asked("Host"), Some(gateway.address()));
    assert_eq!(server.asked("Range"), Some("bytes=0-1"));
    assert_eq!(server.asked("Cookie"), Some("a=1; b=2"));
    assert_eq!(server.asked("X-Forwarded-For"), Some("127.0.0.1"));
    assert_eq!(server.asked("Content-Length"), None);
    assert_eq!(server.asked("Transfer-Encoding"), None);
    server
        .send(
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/9\r\nETag: \"x\"\r\n\
             Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok",
        )
        .await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.body.as_str()), (206, "ok"));
    assert_eq!(answer.header("Content-Range"), Some("bytes 0-1/9"));
    assert_eq!(answer.all("Set-Cookie").collect::<Vec<_>>(), ["a=1", "b=2"]);
}

#[tokio::test]
async fn both_sides_keep_their_connections() {
    let (gateway, upstream) = proxy().await;
    let (mut client, mut server) = asked(&gateway, &upstream, &get("/1")).await;
    for number in 2..5 {
        server.send(OK).await;
        assert_eq!(client.answer().await.body, "ok");
        let target = format!("/{number}");
        client.send(get(&target).bytes(gateway.address())).await;
        server.take_request().await;
        assert_eq!(server.asked_line(), format!("GET {target} HTTP/1.1"));
    }
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn a_body_of_a_known_length_streams_up() {
    let (gateway, upstream) = proxy().await;
    let request = post("/", "hello").behind(b"");
    let (mut client, mut server) = asked(&gateway, &upstream, &request).await;
    assert_eq!(server.asked("Content-Length"), Some("5"));
    for letter in ["h", "e", "l", "l", "o"] {
        client.send(letter).await;
        assert_eq!(server.bytes(1).await, letter.as_bytes());
    }
    are_kept(&gateway, &mut client, &mut server).await;
}

#[tokio::test]
async fn a_body_in_chunks_streams_up() {
    let (gateway, upstream) = proxy().await;
    let request = get("/").method("POST").with("Transfer-Encoding", "chunked");
    let (mut client, mut server) = asked(&gateway, &upstream, &request).await;
    assert_eq!(server.asked("Transfer-Encoding"), Some("chunked"));
    assert_eq!(server.asked("Content-Length"), None);
    client.send("3;ext=1\r\none\r\n").await;
    assert_eq!(server.bytes(8).await, b"3\r\none\r\n");
    client.send("3\r\ntwo\r\n0\r\nX-Trailer: 1\r\n\r\n").await;
    assert_eq!(server.bytes(13).await, b"3\r\ntwo\r\n0\r\n\r\n");
    // Where the chunks end is known, so the connection goes on.
    are_kept(&gateway, &mut client, &mut server).await;
}

#[tokio::test]
async fn each_event_is_passed_on_at_once() {
    let (gateway, upstream) = proxy().await;
    let (mut client, mut server) = asked(&gateway, &upstream, &get("/events")).await;
    server
        .send(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
             Transfer-Encoding: chunked\r\n\r\n",
        )
        .await;
    let head = client.head().await;
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        server.send(format!("9\r\n{event}\r\n")).await;
        let expected = format!("9\r\n{event}\r\n");
        assert_eq!(client.bytes(expected.len()).await, expected.as_bytes());
    }
    server.send("0\r\nX-Trailer: 1\r\n\r\n").await;
    assert_eq!(client.bytes(5).await, b"0\r\n\r\n");
}

#[tokio::test]
async fn answers_without_a_body_have_none() {
    let (gateway, upstream) = proxy().await;
    for (method, answer, status, length) in [
        ("HEAD", "200 OK\r\nContent-Length: 9", 200, Some("9")),
        ("HEAD", "200 OK\r\nTransfer-Encoding: chunked", 200, None),
        ("GET", "204 No Content", 204, None),
        (
            "GET",
            "304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 9",
            304,
            None,
        ),
        ("GET", "200 OK\r\nContent-Length: 0", 200, Some("0")),
    ] {
        let (mut client, mut server) = asked(&gateway, &upstream, &get("/").method(method)).await;
        server
            .send(format!("HTTP/1.1 {answer}\r\nConnection: close\r\n\r\n"))
            .await;
        let head = client.head().await;
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{head}");
        let found = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        assert_eq!(found, length, "{method} {answer}");
        assert!(!head.contains("transfer-encoding"), "{head}");
        // Nothing but the next answer follows.
        client.send(get("/").bytes(gateway.address())).await;
        let mut server = upstream.accept().await;
        server
            .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            .await;
        assert_eq!(client.answer().await.body, "ok");
    }
}

#[tokio::test]
async fn the_gateway_itself_says_continue() {
    let (gateway, upstream) = proxy().await;
    let request = post("/", "hello")
        .behind(b"")
        .with("Expect", "100-continue");
    let mut client = gateway.send(&request).await;
    let mut server = upstream.accept().await;
    assert_eq!(server.asked("Expect"), None);
    assert_eq!(client.head().await, "HTTP/1.1 100 Continue");
    client.send("hello").await;
    assert_eq!(server.bytes(5).await, b"hello");
    server.send(OK).await;
    assert_eq!(client.answer().await.body, "ok");
}

#[tokio::test]
async fn an_early_answer_reaches_the_client_and_ends_both_connections() {
    let (gateway, upstream) = proxy().await;
    let request = get("/")
        .method("POST")
        .with("Content-Length", "1000000")
        .behind(b"begin");
    let (mut client, mut server) = asked(&gateway, &upstream, &request).await;
    assert_eq!(server.bytes(5).await, b"begin");
    server
        .send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        .await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.body.as_str()), (413, "no"));
    assert_eq!(answer.header("Connection"), Some("close"));
    server.ended().await;
    client.ended().await;
}

#[tokio::test]
async fn an_upload_goes_on_while_its_answer_streams() {
    let (gateway, upstream) = proxy().await;
    let request = get("/").method("POST").with("Transfer-Encoding", "chunked");
    let (mut client, mut server) = asked(&gateway, &upstream, &request).await;
    server
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    let head = client.head().await;
    assert!(head.contains("connection: close"), "{head}");
    for piece in ["1\r\na\r\n", "1\r\nb\r\n"] {
        client.send(piece).await;
        assert_eq!(server.bytes(6).await, piece.as_bytes());
        server.send(piece).await;
        assert_eq!(client.bytes(6).await, piece.as_bytes());
    }
    client.send("0\r\n\r\n").await;
    assert_eq!(server.bytes(5).await, b"0\r\n\r\n");
    server.send("0\r\n\r\n").await;
    assert_eq!(client.bytes(5).await, b"0\r\n\r\n");
    client.ended().await;
}

#[tokio::test]
async fn a_slow_reader_slows_the_upstream() {
    let upstream = Upstream::bind_narrow().await;
    let gateway = Gateway::route(upstream.url(), PROXY);
    // Or else the connection would wait for another request behind the answer.
    let once = get("/").with("Connection", "close");
    let (mut client, mut server) = asked(&gateway, &upstream, &once).await;
    server.send("HTTP/1.1 200 OK\r\n\r\n").await;
    let taken = server.send_until_stalled(|| vec![b'x'; 64 << 10]).await;
    // What the sockets hold, and little more.
    assert!(taken.len() < 16 << 20, "{} bytes", taken.len());
    drop(server);
    let (got, _) = client.rest().await;
    let chunks = got.iter().filter(|&&byte| byte == b'x').count();
    assert_eq!(chunks, taken.len());
}

#[tokio::test]
async fn a_slow_upstream_slows_the_client() {
    let upstream = Upstream::bind_narrow().await;
    let gateway = Gateway::route(upstream.url(), PROXY);
    let request = get("/").method("PUT").with("Content-Length", "1000000000");
    let (mut client, _server) = asked(&gateway, &upstream, &request).await;
    let taken = client.send_until_stalled(|| vec![b'x'; 64 << 10]).await;
    assert!(taken.len() < 16 << 20, "{} bytes", taken.len());
}

#[tokio::test]
async fn a_client_that_hangs_up_cancels_its_request() {
    let (gateway, upstream) = proxy().await;
    let (client, mut server) = asked(&gateway, &upstream, &get("/poll")).await;
    drop(client);
    server.ended().await;
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_its_events() {
    let (gateway, upstream) = proxy().await;
    let (mut client, mut server) = asked(&gateway, &upstream, &get("/events")).await;
    server
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n.\r\n")
        .await;
    client.head().await;
    client.bytes(6).await;
    drop(client);
    server.ended().await;
}

#[tokio::test]
async fn a_client_that_hangs_up_inside_its_upload_cancels_it() {
    let (gateway, upstream) = proxy().await;
    let request = get("/")
        .method("POST")
        .with("Content-Length", "10")
        .behind(b"begin");
    let (client, mut server) = asked(&gateway, &upstream, &request).await;
    assert_eq!(server.bytes(5).await, b"begin");
    drop(client);
    server.ended().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_turn() {
    let (gateway, upstream) = proxy().await;
    let both = [
        get("/1").bytes(gateway.address()),
        get("/2").bytes(gateway.address()),
    ]
    .concat();
    let mut client = gateway.connect().await;
    client.send(both).await;
    let mut server = upstream.accept().await;
    assert_eq!(server.asked_line(), "GET /1 HTTP/1.1");
    server.send(OK).await;
    server.take_request().await;
    assert_eq!(server.asked_line(), "GET /2 HTTP/1.1");
    server.send(OK).await;
    assert_eq!(client.answer().await.body, "ok");
    assert_eq!(client.answer().await.body, "ok");
}

#[tokio::test]
async fn handshakes_and_requests_share_a_route() {
    let (gateway, upstream) = proxy().await;
    let (mut client, mut server) = asked(&gateway, &upstream, &get("/socket.io/")).await;
    server.send(OK).await;
    assert_eq!(client.answer().await.body, "ok");
    // The client goes on over the connection that it has.
    let handshake = Handshake::new("/socket.io/").bytes(gateway.address());
    client.send(handshake).await;
    let mut session = upstream.serve().await;
    assert_eq!(client.answer().await.status, 101);
    session.send_frame(&Frame::text("hello")).await;
    assert_eq!(client.frame().await, Frame::text("hello"));
}

#[tokio::test]
async fn a_route_that_does_not_say_so_passes_nothing_on() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    let (_, answer) = gateway.ask(&get("/")).await;
    assert_eq!(
        (answer.status, answer.header("Upgrade")),
        (426, Some("websocket"))
    );
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn of_routes_by_subprotocol_the_first_that_says_so_takes_requests() {
    let (one, two) = (Upstream::bind().await, Upstream::bind().await);
    let gateway = Gateway::start(&format!(
        "{LISTENER}
        [[routes]]
        subprotocols = [\"v1\"]
        upstream = \"{}\"
        [[routes]]
        subprotocols = [\"v2\"]
        upstream = \"{}\"
        {PROXY}",
        one.url(),
        two.url()
    ));
    let (mut client, mut server) = asked(&gateway, &two, &get("/")).await;
    server.send(OK).await;
    assert_eq!(client.answer().await.body, "ok");
    one.was_left_alone().await;
}

#[tokio::test]
async fn an_upgrade_to_something_else_is_not_passed_on() {
    let (gateway, upstream) = proxy().await;
    let request = get("/")
        .with("Upgrade", "h2c")
        .with("Connection", "Upgrade, HTTP2-Settings")
        .with("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA");
    let (mut client, mut server) = asked(&gateway, &upstream, &request).await;
    for name in ["Upgrade", "Connection", "HTTP2-Settings"] {
        assert_eq!(server.asked(name), None, "{name}");
    }
    server.send(OK).await;
    let answer = client.answer().await;
    assert_eq!(
        (answer.status, answer.header("Connection")),
        (200, Some("close"))
    );
    client.ended().await;
}

#[tokio::test]
async fn methods_that_nobody_should_use_get_405() {
    let (gateway, upstream) = proxy().await;
    for method in [
        "TRACE",
        "TRACK",
        "CONNECT",
        "connectconnectconnectconnectconnect",
    ] {
        let answer = gateway.ask(&get("/").method(method)).await.1;
        assert_eq!(answer.status, 405, "{method}");
        assert!(answer.header("Allow").is_some(), "{method}");
    }
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn an_http_1_0_upstream_ends_its_answer_with_the_connection() {
    let (gateway, upstream) = proxy().await;
    let (mut client, mut server) = asked(&gateway, &upstream, &get("/")).await;
    server.send("HTTP/1.0 200 OK\r\n\r\nhello").await;
    server.finish().await;
    let head = client.head().await;
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    assert_eq!(client.bytes(15).await, b"5\r\nhello\r\n0\r\n\r\n");
}

#[tokio::test]
async fn an_http_1_0_client_gets_no_chunks() {
    let (gateway, upstream) = proxy().await;
    let (mut client, mut server) = asked(&gateway, &upstream, &get("/").version("HTTP/1.0")).await;
    server
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        .await;
    assert!(!client.head().await.contains("chunked"));
    assert_eq!(client.bytes(5).await, b"hello");
    server.send("0\r\n\r\n").await;
    assert_eq!(client.ended().await, End::Closed);
}

#[tokio::test]
async fn requests_under_way_end_their_connection_when_the_process_drains() {
    let (gateway, upstream) = proxy().await;
    let (mut held, held_server) = session(&gateway, &upstream).await;
    let (mut client, mut server) = asked(&gateway, &upstream, &get("/")).await;
    let peers = async {
        // The drain has begun.
        held.close(1001).await;
        drop((held, held_server));
        server
            .send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
            .await;
        let head = client.head().await;
        assert!(head.contains("connection: close"), "{head}");
        server.send("done").await;
        assert_eq!(client.bytes(4).await, b"done");
        client.ended().await;
    };
    tokio::join!(gateway.drain(), peers);
}

//! Ordinary requests that try to become two, to hide a body, or to be answered with what is another
//! client's (RFC 9112 §6.3, §11). The upstream's connections are kept and shared, so what one client
//! leaves behind would be the beginning of the next one's request.

use crate::harness::plain::{HIDDEN, OK, PROXY, asked, get, proxy, proxy_with};
use crate::harness::{Gateway, Handshake, Leg, Upstream, peer};
use futures_util::future::join_all;

fn post(target: &str) -> Handshake {
    get(target).method("POST")
}

#[tokio::test]
async fn lengths_in_disguise_get_400() {
    let (gateway, upstream) = proxy().await;
    for coding in [
        "xchunked",
        "chunked, identity",
        "identity, chunked",
        "chunked, chunked",
        "chunked,",
        ", chunked",
        "\"chunked\"",
        "chunked;q=1",
        "chun ked",
        "chunked\u{a0}",
        "\u{a0}chunked",
        "chunked\r\n ",
        "\r\n chunked",
        "\u{b}chunked",
        "",
    ] {
        let body = format!("0\r\n\r\n{HIDDEN}");
        let request = post("/").with("Transfer-Encoding", coding);
        is_refused(&gateway, &request.behind(body.as_bytes()), coding).await;
    }
    for length in [
        "",
        " ",
        "5 5",
        "5,5",
        "5;",
        "5.0",
        "5e0",
        "0x5",
        "+5",
        "-5",
        "\u{665}",
        "5\u{a0}",
        "five",
        "99999999999999999999",
    ] {
        let request = post("/").with("Content-Length", length);
        is_refused(&gateway, &request.behind(HIDDEN.as_bytes()), length).await;
    }
    upstream.was_left_alone().await;
}

/// 400, and not a word to what comes behind.
async fn is_refused(gateway: &Gateway, request: &Handshake, what: &str) {
    let mut client = gateway.connect().await;
    let _ = client.try_send(&request.bytes(gateway.address())).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 400, "{what:?}: {answer:?}");
    client.finish().await;
    client.ended().await;
}

#[tokio::test]
async fn spellings_that_a_server_may_take_for_a_length_do_not_pass() {
    let (gateway, upstream) = proxy().await;
    for request in [get("/"), Handshake::new("/")] {
        let request = [
            "Content_Length",
            "Content.Length",
            "Transfer_Encoding",
            "TRANSFER.ENCODING",
            "Transfer-Encoding_",
            "X_Stays",
            // CGI would make `HTTP_PROXY` of it, which is no header any more.
            "Proxy",
        ]
        .iter()
        .fold(request, |request, name| request.with(name, "chunked"));
        let (_client, server) = asked(&gateway, &upstream, &request).await;
        for name in [
            "Content_Length",
            "Content.Length",
            "Transfer_Encoding",
            "Transfer.Encoding",
            "Proxy",
        ] {
            assert_eq!(server.asked(name), None, "{name}");
        }
        assert_eq!(server.asked("X_Stays"), Some("chunked"));
    }
}

#[tokio::test]
async fn connection_cannot_name_away_what_frames_a_body() {
    let (gateway, upstream) = proxy().await;
    let named = "Content-Length, Transfer-Encoding, Host, Connection";
    for (name, value, body) in [
        ("Content-Length", "2", "hi"),
        ("Transfer-Encoding", "chunked", "2\r\nhi\r\n0\r\n\r\n"),
    ] {
        let request = post("/").with("Connection", named).with(name, value);
        let (mut client, mut server) =
            asked(&gateway, &upstream, &request.behind(body.as_bytes())).await;
        assert_eq!(server.asked(name), Some(value));
        assert_eq!(server.asked("Host"), Some(gateway.address()));
        assert_eq!(server.bytes(body.len()).await, body.as_bytes());

        server
            .send(format!(
                "HTTP/1.1 200 OK\r\nConnection: {named}\r\nContent-Length: 2\r\n\r\nok"
            ))
            .await;
        let answer = client.answer().await;
        assert_eq!(answer.header("Content-Length"), Some("2"), "{answer:?}");
        assert_eq!(answer.body, "ok");
    }
}

#[tokio::test]
async fn what_a_refused_body_holds_is_no_request() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::route(
        upstream.url(),
        &format!(
            "path = \"/app/*\"\n{PROXY}\norigins = [\"https://app.example\"]\n\
             cors = {{ methods = [\"POST\"] }}"
        ),
    );
    let preflight = get("/app")
        .method("OPTIONS")
        .with("Access-Control-Request-Method", "POST")
        .with("Origin", "https://app.example");
    let length = HIDDEN.len().to_string();
    for (status, request) in [
        (404, post("/nowhere")),
        (403, post("/app").with("Origin", "https://evil.example")),
        (405, post("/app").method("TRACE")),
        (400, post("/app/../x")),
        (400, post("/app").with("Host", "b.example")),
        (400, post("/app").with("X Y", "z")),
        (204, preflight),
    ] {
        for request in [
            request.clone().with("Content-Length", &length),
            request
                .clone()
                .with("Content-Length", &length)
                .with("Expect", "100-continue"),
            request
                .clone()
                .with("Content-Length", &length)
                .version("HTTP/1.0"),
        ] {
            let mut client = gateway.connect().await;
            let request = request.behind(HIDDEN.as_bytes());
            let _ = client.try_send(&request.bytes(gateway.address())).await;
            client.finish().await;
            let (answers, _) = client.rest().await;
            let answers = String::from_utf8_lossy(&answers).replace("HTTP/1.1 100 Continue", "");
            // HTTP/1.0 has its answer in its own version.
            let finals = answers.matches("HTTP/1.").count();
            assert_eq!(finals, 1, "{request:?}: {answers}");
            assert_eq!(
                answers.trim_start()[9..12],
                status.to_string(),
                "{request:?}"
            );
        }
    }
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn nothing_is_read_behind_an_upgrade_that_is_answered_as_a_plain_request() {
    let keys = "origins = [\"https://app.example\"]\ncors = { methods = [\"POST\"] }";
    let preflight = get("/")
        .method("OPTIONS")
        .with("Access-Control-Request-Method", "POST")
        .with("Origin", "https://app.example");
    for (request, is_proxied) in [(get("/"), true), (post("/"), true), (preflight, false)] {
        for protocol in ["h2c", "foo", "", "h2c, foo"] {
            let (gateway, upstream) = proxy_with(keys).await;
            let request = request.clone().with("Upgrade", protocol);
            let mut client = gateway.send(&request).await;
            if is_proxied {
                upstream.accept().await.send(OK).await;
            }
            let answer = client.answer().await;
            assert!([200, 204].contains(&answer.status), "{answer:?}");
            assert_eq!(answer.header("Connection"), Some("close"), "{request:?}");
            // A good request, and one that only a strict reader refuses.
            for next in [get("/next").bytes(gateway.address()), b"GET /\n\n".to_vec()] {
                let _ = client.try_send(&next).await;
            }
            client.finish().await;
            client.ended().await;
            upstream.was_left_alone().await;
        }
    }
}

#[tokio::test]
async fn what_is_hidden_in_chunks_behind_an_upgrade_stays_hidden() {
    for body in [
        format!("2\r\nhi\r\n0\r\n\r\n{HIDDEN}"),
        format!("2\nhi\n0\n\n{HIDDEN}"),
        format!("2\r\nhi!\r\n0\r\n\r\n{HIDDEN}"),
        format!("2;\nx\r\nhi\r\n0\r\n\r\n{HIDDEN}"),
    ] {
        let (gateway, upstream) = proxy().await;
        let request = post("/")
            .with("Upgrade", "h2c")
            .with("Transfer-Encoding", "chunked")
            .behind(body.as_bytes());
        let mut client = gateway.send(&request).await;
        let mut server = upstream.accept_silently().await;
        // It may have hung up for the body's sake.
        let _ = server.try_send(OK.as_bytes()).await;
        client.finish().await;
        let (answers, _) = client.rest().await;
        let answers = String::from_utf8_lossy(&answers);
        assert_eq!(answers.matches("HTTP/1.1").count(), 1, "{answers}");
        let (got, _) = server.rest().await;
        let got = String::from_utf8_lossy(&got);
        assert!(!got.contains("internal"), "{got:?} of {body:?}");
        upstream.was_left_alone().await;
    }
}

#[tokio::test]
async fn an_upstream_that_switches_unasked_gets_nothing_more() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x01\x02hi";
    for request in [
        post("/").with("Content-Length", "2").behind(b"hi"),
        get("/").with("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        get("/").with("Upgrade", "h2c"),
        get("/").method("HEAD"),
    ] {
        let (gateway, upstream) = proxy().await;
        let (mut client, mut server) = asked(&gateway, &upstream, &request).await;
        if request.clone().bytes("").ends_with(b"hi") {
            assert_eq!(server.bytes(2).await, b"hi");
        }
        server.send(switch).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 502 "), "{request:?}: {head}");
        let _ = client.try_send(HIDDEN.as_bytes()).await;
        client.finish().await;
        let (rest, _) = client.rest().await;
        let rest = String::from_utf8_lossy(&rest);
        assert!(!rest.contains("hi") && !rest.contains("HTTP/1"), "{rest}");
        server.ended().await;
    }
}

#[tokio::test]
async fn a_connection_on_which_a_handshake_was_refused_serves_nobody_else() {
    let (gateway, upstream) = proxy().await;
    let poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    for answer in [OK.to_owned(), format!("{OK}{poison}")] {
        let ask = Handshake::new("/").behind(HIDDEN.as_bytes());
        let (mut client, mut server) = asked(&gateway, &upstream, &ask).await;
        server.send(answer).await;
        assert_eq!(client.answer().await.status, 200);
        client.finish().await;
        client.ended().await;
        server.ended().await;
        let (mut other, mut fresh) = asked(&gateway, &upstream, &get("/")).await;
        fresh
            .send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nmine")
            .await;
        assert_eq!(other.answer().await.body, "mine");
    }
}

#[tokio::test]
async fn an_answer_never_reaches_another_client() {
    let honest = peer::tells_what_was_asked().await;
    let gateway = Gateway::route(honest.url(), PROXY);
    let clients = (0..8).map(|client| {
        let gateway = &gateway;
        async move {
            let mut leg = gateway.connect().await;
            for number in 0..40 {
                let target = format!("/{client}/{number}");
                leg.send(request(number, &target).bytes(gateway.address()))
                    .await;
                if number % 7 == 3 {
                    // Gone before, within or behind its answer; nobody else may get it.
                    leg = gateway.connect().await;
                    continue;
                }
                let method = if number % 5 == 4 { "HEAD" } else { "GET" };
                let told = leg.head().await;
                let asked = format!("x-asked: {target}");
                assert!(told.lines().any(|line| line == asked), "{told}");
                if method == "HEAD" {
                    continue;
                }
                let body = body_of(&mut leg, &told).await;
                assert_eq!(body, target);
            }
        }
    });
    join_all(clients).await;
}

/// Of every kind in turn.
fn request(number: usize, target: &str) -> Handshake {
    match number % 5 {
        0 => get(target),
        1 => post(target)
            .with("Content-Length", &HIDDEN.len().to_string())
            .behind(HIDDEN.as_bytes()),
        2 => post(target)
            .with("Transfer-Encoding", "chunked")
            .behind(format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len()).as_bytes()),
        3 => get(target).with("Content-Length", "0"),
        _ => get(target).method("HEAD"),
    }
}

/// Behind `head`, by length or in one chunk.
async fn body_of(leg: &mut Leg, head: &str) -> String {
    let mut lines = head.lines();
    let length = lines.find_map(|line| line.strip_prefix("content-length: "));
    let body = match length {
        Some(length) => leg.bytes(length.parse().unwrap()).await,
        None => {
            let mut got = Vec::new();
            while !got.ends_with(b"\r\n0\r\n\r\n") {
                got.extend(leg.bytes(1).await);
            }
            let start = got.iter().position(|&byte| byte == b'\n').unwrap() + 1;
            got[start..got.len() - 7].to_vec()
        }
    };
    String::from_utf8(body).unwrap()
}

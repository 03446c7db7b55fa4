//! Ordinary requests whose bodies have no end, or one that cannot be believed; and what of the
//! client's credentials an upstream gets to see.

use crate::harness::gateway::LISTENER;
use crate::harness::leg::End;
use crate::harness::plain::{OK, PROXY, asked, chunked, get, proxy};
use crate::harness::{Authority, Gateway, Handshake, Leg, Upstream, sha256};
use tempfile::TempDir;

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";

/// What a client got of an answer's body before its connection ended.
async fn broken_off(client: &mut Leg) -> String {
    client.head().await;
    let (got, _) = client.rest().await;
    String::from_utf8(got).unwrap()
}

#[tokio::test]
async fn answers_with_endless_chunk_lines_or_trailers_break_off() {
    for (what, rest) in [
        ("an extension", format!("1;{}", "x".repeat(1 << 20))),
        ("a size", "0".repeat(1 << 20)),
        ("trailers", format!("0\r\n{}", "X-Y: z\r\n".repeat(100_000))),
        ("a trailer", format!("0\r\nX: {}", "y".repeat(1 << 20))),
    ] {
        let (gateway, upstream) = proxy().await;
        let (mut client, mut server) = asked(&gateway, &upstream, &get("/")).await;
        // The gateway may have had enough before the end.
        let _ = server.try_send(format!("{CHUNKED}{rest}").as_bytes()).await;
        let got = broken_off(&mut client).await;
        assert!(got.starts_with("4\r\nhalf\r\n"), "{what}: {got:?}");
        assert!(!got.ends_with("0\r\n\r\n"), "{what}: {got:?}");
        server.ended().await;
    }
}

#[tokio::test]
async fn requests_with_endless_chunk_lines_or_trailers_get_400() {
    for (what, body) in [
        ("an extension", format!("1;{}", "x".repeat(1 << 16))),
        ("a size", "0".repeat(1 << 16)),
        ("trailers", format!("0\r\n{}", "X-Y: z\r\n".repeat(10_000))),
    ] {
        let (gateway, upstream) = proxy().await;
        let mut client = gateway.send(&chunked()).await;
        let mut server = upstream.accept().await;
        let _ = client.try_send(body.as_bytes()).await;
        assert_eq!(client.answer().await.status, 400, "{what}");
        server.ended().await;
    }
}

#[tokio::test]
async fn a_reset_is_no_end_of_an_answer_without_a_length() {
    let (gateway, upstream) = proxy().await;
    let (mut client, mut server) = asked(&gateway, &upstream, &get("/")).await;
    server.send("HTTP/1.1 200 OK\r\n\r\nhalf").await;
    client.head().await;
    assert_eq!(client.bytes(9).await, b"4\r\nhalf\r\n");
    server.reset();
    let (got, _) = client.rest().await;
    assert_eq!(got, b"", "an end that the upstream has not told");
}

#[tokio::test]
async fn tls_that_is_cut_is_no_end_of_an_answer_without_a_length() {
    let authority = Authority::new();
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    let upstream = Upstream::bind_tls(&authority, "app.internal").await;
    let toml = format!(
        "{LISTENER}
        [upstreams.app]
        endpoints = [\"{}\"]
        [upstreams.app.tls]
        ca = \"ca.pem\"
        server_name = \"app.internal\"
        [[routes]]
        upstream = \"app\"
        {PROXY}",
        upstream.url()
    );
    let gateway = Gateway::start_in(folder, &toml);
    for is_told in [true, false] {
        let (mut client, mut server) = asked(&gateway, &upstream, &get("/")).await;
        server.send("HTTP/1.1 200 OK\r\n\r\nhalf").await;
        client.head().await;
        assert_eq!(client.bytes(9).await, b"4\r\nhalf\r\n");
        if is_told {
            server.finish().await;
            assert_eq!(client.bytes(5).await, b"0\r\n\r\n");
        } else {
            drop(server);
            let (got, _) = client.rest().await;
            assert_eq!(got, b"", "an end that anybody on the way could have made");
        }
    }
}

#[tokio::test]
async fn an_offer_of_another_protocol_does_not_cost_the_body() {
    for request in [
        get("/")
            .method("POST")
            .with("Content-Length", "2")
            .behind(b"hi"),
        chunked().behind(b"2\r\nhi\r\n0\r\n\r\n"),
    ] {
        let (gateway, upstream) = proxy().await;
        let request = request
            .with("Upgrade", "h2c")
            .with("Connection", "Upgrade, HTTP2-Settings")
            .with("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA");
        let (mut client, mut server) = asked(&gateway, &upstream, &request).await;
        let is_chunked = server.asked("Transfer-Encoding").is_some();
        let body: &[u8] = match is_chunked {
            true => b"2\r\nhi\r\n0\r\n\r\n",
            false => b"hi",
        };
        assert_eq!(server.bytes(body.len()).await, body);
        server.send(OK).await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
        assert_eq!(client.ended().await, End::Closed);
    }
}

#[tokio::test]
async fn a_request_needs_the_routes_credential_and_does_not_pass_it_on() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::start(&format!(
        "{LISTENER}
        [auth.robots]
        kind = \"api_key\"
        keys = {{ ci = {{ sha256 = \"{}\" }} }}
        sources = [\"header:X-API-Key\", \"query:key\", \"cookie:key\"]
        [[routes]]
        upstream = \"{}\"
        auth = [\"robots\"]
        identity_header = \"X-Auth-Identity\"
        request_headers = {{ set = {{ X-Env = \"prod\" }}, remove = [\"X-Debug\"] }}
        response_headers = {{ set = {{ X-Served = \"wsgate\" }}, remove = [\"Server\"] }}
        {PROXY}",
        sha256("KEY"),
        upstream.url()
    ));
    let refused = get("/").with("X-Auth-Identity", "robots:ci");
    assert_eq!(gateway.status(&refused).await, 401);
    upstream.was_left_alone().await;

    for request in [
        get("/").with("X-API-Key", "KEY"),
        Handshake::plain("/?key=KEY"),
        get("/").with("Cookie", "key=KEY"),
    ] {
        let request = request
            .with("X-Auth-Identity", "robots:root")
            .with("X_Auth_Identity", "robots:root")
            .with("X-Env", "test")
            .with("X-Debug", "1");
        let (mut client, mut server) = asked(&gateway, &upstream, &request).await;
        assert!(!server.request.contains("KEY"), "{}", server.request);
        assert!(!server.request.contains("root"), "{}", server.request);
        assert_eq!(server.asked("X-Auth-Identity"), Some("robots:ci"));
        assert_eq!(server.asked("X-Env"), Some("prod"));
        assert_eq!(server.asked("X-Debug"), None);
        server
            .send(
                "HTTP/1.1 200 OK\r\nServer: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
            )
            .await;
        let answer = client.answer().await;
        assert_eq!(answer.header("X-Served"), Some("wsgate"));
        assert_eq!(answer.header("Server"), None);
    }
}

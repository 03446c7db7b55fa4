//! Who the client is when proxies stand in front, and what upstreams and Origins make of it.

use crate::harness::gateway::LISTENER;
use crate::harness::{Gateway, Handshake, Upstream, session_by};
use tokio::io::AsyncWriteExt;

fn gateway(server: &str, upstream: &Upstream) -> Gateway {
    Gateway::start(&format!(
        "[server]\n{server}\n{LISTENER}[[routes]]\nupstream = \"{}\"\n",
        upstream.url()
    ))
}

const TRUSTED: &str = "trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]";

#[tokio::test]
async fn a_trusted_proxy_tells_the_client() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(TRUSTED, &upstream);
    for (told, client, chain) in [
        ("192.0.2.7", "192.0.2.7", "192.0.2.7, 127.0.0.1"),
        ("1.1.1.1, 192.0.2.7", "192.0.2.7", "192.0.2.7, 127.0.0.1"),
        // A client that tries to make the line unreadable.
        ("\u{e9}\", 192.0.2.7", "192.0.2.7", "192.0.2.7, 127.0.0.1"),
        (
            "1.1.1.1, 192.0.2.7, 10.0.0.2",
            "192.0.2.7",
            "192.0.2.7, 10.0.0.2, 127.0.0.1",
        ),
        ("2001:db8::7", "2001:db8::7", "2001:db8::7, 127.0.0.1"),
        (
            "[2001:db8::7]:4711, 10.0.0.2:80",
            "2001:db8::7",
            "2001:db8::7, 10.0.0.2, 127.0.0.1",
        ),
        ("fe80::7%eth0", "fe80::7", "fe80::7, 127.0.0.1"),
        ("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.7, 127.0.0.1"),
        (
            "1.1.1.1, unknown, 10.0.0.2",
            "10.0.0.2",
            "10.0.0.2, 127.0.0.1",
        ),
        ("nonsense", "127.0.0.1", "127.0.0.1"),
    ] {
        let ask = Handshake::new("/").with("X-Forwarded-For", told);
        let (_client, server, _) = session_by(&gateway, &upstream, &ask).await;
        assert_eq!(server.asked("X-Real-IP"), Some(client), "{told}");
        assert_eq!(server.asked("X-Forwarded-For"), Some(chain), "{told}");
    }
}

#[tokio::test]
async fn nobody_else_is_believed() {
    let upstream = Upstream::bind().await;
    for server in ["", "trusted_proxies = [\"10.0.0.0/8\"]"] {
        let gateway = gateway(server, &upstream);
        let ask = Handshake::new("/")
            .with("X-Forwarded-For", "192.0.2.7")
            .with("X_Forwarded_For", "192.0.2.7")
            .with("X-Forwarded-Proto", "https")
            .with("X-Forwarded-Host", "evil.example")
            .with("Forwarded", "for=192.0.2.7;proto=https;host=evil.example")
            .with("X-Real-IP", "192.0.2.7")
            .with("CF-Connecting-IP", "192.0.2.7")
            .with("True-Client-IP", "192.0.2.7");
        let (_client, server, _) = session_by(&gateway, &upstream, &ask).await;
        assert_eq!(server.asked("X-Forwarded-For"), Some("127.0.0.1"));
        assert_eq!(server.asked("X-Real-IP"), Some("127.0.0.1"));
        assert_eq!(server.asked("X-Forwarded-Proto"), Some("http"));
        assert!(!server.request.contains("192.0.2.7"), "{}", server.request);
        assert!(!server.request.contains("evil"), "{}", server.request);
    }
}

#[tokio::test]
async fn only_the_configured_header_counts() {
    let upstream = Upstream::bind().await;
    for (header, value) in [
        ("CF-Connecting-IP", "192.0.2.7"),
        ("X-Real-IP", "192.0.2.7"),
        ("Forwarded", "for=\"192.0.2.7:4711\";proto=https"),
    ] {
        let server = format!("{TRUSTED}\nclient_ip_header = \"{header}\"");
        let gateway = gateway(&server, &upstream);
        let ask = Handshake::new("/")
            .with("X-Forwarded-For", "203.0.113.9")
            .with(header, value);
        let (_client, server, _) = session_by(&gateway, &upstream, &ask).await;
        assert_eq!(server.asked("X-Real-IP"), Some("192.0.2.7"), "{header}");
        assert!(
            !server.request.contains("203.0.113.9"),
            "{}",
            server.request
        );
    }
}

#[tokio::test]
async fn origins_are_judged_by_what_the_browser_saw() {
    let upstream = Upstream::bind().await;
    let toml = |trusted: &str| {
        format!(
            "[server]\ntrusted_proxies = [{trusted}]\n{LISTENER}[[routes]]\nhost = [\"chat.example\", \"inside.example\"]\n\
             upstream = \"{}\"\n",
            upstream.url()
        )
    };
    let ask = |origin: &str| {
        Handshake::new("/")
            .set("Host", "inside.example")
            .with("X-Forwarded-Proto", "https")
            .with("X-Forwarded-Host", "chat.example")
            .with("Origin", origin)
    };
    let trusting = Gateway::start(&toml("\"127.0.0.1\""));
    let (_client, server, _) = session_by(&trusting, &upstream, &ask("https://chat.example")).await;
    assert_eq!(server.asked("X-Forwarded-Host"), Some("chat.example"));
    assert_eq!(server.asked("X-Forwarded-Proto"), Some("https"));
    for origin in [
        "http://chat.example",
        "https://inside.example",
        "https://evil.example",
    ] {
        assert_eq!(trusting.status(&ask(origin)).await, 403, "{origin}");
    }
    let distrusting = Gateway::start(&toml(""));
    assert_eq!(distrusting.status(&ask("https://chat.example")).await, 403);
}

#[tokio::test]
async fn a_host_that_a_proxy_was_told_is_not_everybodys_own_origin() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(TRUSTED, &upstream);
    let ask = Handshake::new("/")
        .with("X-Forwarded-Host", "rebound.example")
        .with("Origin", "http://rebound.example");
    assert_eq!(gateway.status(&ask).await, 403);
}

#[tokio::test]
async fn who_comes_by_a_unix_socket_is_believed_if_it_says_so() {
    for (trusted, client) in [("\"unix\"", Some("192.0.2.7")), ("\"127.0.0.1\"", None)] {
        let (folder, upstream) = (tempfile::tempdir().unwrap(), Upstream::bind().await);
        let path = folder.path().join("wsgate.sock");
        let _gateway = Gateway::start_in(
            folder,
            &format!(
                "[server]\ntrusted_proxies = [{trusted}]\n[[listeners]]\naddress = \"unix:{}\"\n\
                 [[routes]]\nupstream = \"{}\"\n",
                path.display(),
                upstream.url()
            ),
        );
        let mut stream = tokio::net::UnixStream::connect(path).await.unwrap();
        let ask = Handshake::new("/").with("X-Forwarded-For", "192.0.2.7");
        stream
            .write_all(&ask.bytes("inside.example"))
            .await
            .unwrap();
        let server = upstream.serve().await;
        assert_eq!(server.asked("X-Real-IP"), client);
        assert_eq!(server.asked("X-Forwarded-For"), client);
    }
}

/// What an ordinary request says of itself is no more than what a handshake says.
#[tokio::test]
async fn an_ordinary_requests_claims_are_taken_out_of_head_and_trailers() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::start(&format!(
        "{LISTENER}[[routes]]\nhttp_requests = \"proxy\"\nidentity_header = \"X-User\"\nupstream = \"{}\"\n",
        upstream.url()
    ));
    let claims = [
        "X-Forwarded-For",
        "x_forwarded_for",
        "X.Forwarded.Proto",
        "X~Real~IP",
        "Forwarded",
        "X-User",
        "X_USER",
        "X-Request-Id",
        "Client-IP",
    ];
    let mut ask = Handshake::plain("/")
        .method("POST")
        .with("Transfer-Encoding", "chunked")
        .with("Trailer", "X-Forwarded-For, X-User");
    let mut trailers = "2\r\nhi\r\n0\r\n".to_owned();
    for claim in claims {
        ask = ask.with(claim, "spoofed").with(claim, "spoofed");
        trailers += &format!("{claim}: spoofed\r\n");
    }
    let ask = ask.behind(format!("{trailers}\r\n").as_bytes());
    let mut client = gateway.send(&ask).await;
    let mut server = upstream.accept().await;
    assert_eq!(server.asked("X-Forwarded-For"), Some("127.0.0.1"));
    assert!(!server.request.contains("spoofed"), "{}", server.request);
    let body = b"2\r\nhi\r\n0\r\n\r\n";
    assert_eq!(server.bytes(body.len()).await, body);
    server
        .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        .await;
    assert_eq!(client.answer().await.status, 200);
}

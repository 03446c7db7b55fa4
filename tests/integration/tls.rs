//! TLS on both legs: certificates by name, names that must fit, and clients that stall
//! (RFC 8446, RFC 6066 §3, RFC 9110 §7.4).

use crate::harness::gateway::LISTENER;
use crate::harness::{Authority, Frame, Gateway, Handshake, Leg, Upstream, peer, within};
use tempfile::TempDir;
use tokio::net::TcpStream;

/// Listens with certificates for `a.example` (the first) and `b.example`.
fn gateway(authority: &Authority, url: &str, listener: &str) -> Gateway {
    let folder = TempDir::new().unwrap();
    authority.write(folder.path(), "a", &["a.example", "*.wild.example"]);
    authority.write(folder.path(), "b", &["b.example"]);
    Gateway::start_in(
        folder,
        &format!(
            "{LISTENER}{listener}
            [listeners.tls]
            certificates = [
                {{ cert = \"a.pem\", key = \"a.key\" }},
                {{ cert = \"b.pem\", key = \"b.key\" }},
            ]
            [[routes]]
            upstream = \"{url}\""
        ),
    )
}

async fn ask(gateway: &Gateway, authority: &Authority, name: &str, ask: Handshake) -> (Leg, u16) {
    let mut client = gateway.connect_tls(authority, name).await;
    client.send(ask.bytes(gateway.address())).await;
    let answer = client.answer().await;
    (client, answer.status)
}

#[tokio::test]
async fn frames_pass_over_tls() {
    let authority = Authority::new();
    let echo = peer::echo().await;
    let gateway = gateway(&authority, &echo.url(), "");
    let handshake = Handshake::new("/").host("a.example");
    let (mut client, status) = ask(&gateway, &authority, "a.example", handshake).await;
    assert_eq!(status, 101);
    for frame in [
        Frame::text("hello"),
        Frame::binary(vec![1; 100_000]),
        Frame::text(""),
    ] {
        client.send_frame(&frame.clone().masked()).await;
        assert!(client.frame().await == frame);
    }
    client.send_frame(&Frame::close(1000, "bye").masked()).await;
    client.close(1000).await;
    client.ended().await;
}

#[tokio::test]
async fn the_certificate_is_chosen_by_name() {
    let authority = Authority::new();
    let echo = peer::echo().await;
    let gateway = gateway(&authority, &echo.url(), "");
    for name in ["a.example", "b.example", "one.wild.example"] {
        let handshake = Handshake::new("/").host(name);
        assert_eq!(
            ask(&gateway, &authority, name, handshake).await.1,
            101,
            "{name}"
        );
    }
    // An unknown name gets the first certificate, which a client that checks does not accept.
    let stream = TcpStream::connect(gateway.address()).await.unwrap();
    let error = within("TLS", authority.connect(stream, "c.example"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("a.example"), "{error}");
}

#[tokio::test]
async fn a_host_that_the_certificate_does_not_cover_gets_421() {
    let authority = Authority::new();
    let upstream = Upstream::bind().await;
    let gateway = gateway(&authority, &upstream.url(), "");
    for host in [
        "b.example",
        "other.example",
        "127.0.0.1",
        "two.one.wild.example",
    ] {
        let handshake = Handshake::new("/").host(host);
        let (_, status) = ask(&gateway, &authority, "a.example", handshake).await;
        assert_eq!(status, 421, "{host}");
    }
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn the_upstream_and_the_origin_check_know_that_it_was_https() {
    let authority = Authority::new();
    let upstream = Upstream::bind().await;
    let gateway = gateway(&authority, &upstream.url(), "");
    let handshake = |origin| Handshake::new("/").host("a.example").with("Origin", origin);
    let (_, status) = ask(
        &gateway,
        &authority,
        "a.example",
        handshake("http://a.example"),
    )
    .await;
    assert_eq!(status, 403);
    let client = ask(
        &gateway,
        &authority,
        "a.example",
        handshake("https://a.example"),
    );
    let ((_, status), server) = tokio::join!(client, upstream.serve());
    assert_eq!(status, 101);
    assert_eq!(server.asked("X-Forwarded-Proto"), Some("https"));
}

#[tokio::test]
async fn a_stalled_hello_is_cut_at_the_heads_deadline() {
    let authority = Authority::new();
    let gateway = gateway(
        &authority,
        &peer::nobody().await,
        "head_timeout = \"300ms\"",
    );
    gateway.connect().await.ended().await;
    // The first bytes of a ClientHello, and nothing more.
    for started in [
        &b"\x16"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ] {
        let mut client = gateway.connect().await;
        client.send(started).await;
        client.rest().await;
    }
    // TLS done in time does not start the clock anew.
    let mut client = gateway.connect_tls(&authority, "a.example").await;
    client.send("GET / HT").await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 408);
}

#[tokio::test]
async fn plain_http_on_a_tls_port_ends_at_once() {
    let authority = Authority::new();
    let upstream = Upstream::bind().await;
    let gateway = gateway(&authority, &upstream.url(), "");
    let mut client = gateway.connect().await;
    client
        .send(Handshake::new("/").bytes(gateway.address()))
        .await;
    let (said, _) = client.rest().await;
    assert!(
        !said.starts_with(b"HTTP/1.1 101"),
        "{}",
        said.escape_ascii()
    );
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn a_changed_certificate_is_followed() {
    let (old, new) = (Authority::new(), Authority::new());
    let echo = peer::echo().await;
    let gateway = gateway(&old, &echo.url(), "");
    let handshake = Handshake::new("/").host("a.example");
    let (mut session, _) = ask(&gateway, &old, "a.example", handshake.clone()).await;

    new.write(gateway.folder(), "a", &["a.example"]);
    within("the new certificate", async {
        loop {
            let stream = TcpStream::connect(gateway.address()).await.unwrap();
            if new.connect(stream, "a.example").await.is_ok() {
                break;
            }
        }
    })
    .await;
    assert_eq!(ask(&gateway, &new, "a.example", handshake).await.1, 101);
    // Who was connected does not notice.
    session.send_frame(&Frame::text("still").masked()).await;
    assert_eq!(session.frame().await, Frame::text("still"));
}

#[tokio::test]
async fn an_upstream_over_tls_is_checked_by_its_own_authority_and_name() {
    let (right, wrong) = (Authority::new(), Authority::new());
    for (what, trusted, name, status) in [
        ("right", &right, "chat.internal", 101),
        ("another name", &right, "other.internal", 502),
        ("another authority", &wrong, "chat.internal", 502),
    ] {
        let upstream = Upstream::bind_tls(&right, "chat.internal").await;
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("ca.pem"), trusted.pem()).unwrap();
        let gateway = Gateway::start_in(
            folder,
            &format!(
                "{LISTENER}
                [upstreams.chat]
                endpoints = [\"{}\"]
                [upstreams.chat.tls]
                ca = \"ca.pem\"
                server_name = \"{name}\"
                [[routes]]
                upstream = \"chat\"",
                upstream.url()
            ),
        );
        let mut client = gateway.connect().await;
        client
            .send(Handshake::new("/").bytes(gateway.address()))
            .await;
        if status == 101 {
            let mut server = upstream.serve().await;
            assert_eq!(client.answer().await.status, 101);
            server.send_frame(&Frame::text("secret")).await;
            assert_eq!(client.frame().await, Frame::text("secret"));
        } else {
            let (answer, ()) = tokio::join!(client.answer(), upstream.refuse_tls());
            assert!([502, 503].contains(&answer.status), "{what}: {answer:?}");
        }
    }
}

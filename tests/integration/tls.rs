//! TLS on both legs: certificates by name, names that must fit, and clients that stall
//! (RFC 8446, RFC 6066 §3, RFC 9110 §7.4).

use crate::harness::certs::VERSIONS;
use crate::harness::gateway::LISTENER;
use crate::harness::hello::{self, PROTOCOL_VERSION, UNRECOGNIZED_NAME, client_hello};
use crate::harness::visit::visit;
use crate::harness::{Authority, DEADLINE, Frame, Gateway, Handshake, Leg, Upstream, peer, within};
use std::io::{Read, Write};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{self, AlertDescription, ClientConfig, ClientConnection};

/// Listens with certificates for `a.example` (the first) and `b.example`.
fn gateway(authority: &Authority, url: &str, listener: &str) -> Gateway {
    start(authority, url, listener, "")
}

/// The same before an echo, with more keys of `[listeners.tls]`.
fn with_tls(authority: &Authority, tls: &str) -> Gateway {
    start(authority, "builtin:echo", "", tls)
}

fn start(authority: &Authority, url: &str, listener: &str, tls: &str) -> Gateway {
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
            {tls}
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
async fn a_later_request_cannot_turn_to_another_host() {
    let authority = Authority::new();
    let upstream = Upstream::bind().await;
    let url = format!("{}\"\nhttp_requests = \"proxy", upstream.url());
    let gateway = gateway(&authority, &url, "");
    let mut client = gateway.connect_tls(&authority, "a.example").await;
    let get = |host| Handshake::plain("/").host(host).bytes(gateway.address());
    client.send(get("a.example")).await;
    let mut server = upstream.accept().await;
    server.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 204);
    client.send(get("b.example")).await;
    assert_eq!(client.answer().await.status, 421);
    client.finish().await;
    client.ended().await;
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn every_host_that_the_certificate_covers_is_served() {
    let authority = Authority::new();
    let gateway = gateway(&authority, "builtin:echo", "");
    for (name, host, status) in [
        ("a.example", "A.EXAMPLE", 101),
        ("a.example", "a.example.", 101),
        ("a.example", "a.example:8443", 101),
        // The same certificate, so the same owner.
        ("a.example", "one.wild.example", 101),
        ("one.wild.example", "two.wild.example", 101),
        ("one.wild.example", "wild.example", 421),
        ("b.example", "a.example", 421),
        // No name is no claim: who connects to an address says by Host alone whom he wants.
        ("127.0.0.1", "a.example", 101),
        ("127.0.0.1", "b.example", 101),
    ] {
        // An address is not sent as a name.
        let mut config = authority.client_config(None, &VERSIONS);
        config.enable_sni = name != "127.0.0.1";
        let name = name.replace("127.0.0.1", "a.example");
        let stream = gateway.try_tls(&Arc::new(config), &name).await;
        let mut client = Leg::tls(stream.unwrap());
        let handshake = Handshake::new("/").host(host);
        client.send(handshake.bytes(gateway.address())).await;
        assert_eq!(client.answer().await.status, status, "{name}: {host}");
    }
}

#[tokio::test]
async fn where_names_are_strict_an_unknown_one_gets_an_alert_and_no_certificate() {
    let authority = Authority::new();
    let gateway = with_tls(&authority, "strict_sni = true");
    let config = Arc::new(authority.client_config(None, &VERSIONS));
    for name in ["a.example", "A.Example", "one.wild.example", "b.example"] {
        let visit = visit(&gateway, &config, name).await.unwrap();
        assert_eq!(visit.status, 101, "{name}");
    }
    for name in [
        "c.example",
        "example",
        "wild.example",
        "two.one.wild.example",
    ] {
        let refused = visit(&gateway, &config, name).await;
        assert_eq!(refused, Err(AlertDescription::UnrecognisedName), "{name}");
    }
    // And nothing else: not a byte of a ServerHello.
    for name in [&b"c.example"[..], b"127.0.0.1"] {
        let mut client = gateway.connect().await;
        client.send(client_hello(3, name)).await;
        let (said, _) = client.rest_after_finishing().await;
        assert_eq!(hello::alert(&said), UNRECOGNIZED_NAME);
    }
}

#[tokio::test]
async fn versions_before_1_2_are_refused() {
    let authority = Authority::new();
    let gateway = gateway(&authority, "builtin:echo", "");
    for minor in [0, 1, 2] {
        let mut client = gateway.connect().await;
        client.send(client_hello(minor, b"a.example")).await;
        let (said, _) = client.rest_after_finishing().await;
        assert_eq!(hello::alert(&said), PROTOCOL_VERSION, "3.{minor}");
    }
    // The same hello of 1.2 is answered with a ServerHello.
    let mut client = gateway.connect().await;
    client.send(client_hello(3, b"a.example")).await;
    let record = client.bytes(6).await;
    assert_eq!((record[0], record[5]), (22, 2), "{record:?}");
}

#[tokio::test]
async fn the_oldest_version_can_be_1_3() {
    let authority = Authority::new();
    let gateway = with_tls(&authority, "min_version = \"1.3\"");
    let old = Arc::new(authority.client_config(None, &[&TLS12]));
    let refused = visit(&gateway, &old, "a.example").await;
    assert_eq!(refused, Err(AlertDescription::ProtocolVersion));
    let new = Arc::new(authority.client_config(None, &[&TLS13]));
    assert_eq!(
        visit(&gateway, &new, "a.example").await.unwrap().status,
        101
    );
}

#[tokio::test]
async fn a_client_that_comes_back_is_resumed() {
    let authority = Authority::new();
    let gateway = gateway(&authority, "builtin:echo", "");
    for (version, tickets) in [(&TLS12, 0), (&TLS13, 1)] {
        let config = Arc::new(authority.client_config(None, &[version]));
        for is_resumed in [false, true, true] {
            let visit = visit(&gateway, &config, "a.example").await.unwrap();
            assert_eq!(visit.is_resumed, is_resumed, "{version:?}");
            assert_eq!(visit.tickets, tickets, "{version:?}");
        }
    }
}

/// A client that sends before the handshake is done, where it has a ticket that lets it.
struct Hasty {
    connection: ClientConnection,
    socket: std::net::TcpStream,
    /// Whether anything was sent early.
    has_tried: bool,
}

impl Hasty {
    /// Shakes hands, with `bytes` as early data.
    async fn connect(address: &str, config: &Arc<ClientConfig>, bytes: &'static [u8]) -> Self {
        let (address, config) = (address.to_owned(), config.clone());
        let connect = tokio::task::spawn_blocking(move || {
            let name = ServerName::try_from("a.example").unwrap();
            let mut connection = ClientConnection::new(config, name).unwrap();
            let mut early = connection.early_data();
            let has_tried = early.is_some();
            if let Some(early) = &mut early {
                early.write_all(bytes).unwrap();
            }
            let mut socket = std::net::TcpStream::connect(address).unwrap();
            socket.set_read_timeout(Some(DEADLINE)).unwrap();
            connection.complete_io(&mut socket).unwrap();
            Self {
                connection,
                socket,
                has_tried,
            }
        });
        within("TLS", connect).await.unwrap()
    }

    /// Sends when it is time to; the first bytes of what comes back.
    async fn ask(mut self, bytes: Vec<u8>, count: usize) -> Vec<u8> {
        let ask = tokio::task::spawn_blocking(move || {
            let mut stream = rustls::Stream::new(&mut self.connection, &mut self.socket);
            stream.write_all(&bytes).unwrap();
            let mut answer = vec![0; count];
            stream.read_exact(&mut answer).unwrap();
            answer
        });
        within("an answer", ask).await.unwrap()
    }
}

#[tokio::test]
async fn a_handshake_that_is_sent_early_is_not_taken_early() {
    const EARLY: &[u8] = b"GET /early HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let authority = Authority::new();
    let upstream = Upstream::bind().await;
    let gateway = gateway(&authority, &upstream.url(), "");
    let mut config = authority.client_config(None, &[&TLS13]);
    config.enable_early_data = true;
    let config = Arc::new(config);
    let willing = willing(&authority).await;
    // A server that takes early data gives the client a ticket for it, and shows that it works.
    for is_early in [false, true] {
        let client = Hasty::connect(&willing, &config, EARLY).await;
        assert_eq!(client.has_tried, is_early);
        assert_eq!(client.connection.is_early_data_accepted(), is_early);
        client.ask(b"?".to_vec(), 1).await;
    }

    // With that ticket it tries the same here; a ticket of the gateway's own does not let it.
    for has_tried in [true, false] {
        let client = Hasty::connect(gateway.address(), &config, EARLY).await;
        assert_eq!(client.has_tried, has_tried);
        assert!(!client.connection.is_early_data_accepted());
        upstream.was_left_alone().await;
        let ask = Handshake::new("/").host("a.example");
        let answer = client.ask(ask.bytes(gateway.address()), 12);
        let (answer, server) = tokio::join!(answer, upstream.serve());
        assert_eq!(answer, b"HTTP/1.1 101");
        assert_eq!(server.asked_line(), "GET / HTTP/1.1");
    }
}

/// The address of a server `a.example` that takes early data, and answers whatever comes.
async fn willing(authority: &Authority) -> String {
    let mut config = authority.server_config("a.example", None);
    config.max_early_data_size = 16 * 1024;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = acceptor.accept(stream).await.unwrap();
            stream.write_all(b"!").await.unwrap();
            stream.flush().await.unwrap();
            let _ = stream.read(&mut [0; 64]).await;
        }
    });
    address
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
    let mut client = gateway.send(&Handshake::new("/")).await;
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
        let mut client = gateway.send(&Handshake::new("/")).await;
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

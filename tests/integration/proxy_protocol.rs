//! The PROXY protocol on both sides: from load balancers in front, and towards upstreams.

use crate::harness::gateway::LISTENER;
use crate::harness::{Authority, Gateway, Handshake, Leg, Upstream};

const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n";

/// The same in version 2, with an extension that says that the client spoke TLS.
fn v2(extensions: &[u8]) -> Vec<u8> {
    let addresses = [192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x67, 0x01, 0xbb];
    let len = u16::try_from(addresses.len() + extensions.len()).unwrap();
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11".to_vec();
    header.extend_from_slice(&len.to_be_bytes());
    header.extend_from_slice(&addresses);
    header.extend_from_slice(extensions);
    header
}

/// Version 2 with another command and family.
fn v2_as(command: u8, family: u8) -> Vec<u8> {
    let mut header = v2(&[]);
    (header[12], header[13]) = (command, family);
    header
}

/// Of the header with the name `id1` behind it.
const CHECKSUM: &[u8] = &[3, 0, 4, 0x5b, 0x7c, 0xc2, 0xec];

const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";

fn gateway(trusted: &str, keys: &str, upstream: &Upstream) -> Gateway {
    Gateway::start(&format!(
        "[server]\ntrusted_proxies = [\"{trusted}\"]\n{LISTENER}proxy_protocol = true\n{keys}\n\
         [[routes]]\nupstream = \"{}\"\n",
        upstream.url()
    ))
}

/// A session behind `header`, as the upstream sees it.
async fn session(gateway: &Gateway, upstream: &Upstream, header: &[u8]) -> (Leg, Leg) {
    let mut client = gateway.connect().await;
    client.send(header).await;
    client
        .send(Handshake::new("/").bytes(gateway.address()))
        .await;
    let server = upstream.serve().await;
    assert_eq!(client.answer().await.status, 101);
    (client, server)
}

#[tokio::test]
async fn the_upstream_learns_whom_the_balancer_told() {
    let upstream = Upstream::bind().await;
    let gateway = gateway("127.0.0.1", "", &upstream);
    let tls = [0x20, 0, 5, 1, 0, 0, 0, 0];
    // A checksum of the whole, and the name that the balancer gave the connection.
    let proven = [CHECKSUM, &[5, 0, 3, b'i', b'd', b'1']].concat();
    for (header, client, scheme) in [
        (V1.to_vec(), "192.0.2.7", "http"),
        (v2(&[]), "192.0.2.7", "http"),
        (v2(&proven), "192.0.2.7", "http"),
        (v2(&tls), "192.0.2.7", "https"),
        (LOCAL.to_vec(), "127.0.0.1", "http"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1", "http"),
    ] {
        let (_client, server) = session(&gateway, &upstream, &header).await;
        assert_eq!(server.asked("X-Forwarded-For"), Some(client));
        assert_eq!(server.asked("X-Real-IP"), Some(client));
        assert_eq!(server.asked("X-Forwarded-Proto"), Some(scheme));
    }
}

#[tokio::test]
async fn a_client_behind_the_balancer_is_not_trusted_for_the_balancers_sake() {
    let upstream = Upstream::bind().await;
    let gateway = gateway("127.0.0.1", "", &upstream);
    let mut client = gateway.connect().await;
    client.send(V1).await;
    let ask = Handshake::new("/").with("X-Forwarded-For", "203.0.113.9");
    client.send(ask.bytes(gateway.address())).await;
    let server = upstream.serve().await;
    assert_eq!(server.asked("X-Forwarded-For"), Some("192.0.2.7"));
}

#[tokio::test]
async fn a_client_whom_the_balancer_cannot_name_is_not_the_balancer() {
    let upstream = Upstream::bind().await;
    let gateway = gateway("127.0.0.1", "", &upstream);
    let mut nobody = v2(&[]);
    nobody[13] = 0;
    for (header, expected) in [
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (nobody, "127.0.0.1"),
        // The balancer speaks for itself.
        (LOCAL.to_vec(), "203.0.113.9"),
    ] {
        let mut client = gateway.connect().await;
        client.send(&header).await;
        let ask = Handshake::new("/").with("X-Forwarded-For", "203.0.113.9");
        client.send(ask.bytes(gateway.address())).await;
        let server = upstream.serve().await;
        assert_eq!(server.asked("X-Real-IP"), Some(expected), "{header:?}");
    }
}

#[tokio::test]
async fn a_proxy_whom_the_balancer_told_is_believed_in_its_turn() {
    let upstream = Upstream::bind().await;
    let gateway = gateway("127.0.0.1\", \"192.0.2.0/24", "", &upstream);
    let mut client = gateway.connect().await;
    client.send(V1).await;
    let ask = Handshake::new("/").with("X-Forwarded-For", "1.1.1.1, 203.0.113.9, 192.0.2.8");
    client.send(ask.bytes(gateway.address())).await;
    let server = upstream.serve().await;
    assert_eq!(server.asked("X-Real-IP"), Some("203.0.113.9"));
    assert_eq!(
        server.asked("X-Forwarded-For"),
        Some("203.0.113.9, 192.0.2.8, 192.0.2.7")
    );
}

#[tokio::test]
async fn gateways_in_a_row_hand_the_client_on() {
    for (version, header, client) in [
        ("v1", V1, "192.0.2.7"),
        ("v2", V1, "192.0.2.7"),
        ("v2", LOCAL, "127.0.0.1"),
    ] {
        let (folder, upstream) = (tempfile::tempdir().unwrap(), Upstream::bind().await);
        let address = format!("unix:{}", folder.path().join("inner.sock").display());
        let _inner = Gateway::start_in(
            folder,
            &format!(
                "[server]\ntrusted_proxies = [\"unix\"]\n[[listeners]]\naddress = \"{address}\"\n\
                 proxy_protocol = true\n[[routes]]\nupstream = \"{}\"\n",
                upstream.url()
            ),
        );
        let outer = Gateway::start(&format!(
            "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n{LISTENER}proxy_protocol = true\n\
             [upstreams.inner]\nendpoints = [\"{address}\"]\nproxy_protocol = \"{version}\"\n\
             [[routes]]\nupstream = \"inner\"\n"
        ));
        let (_client, server) = session(&outer, &upstream, header).await;
        assert_eq!(server.asked("X-Real-IP"), Some(client), "{version}");
        assert_eq!(server.asked("X-Forwarded-For"), Some(client), "{version}");
    }
}

#[tokio::test]
async fn a_header_may_come_byte_by_byte() {
    let upstream = Upstream::bind().await;
    let gateway = gateway("127.0.0.1", "", &upstream);
    for header in [V1.to_vec(), v2(&[4, 0, 2, 0, 0])] {
        let mut client = gateway.connect().await;
        client.send_byte_by_byte(&header).await;
        client
            .send(Handshake::new("/").bytes(gateway.address()))
            .await;
        let server = upstream.serve().await;
        assert_eq!(client.answer().await.status, 101);
        assert_eq!(server.asked("X-Real-IP"), Some("192.0.2.7"));
    }
}

#[tokio::test]
async fn without_a_good_header_the_connection_is_closed_without_a_word() {
    let upstream = Upstream::bind().await;
    let gateway = gateway("127.0.0.1", "", &upstream);
    let mut long = v2(&[]);
    long[14..16].copy_from_slice(&u16::MAX.to_be_bytes());
    let mut truncated = v2(&[]);
    truncated[14..16].copy_from_slice(&11_u16.to_be_bytes());
    for header in [
        b"".to_vec(),
        b"PROXY TCP4 192.0.2.7\r\n".to_vec(),
        b"PROXY TCP9 192.0.2.7 198.51.100.1 4711 443\r\n".to_vec(),
        [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 200]].concat(),
        v2(&[0x20, 0xff, 0xff, 1]),
        v2(&[CHECKSUM, &[5, 0, 3, b'i', b'd', b'2']].concat()),
        v2(&[3, 0, 2, 0, 0]),
        v2(&[4; 5000]),
        long,
        truncated,
        // Commands, families and versions that nobody has defined, and datagrams.
        v2_as(0x22, 0x11),
        v2_as(0x31, 0x11),
        v2_as(0x11, 0x11),
        v2_as(0x21, 0x12),
        v2_as(0x21, 0x22),
        v2_as(0x21, 0x41),
        // Too few bytes for the family.
        v2_as(0x21, 0x21),
        v2_as(0x21, 0x31),
        b"proxy TCP4 192.0.2.7 198.51.100.1 4711 443\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 65536\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 198.51.100.1 -1 443\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.256 198.51.100.1 4711 443\r\n".to_vec(),
        b"PROXY TCP4 ::1 ::1 4711 443\r\n".to_vec(),
        b"PROXY TCP6 192.0.2.7 198.51.100.1 4711 443\r\n".to_vec(),
        b"PROXY  TCP4 192.0.2.7 198.51.100.1 4711 443\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443 more\r\n".to_vec(),
        b" PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n".to_vec(),
    ] {
        let mut client = gateway.connect().await;
        // The gateway may have closed before all is sent.
        let _ = client.try_send(&header).await;
        let request = Handshake::new("/").bytes(gateway.address());
        let _ = client.try_send(&request).await;
        let (answer, _) = client.rest().await;
        assert_eq!(answer, b"", "{header:?}");
    }
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn nobody_else_may_tell_who_the_client_is() {
    let upstream = Upstream::bind().await;
    let gateway = gateway("192.0.2.0/24", "", &upstream);
    for header in [V1.to_vec(), v2(&[]), LOCAL.to_vec()] {
        let mut client = gateway.connect().await;
        let _ = client.try_send(&header).await;
        let (answer, _) = client.rest().await;
        assert_eq!(answer, b"");
    }
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn only_one_header_counts_and_only_where_it_is_expected() {
    let upstream = Upstream::bind().await;
    let twice = gateway("127.0.0.1", "", &upstream);
    let nowhere = Gateway::before(upstream.url());
    for header in [V1.to_vec(), v2(&[])] {
        for (gateway, headers) in [(&twice, [V1, &header].concat()), (&nowhere, header)] {
            let mut client = gateway.connect().await;
            let request = Handshake::new("/").bytes(gateway.address());
            let _ = client.try_send(&[headers, request].concat()).await;
            assert_eq!(client.answer().await.status, 400);
            client.finish().await;
            client.ended().await;
        }
    }
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn a_stalled_header_is_cut_at_the_deadline() {
    let upstream = Upstream::bind().await;
    let gateway = gateway("127.0.0.1", "head_timeout = \"100ms\"", &upstream);
    for part in [&b""[..], b"PROXY", &v2(&[])[..20]] {
        let mut client = gateway.connect().await;
        client.send(part).await;
        let (answer, _) = client.rest().await;
        assert_eq!(answer, b"");
    }
}

#[tokio::test]
async fn tls_follows_the_header() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    authority.write(folder.path(), "chat", &["chat.test"]);
    let tls = "[listeners.tls]\ncertificates = [{ cert = \"chat.pem\", key = \"chat.key\" }]";
    let upstream = Upstream::bind().await;
    let gateway = Gateway::start_in(
        folder,
        &format!(
            "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n{LISTENER}proxy_protocol = true\n{tls}\n\
             [[routes]]\nupstream = \"{}\"\n",
            upstream.url()
        ),
    );
    let mut client = gateway
        .connect_tls_behind(V1, &authority, "chat.test")
        .await;
    client.send(Handshake::new("/").bytes("chat.test")).await;
    let server = upstream.serve().await;
    assert_eq!(client.answer().await.status, 101);
    assert_eq!(server.asked("X-Real-IP"), Some("192.0.2.7"));
    assert_eq!(server.asked("X-Forwarded-Proto"), Some("https"));
}

#[tokio::test]
async fn an_upstream_is_told_before_anything_else() {
    for (version, start) in [
        ("v1", &b"PROXY TCP4 127.0.0.1 127.0.0.1 "[..]),
        (
            "v2",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01",
        ),
    ] {
        let upstream = Upstream::bind().await;
        let gateway = Gateway::start(&format!(
            "{LISTENER}[upstreams.chat]\nendpoints = [\"{}\"]\nproxy_protocol = \"{version}\"\n\
             [[routes]]\nupstream = \"chat\"\n",
            upstream.url()
        ));
        let mut client = gateway.send(&Handshake::new("/")).await;
        let mut server = upstream.accept_silently().await;
        assert_eq!(server.bytes(start.len()).await, start);
        let port = gateway.address().rsplit(':').next().unwrap();
        match version {
            "v1" => {
                let mut rest = Vec::new();
                while !rest.ends_with(b"\r\n") {
                    rest.extend(server.bytes(1).await);
                }
                let rest = String::from_utf8(rest).unwrap();
                let ports: Vec<&str> = rest.trim_end().split(' ').collect();
                assert_eq!(ports[1], port, "{rest}");
            }
            _ => {
                let ports = server.bytes(4).await;
                let told = u16::from_be_bytes([ports[2], ports[3]]);
                assert_eq!(told.to_string(), port);
            }
        }
        server.take_request().await;
        server.agree().await;
        assert_eq!(client.answer().await.status, 101);
    }
}

#[tokio::test]
async fn whom_a_balancer_told_is_told_to_the_upstream() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::start(&format!(
        "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n{LISTENER}proxy_protocol = true\n\
         [upstreams.chat]\nendpoints = [\"{}\"]\nproxy_protocol = \"v1\"\n[[routes]]\nupstream = \"chat\"\n",
        upstream.url()
    ));
    let mut client = gateway.connect().await;
    client.send(V1).await;
    client
        .send(Handshake::new("/").bytes(gateway.address()))
        .await;
    let mut server = upstream.accept_silently().await;
    assert_eq!(server.bytes(V1.len()).await, V1);
}

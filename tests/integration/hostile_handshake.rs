//! Heads that no honest client sends: other protocols, bytes that are no text, targets in odd forms.
//! All are answered once and in HTTP, and the connection ends.

use crate::harness::hello::client_hello;
use crate::harness::{Answer, Gateway, Handshake, Leg, Upstream};

/// What `client` sends is answered once, with `status`, and the connection ends.
async fn refused_with(status: u16, what: &str, mut client: Leg, bytes: &[u8]) -> Answer {
    // The gateway may have had enough before the end.
    let _ = client.try_send(bytes).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, status, "{what:?}: {answer:?}");
    client.finish().await;
    client.ended().await;
    answer
}

#[tokio::test]
async fn what_is_no_http_1_gets_400_at_once() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    for (what, bytes) in [
        (
            "HTTP/2",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(),
        ),
        ("TLS", client_hello(3, b"a.example")),
        ("SSH", b"SSH-2.0-OpenSSH_9.9\r\n\r\n".to_vec()),
        ("HTTP/0.9", b"GET /\r\n\r\n".to_vec()),
        ("HTTP/3.0", b"GET / HTTP/3.0\r\nHost: a\r\n\r\n".to_vec()),
        (
            "a version in small letters",
            b"GET / http/1.1\r\nHost: a\r\n\r\n".to_vec(),
        ),
        ("RTSP", b"GET / RTSP/1.0\r\nHost: a\r\n\r\n".to_vec()),
        (
            "a frame",
            b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58".to_vec(),
        ),
        ("a JSON-RPC", b"{\"jsonrpc\":\"2.0\"}\r\n\r\n".to_vec()),
        ("noise", (0..=255).rev().collect()),
        ("empty lines", b"\r\n".repeat(1000)),
        ("line feeds", b"\n".repeat(1000)),
        ("zeros", vec![0; 1000]),
    ] {
        refused_with(400, what, gateway.connect().await, &bytes).await;
    }
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn lines_that_only_some_servers_take_get_400() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    let good = String::from_utf8(Handshake::new("/").bytes("a.example")).unwrap();
    let line = "GET / HTTP/1.1\r\n";
    for (what, head) in [
        (
            "no space before the version",
            good.replacen(" HTTP", "HTTP", 1),
        ),
        ("two spaces before it", good.replacen(" HTTP", "  HTTP", 1)),
        ("a space behind it", good.replacen("1.1\r", "1.1 \r", 1)),
        ("a tab before it", good.replacen(" HTTP", "\tHTTP", 1)),
        ("a vertical tab", good.replacen(" HTTP", "\u{b}HTTP", 1)),
        (
            "a form feed in a name",
            good.replacen("Upgrade:", "Up\u{c}grade:", 1),
        ),
        (
            "a second request line",
            good.replacen(line, &line.repeat(2), 1),
        ),
        (
            "a line of spaces at the end",
            good.replacen("\r\n\r\n", "\r\n \r\n\r\n", 1),
        ),
        (
            "folding before the first header",
            good.replacen(line, "GET / HTTP/1.1\r\n X: y\r\n", 1),
        ),
        (
            "a name that is no ASCII",
            good.replacen("Upgrade:", "Upgr\u{e4}de:", 1),
        ),
        (
            "a soft hyphen in a name",
            good.replacen("Upgrade:", "Up\u{ad}grade:", 1),
        ),
        (
            "a name in quotes",
            good.replacen("Upgrade:", "\"Upgrade\":", 1),
        ),
        (
            "an end of line of the next line's kind",
            good.replacen("\r\n", "\u{85}", 2),
        ),
        ("CR CR LF", good.replacen("\r\n", "\r\r\n", 1)),
        ("LF CR", good.replacen("\r\n", "\n\r", 1)),
        (
            "a Host of another alphabet",
            good.replacen("a.example", "\u{430}.example", 1),
        ),
        (
            "a Host with an escape",
            good.replacen("a.example", "a%2eexample", 1),
        ),
        (
            "a Host with a zone",
            good.replacen("a.example", "[fe80::1%25eth0]", 1),
        ),
    ] {
        assert_ne!(head, good, "{what}");
        refused_with(400, what, gateway.connect().await, head.as_bytes()).await;
    }
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn targets_in_odd_forms_get_400() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    let host = gateway.address();
    for target in [
        format!("http://me@{host}/"),
        format!("http://{host}@evil.example/"),
        format!("http://evil.example@{host}/"),
        format!("http://{host}#@evil.example/"),
        format!("http://{host}.evil.example/"),
        format!("https://{}/", host.split(':').next().unwrap()),
        format!("http:///{host}/"),
        format!("http:{host}/"),
        format!("//{host}/"),
        format!("{host}/"),
        "http://".into(),
        "/#".into(),
        "/a?b#c".into(),
        "/%23/../x".into(),
        "?x".into(),
        "".into(),
        "/ /".into(),
        "/\u{0}".into(),
        "/\\".into(),
        "/<script>".into(),
    ] {
        let ask = Handshake::new(&target).bytes(host);
        refused_with(400, &target, gateway.connect().await, &ask).await;
    }
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn methods_in_other_spellings_are_other_methods() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    for method in [
        "get",
        "Get",
        "GETT",
        "GE",
        "PRI",
        "WEBSOCKET",
        "connect",
        "Connect",
        "M-SEARCH",
    ] {
        let ask = Handshake::new("/").method(method).bytes(gateway.address());
        let answer = refused_with(405, method, gateway.connect().await, &ask).await;
        assert_eq!(answer.header("Allow"), Some("GET"), "{method}");
    }
    for target in [
        "internal:22",
        "127.0.0.1:6379",
        "/",
        "http://internal/",
        "[::1]:80",
        "*",
    ] {
        for handshake in [Handshake::plain(target), Handshake::new(target)] {
            let ask = handshake.method("CONNECT").bytes(gateway.address());
            refused_with(405, target, gateway.connect().await, &ask).await;
        }
    }
    upstream.was_left_alone().await;
}

//! What the log of the real program says of TLS: handshakes that fail, and what expires.

use crate::harness::certs::{Certified, VERSIONS};
use crate::harness::hello::client_hello;
use crate::harness::program::{Program, configuration, finish};
use crate::harness::{Authority, Leg};
use serde_json::Value;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

const NAME: &str = "a.example";

/// What a listener with TLS needs, and then some.
fn toml(keys: &str) -> String {
    format!(
        "[[listeners]]
        name = \"public\"
        address = \"127.0.0.1:0\"
        [listeners.tls]
        certificates = [{{ cert = \"a.pem\", key = \"a.key\" }}]
        {keys}
        [[routes]]
        upstream = \"builtin:echo\""
    )
}

/// Shakes hands as one who shows `own`, as far as it goes.
async fn shake_hands(program: &Program, public: &Authority, own: Option<&Certified>, name: &str) {
    let stream = TcpStream::connect(&program.address).await.unwrap();
    let config = Arc::new(public.client_config(own, &VERSIONS));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    if let Ok(mut stream) = TlsConnector::from(config).connect(name, stream).await {
        // The verdict on a client's certificate comes behind the handshake.
        let _ = stream.read(&mut [0]).await;
    }
}

async fn failed(program: &mut Program) -> Value {
    program.event("TLS handshake failed").await
}

#[tokio::test]
async fn each_reason_for_a_failed_handshake_has_a_word() {
    let (public, devices, stranger) = (Authority::new(), Authority::new(), Authority::new());
    let folder = TempDir::new().unwrap();
    public.write(folder.path(), "a", &[NAME]);
    let (expired, lost) = (devices.issue_until(2001, &["a"]), devices.issue(&["b"]));
    let foreign = stranger.issue(&["c"]);
    std::fs::write(folder.path().join("ca.pem"), devices.pem()).unwrap();
    std::fs::write(folder.path().join("crl"), devices.revoke(&[&lost])).unwrap();
    let keys = "strict_sni = true\nclient_ca = \"ca.pem\"\ncrl = \"crl\"";
    configuration(folder.path(), &toml(keys));
    let mut program = Program::start(&["run", "wsgate.toml"], folder.path()).await;

    for (own, name, reason) in [
        (None, NAME, "no_certificate"),
        (Some(&foreign), NAME, "unknown_authority"),
        (Some(&expired), NAME, "certificate_expired"),
        (Some(&lost), NAME, "certificate_revoked"),
        (Some(&lost), "b.example", "unknown_server_name"),
    ] {
        shake_hands(&program, &public, own, name).await;
        let line = failed(&mut program).await;
        for (field, value) in [
            ("reason", reason),
            ("level", "INFO"),
            ("listener", "public"),
            ("client", "127.0.0.1"),
            ("server_name", name),
        ] {
            assert_eq!(line[field], value, "{field} in {line}");
        }
        assert_eq!(line["count"], 1, "{line}");
    }
    // Who does not trust the gateway's certificate says so.
    shake_hands(&program, &stranger, None, NAME).await;
    assert_eq!(failed(&mut program).await["reason"], "client_refused");

    for (bytes, reason) in [
        (client_hello(1, NAME.as_bytes()), "version"),
        (
            b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n".to_vec(),
            "not_tls",
        ),
    ] {
        let mut client = program.connect().await;
        client.send(bytes).await;
        client.rest().await;
        let line = failed(&mut program).await;
        assert_eq!(line["reason"], reason, "{line}");
    }
}

#[tokio::test]
async fn a_flood_of_failures_does_not_fill_the_log() {
    let (public, folder) = (Authority::new(), TempDir::new().unwrap());
    public.write(folder.path(), "a", &[NAME]);
    configuration(folder.path(), &toml(""));
    let mut program = Program::start(&["run", "wsgate.toml"], folder.path()).await;
    for _ in 0..200 {
        let mut client = program.connect().await;
        client.send(client_hello(1, NAME.as_bytes())).await;
        client.rest().await;
    }
    // The first at once; how many seconds the rest took is the machine's affair.
    let mut counted = 0;
    let mut lines = 0;
    while counted < 200 {
        counted += failed(&mut program).await["count"].as_u64().unwrap();
        lines += 1;
    }
    assert_eq!(counted, 200);
    assert!(lines < 20, "{lines} lines");
}

#[tokio::test]
async fn a_name_that_a_client_asks_for_writes_no_line_of_its_own() {
    let (public, folder) = (Authority::new(), TempDir::new().unwrap());
    public.write(folder.path(), "a", &[NAME]);
    configuration(folder.path(), &toml("strict_sni = true"));
    let mut program = Program::start(&["run", "wsgate.toml"], folder.path()).await;
    for name in [
        &b"a\r\n{\"message\":\"forged\"}"[..],
        b"a\n2026 ERROR forged",
        b"\x1b[2Jforged",
        b"\"forged\"",
        b"\xff\xfeforged",
        b"forged\0.example",
        &[b'f'; 300],
        b"",
    ] {
        let mut client = program.connect().await;
        client.send(client_hello(3, name)).await;
        client.rest().await;
    }
    // One that is a name, to know that the others were looked at.
    shake_hands(&program, &public, None, "xn--forged.example").await;
    failed(&mut program).await;
    program.signal(rustix::process::Signal::TERM);
    let (_, log) = program.ended().await;
    for line in &log {
        assert!(!line.contains("forged\""), "{line:?}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line:?}");
    }
}

#[tokio::test]
async fn what_expires_is_told_at_the_start_and_by_check() {
    let (public, devices) = (Authority::new(), Authority::new());
    let folder = TempDir::new().unwrap();
    public
        .issue_until(2001, &[NAME, "b.example"])
        .write(folder.path(), "a");
    std::fs::write(folder.path().join("ca.pem"), devices.pem()).unwrap();
    let list = devices.revoke_until(2002, &[]).pem().unwrap();
    std::fs::write(folder.path().join("crl"), list).unwrap();
    configuration(
        folder.path(),
        &toml("client_ca = \"ca.pem\"\ncrl = \"crl\""),
    );

    let checked = finish(&["check", "wsgate.toml"], folder.path(), "").await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    for warning in [
        "warning: the certificate `",
        "a.pem` (a.example, b.example) expired ",
        "warning: the revocation list `",
    ] {
        assert!(
            checked.err.contains(warning),
            "{checked:?} without {warning}"
        );
    }
    assert_eq!(checked.err.lines().count(), 2, "{checked:?}");

    let mut program = Program::start(&["run", "wsgate.toml"], folder.path()).await;
    let certificate = program.event("certificate has expired").await;
    assert_eq!(certificate["level"], "ERROR", "{certificate}");
    assert_eq!(certificate["names"], "a.example, b.example");
    assert!(
        certificate["days_ago"].as_i64().unwrap() > 9000,
        "{certificate}"
    );
    let authority = program.event("authority is valid").await;
    assert_eq!(authority["level"], "INFO", "{authority}");
    assert!(
        authority["days_left"].as_i64().unwrap() > 9000,
        "{authority}"
    );
    let list =
        "revocation list is out of date: it is used on, but what was revoked since is not in it";
    assert_eq!(program.event(list).await["level"], "WARN");
}

#[tokio::test]
async fn a_client_that_stalls_in_tls_is_told_of() {
    let (public, folder) = (Authority::new(), TempDir::new().unwrap());
    public.write(folder.path(), "a", &[NAME]);
    let toml = toml("").replace(
        "[listeners.tls]",
        "head_timeout = \"300ms\"\n[listeners.tls]",
    );
    configuration(folder.path(), &toml);
    let mut program = Program::start(&["run", "wsgate.toml"], folder.path()).await;
    let hello = client_hello(3, NAME.as_bytes());
    let mut client: Leg = program.connect().await;
    client.send(&hello[..hello.len() - 1]).await;
    client.ended().await;
    assert_eq!(failed(&mut program).await["reason"], "timeout");
}

/// Each of what is sent behind a connection is told with its reason, and the client that failed.
async fn told_behind_a_balancer(keys: &str, cases: &[(Vec<u8>, &str, &str, &str)]) {
    let (public, folder) = (Authority::new(), TempDir::new().unwrap());
    public.write(folder.path(), "a", &[NAME]);
    let listener = format!("proxy_protocol = true\n{keys}\n[listeners.tls]");
    let toml = toml("").replace("[listeners.tls]", &listener);
    let toml = format!("[server]\ntrusted_proxies = [\"127.0.0.1\"]\n{toml}");
    configuration(folder.path(), &toml);
    let mut program = Program::start(&["run", "wsgate.toml"], folder.path()).await;
    for (bytes, what, reason, client) in cases {
        let mut leg = program.connect().await;
        leg.send(bytes).await;
        leg.rest().await;
        let line = program.event(what).await;
        assert_eq!(line["reason"], *reason, "{line}");
        assert_eq!(line["client"], *client, "{line}");
    }
}

const HEADER: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n";

#[tokio::test]
async fn behind_a_balancer_it_is_the_client_who_failed() {
    let (tls, proxy) = ("TLS handshake failed", "PROXY protocol refused");
    let too_old = client_hello(1, NAME.as_bytes());
    let cases = [
        ([HEADER, &too_old].concat(), tls, "version", "192.0.2.7"),
        // Without the header only the balancer is known.
        (too_old, proxy, "proxy_protocol", "127.0.0.1"),
    ];
    told_behind_a_balancer("", &cases).await;
}

#[tokio::test]
async fn behind_a_balancer_it_is_the_client_who_stalls() {
    let (tls, proxy) = ("TLS handshake failed", "PROXY protocol refused");
    let hello = client_hello(3, NAME.as_bytes());
    let part = [HEADER, &hello[..20]].concat();
    let cases = [
        (part, tls, "timeout", "192.0.2.7"),
        (HEADER[..9].to_vec(), proxy, "timeout", "127.0.0.1"),
    ];
    told_behind_a_balancer("head_timeout = \"1s\"", &cases).await;
}

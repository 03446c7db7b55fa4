//! What passes end to end, what belongs to one hop, and what only the gateway may say
//! (RFC 9110 §7.6.1).

use crate::harness::{Gateway, Handshake, Upstream, peer, session_by};

#[tokio::test]
async fn end_to_end_headers_pass_both_ways() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    let ask = Handshake::new("/")
        .with("Cookie", "a=b; c=d")
        .with("User-Agent", "test/1")
        .with("Accept-Language", "pl")
        .with("X-Own", "one")
        .with("X-Own", "two")
        .with("Authorization", "Bearer for-the-upstream");
    let mut client = gateway.send(&ask).await;
    let mut server = upstream.accept().await;
    for (name, value) in [
        ("Cookie", "a=b; c=d"),
        ("User-Agent", "test/1"),
        ("Accept-Language", "pl"),
        ("Authorization", "Bearer for-the-upstream"),
    ] {
        assert_eq!(server.asked(name), Some(value));
    }
    let lines = server.request.to_lowercase();
    assert!(
        lines.contains("x-own: one") && lines.contains("x-own: two"),
        "{lines}"
    );

    server
        .agree_with("Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Server: node\r\n")
        .await;
    let answer = client.answer().await;
    assert_eq!(answer.all("Set-Cookie").collect::<Vec<_>>(), ["a=1", "b=2"]);
    assert_eq!(answer.header("X-Server"), Some("node"));
}

#[tokio::test]
async fn hop_by_hop_headers_end_at_the_gateway() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    let ask = Handshake::new("/")
        .set("Connection", "Upgrade, X-Hop, keep-alive")
        .with("X-Hop", "1")
        .with("Keep-Alive", "timeout=5")
        .with("TE", "trailers")
        .with("Proxy-Authorization", "Basic eDp5")
        .with("Proxy-Connection", "keep-alive");
    let (_client, server, _) = session_by(&gateway, &upstream, &ask).await;
    for name in [
        "X-Hop",
        "Keep-Alive",
        "TE",
        "Proxy-Authorization",
        "Proxy-Connection",
    ] {
        assert_eq!(server.asked(name), None, "{name}");
    }
    assert_eq!(
        server.asked("Connection").map(str::to_lowercase).as_deref(),
        Some("upgrade")
    );
    assert_eq!(
        server
            .request
            .to_lowercase()
            .matches("\nconnection:")
            .count(),
        1
    );
}

#[tokio::test]
async fn hop_by_hop_headers_of_the_upstream_end_at_the_gateway() {
    let agrees = peer::agrees_with(
        "Alt-Svc: h3=\":443\"\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\n\
         Connection: X-Hop\r\nX-Hop: 1\r\nX-Stays: 1\r\n",
    )
    .await;
    let gateway = Gateway::before(agrees.url());
    let (_, answer) = gateway.ask(&Handshake::new("/")).await;
    assert_eq!(answer.status, 101, "{answer:?}");
    for name in ["Alt-Svc", "Keep-Alive", "Proxy-Authenticate", "X-Hop"] {
        assert_eq!(answer.header(name), None, "{name}");
    }
    assert_eq!(answer.header("X-Stays"), Some("1"));
    assert_eq!(answer.all("Connection").collect::<Vec<_>>().len(), 1);
    assert_eq!(answer.all("Sec-WebSocket-Accept").count(), 1);
}

#[tokio::test]
async fn a_101_has_no_length_and_no_coding() {
    let agrees = peer::agrees_with(
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\nContent_Length: 5\r\nTrailer: X\r\n",
    )
    .await;
    let gateway = Gateway::before(agrees.url());
    let (_, answer) = gateway.ask(&Handshake::new("/")).await;
    assert_eq!(answer.status, 101, "{answer:?}");
    for name in [
        "Content-Length",
        "Transfer-Encoding",
        "Content_Length",
        "Trailer",
    ] {
        assert_eq!(answer.header(name), None, "{name}");
    }
    assert_eq!(answer.all("Upgrade").count(), 1);
}

#[tokio::test]
async fn connection_cannot_take_away_what_the_gateway_says() {
    let upstream = Upstream::bind().await;
    let keys = "request_headers = { set = { X-Env = \"prod\" } }";
    let gateway = Gateway::route(upstream.url(), keys);
    let ask = Handshake::new("/").set(
        "Connection",
        "Upgrade, X-Forwarded-For, X-Real-IP, X-Env, Host, Sec-WebSocket-Key, Upgrade",
    );
    let (_client, server, _) = session_by(&gateway, &upstream, &ask).await;
    assert_eq!(server.asked("X-Forwarded-For"), Some("127.0.0.1"));
    assert_eq!(server.asked("X-Real-IP"), Some("127.0.0.1"));
    assert_eq!(server.asked("X-Env"), Some("prod"));
    assert!(server.asked("Host").is_some());
}

#[tokio::test]
async fn the_upstream_learns_who_asked_and_forgeries_are_removed() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    let ask = Handshake::new("/")
        .host("chat.example:81")
        .with("X-Forwarded-For", "6.6.6.6")
        .with("X-Forwarded-Proto", "https")
        .with("X-Forwarded-Host", "forged.example")
        .with("X-Forwarded-Port", "443")
        .with("X-Forwarded-Prefix", "/forged")
        .with("X-Real-IP", "6.6.6.6")
        .with("X-Request-Id", "forged")
        .with("X_Forwarded_For", "6.6.6.6")
        .with("Forwarded", "for=6.6.6.6");
    let (_client, server, _) = session_by(&gateway, &upstream, &ask).await;
    for (name, value) in [
        ("X-Forwarded-For", Some("127.0.0.1")),
        ("X-Forwarded-Proto", Some("http")),
        ("X-Forwarded-Host", Some("chat.example:81")),
        ("X-Real-IP", Some("127.0.0.1")),
        ("X-Forwarded-Prefix", None),
        ("X-Forwarded-Port", None),
        ("Forwarded", None),
    ] {
        assert_eq!(server.asked(name), value, "{name}");
    }
    assert!(server.asked("X-Request-Id").is_some_and(|id| id.len() >= 8));
    assert!(!server.request.contains("6.6.6.6"), "{}", server.request);
    assert!(!server.request.contains("forged"), "{}", server.request);
}

#[tokio::test]
async fn no_alias_of_a_header_that_the_gateway_sets_passes() {
    let upstream = Upstream::bind().await;
    let keys = "identity_header = \"X-Authenticated-User\"\nrequest_headers = { set = { X-Env = \"prod\" } }";
    let gateway = Gateway::route(upstream.url(), keys);
    let ask = Handshake::new("/")
        .with("X-Authenticated-User", "admin")
        .with("x_authenticated_user", "admin")
        .with("X.Authenticated.User", "admin")
        .with("X_Authenticated-User", "admin")
        .with("X_ENV", "admin")
        .with("x.env", "admin")
        .with("X-Authenticated-Users", "stays");
    let (_client, server, _) = session_by(&gateway, &upstream, &ask).await;
    assert!(!server.request.contains("admin"), "{}", server.request);
    assert_eq!(server.asked("X-Env"), Some("prod"));
    assert_eq!(server.asked("X-Authenticated-Users"), Some("stays"));
}

#[tokio::test]
async fn a_header_that_one_route_sets_is_removed_on_every_route() {
    let upstream = Upstream::bind().await;
    let url = upstream.url();
    let gateway = Gateway::route(
        &url,
        &format!(
            "path = \"/a\"\nidentity_header = \"X-User\"\n[[routes]]\npath = \"/b\"\nupstream = \"{url}\""
        ),
    );
    let ask = Handshake::new("/b").with("X-User", "admin");
    let (_client, server, _) = session_by(&gateway, &upstream, &ask).await;
    assert_eq!(server.asked("X-User"), None);
}

#[tokio::test]
async fn headers_are_set_and_removed_as_configured() {
    let upstream = Upstream::bind().await;
    let keys = "request_headers = { set = { X-Env = \"prod\" }, remove = [\"X-Debug\"] }\n\
                response_headers = { set = { X-Frame = \"no\" }, remove = [\"Server\"] }";
    let gateway = Gateway::route(upstream.url(), keys);
    let ask = Handshake::new("/")
        .with("X-Debug", "1")
        .with("X-Env", "dev");
    let mut client = gateway.send(&ask).await;
    let mut server = upstream.accept().await;
    assert_eq!(server.asked("X-Debug"), None);
    assert_eq!(server.asked("X-Env"), Some("prod"));
    server
        .agree_with("Server: secret/1.0\r\nX-Frame: yes\r\n")
        .await;
    let answer = client.answer().await;
    assert_eq!(answer.header("Server"), None);
    assert_eq!(answer.all("X-Frame").collect::<Vec<_>>(), ["no"]);
}

#[tokio::test]
async fn a_handshake_has_one_of_each_of_its_own_headers_upstream() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    let ask = Handshake::new("/")
        .with("Sec-WebSocket-Accept", "forged")
        .with("Content-Length", "0");
    let (_client, server, _) = session_by(&gateway, &upstream, &ask).await;
    let request = server.request.to_lowercase();
    for name in [
        "host",
        "upgrade",
        "connection",
        "sec-websocket-key",
        "sec-websocket-version",
    ] {
        assert_eq!(
            request.matches(&format!("\n{name}:")).count(),
            1,
            "{name} in {request}"
        );
    }
    assert_eq!(server.asked("Sec-WebSocket-Accept"), None);
}

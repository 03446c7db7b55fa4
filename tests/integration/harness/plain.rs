//! Ordinary requests on a route that passes them on.

use super::{Gateway, Handshake, Leg, Upstream};

/// What a route needs for that.
pub const PROXY: &str = "http_requests = \"proxy\"";

/// A whole answer, whose body is `ok`.
pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What an attacker hides behind a request or an answer.
pub const HIDDEN: &str = "GET /internal HTTP/1.1\r\nHost: internal\r\n\r\n";

pub fn get(target: &str) -> Handshake {
    Handshake::plain(target)
}

/// With the head of a body in chunks.
pub fn chunked() -> Handshake {
    get("/").method("POST").with("Transfer-Encoding", "chunked")
}

/// A gateway before an upstream that the test plays.
pub async fn proxy() -> (Gateway, Upstream) {
    proxy_with("").await
}

/// The same with more keys of the route.
pub async fn proxy_with(keys: &str) -> (Gateway, Upstream) {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::route(upstream.url(), &format!("{PROXY}\n{keys}"));
    (gateway, upstream)
}

/// A client that has asked, and the upstream's connection with the request's head read.
pub async fn asked(gateway: &Gateway, upstream: &Upstream, request: &Handshake) -> (Leg, Leg) {
    let client = gateway.send(request).await;
    (client, upstream.accept().await)
}

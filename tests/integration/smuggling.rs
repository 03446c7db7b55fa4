//! A connection on which a handshake was refused is never a pipe, and nothing reaches an upstream
//! before it has agreed.

use crate::harness::plain::{HIDDEN, asked};
use crate::harness::{Frame, Gateway, Handshake, Leg, Upstream, peer};

#[tokio::test]
async fn what_follows_a_handshake_that_the_upstream_refuses_is_dropped() {
    for refusal in [
        "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nbad",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
    ] {
        let upstream = Upstream::bind().await;
        let gateway = Gateway::before(upstream.url());
        let (mut client, mut server) = start(&gateway, &upstream, HIDDEN.as_bytes()).await;
        server.send(refusal).await;

        let answer = client.answer().await;
        assert_eq!(answer.status.to_string(), refusal[9..12], "{answer:?}");
        // The attacker goes on as if it had a pipe.
        let _ = client.try_send(HIDDEN.as_bytes()).await;
        client.finish().await;
        client.ended().await;
        server.ended().await;
        gateway.has_sessions(0).await;
    }
}

#[tokio::test]
async fn the_upstreams_refusal_reaches_the_client_with_headers_and_body() {
    let refuses = peer::answers(
        "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\
         Retry-After: 9\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\r\n\
         {\"why\":\"full\"}",
    )
    .await;
    let gateway = Gateway::before(refuses.url());
    let (mut client, answer) = gateway.ask(&Handshake::new("/")).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (403, "{\"why\":\"full\"}")
    );
    assert_eq!(answer.header("Content-Type"), Some("application/json"));
    assert_eq!(answer.header("Retry-After"), Some("9"));
    assert_eq!(answer.header("X-Hop"), None);
    assert_eq!(answer.header("Keep-Alive"), None);
    client.finish().await;
    client.ended().await;
}

#[tokio::test]
async fn a_refusal_in_chunks_reaches_the_client_whole() {
    let refuses = peer::answers(
        "HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n\
         4\r\nbusy\r\n6;x=y\r\n, wait\r\n0\r\n\r\n",
    )
    .await;
    let gateway = Gateway::before(refuses.url());
    let (_, answer) = gateway.ask(&Handshake::new("/")).await;
    assert_eq!((answer.status, answer.body.as_str()), (503, "busy, wait"));
    assert!(
        answer.all("Transfer-Encoding").count() == 0 || answer.header("Content-Length").is_none()
    );
}

#[tokio::test]
async fn a_refusals_body_is_bounded() {
    let head = "HTTP/1.1 500 Oops\r\nContent-Length: 50000000\r\n\r\n";
    let body = vec![b'x'; 8 << 20];
    let refuses = peer::answers([head.as_bytes(), &body].concat()).await;
    let gateway = Gateway::before(refuses.url());
    let mut client = gateway.send(&Handshake::new("/")).await;
    let (answer, _) = client.rest().await;
    assert!(
        answer.starts_with(b"HTTP/1.1 500"),
        "{}",
        answer[..answer.len().min(99)].escape_ascii()
    );
    assert!(answer.len() < 1 << 20, "{} bytes", answer.len());
}

#[tokio::test]
async fn nothing_of_the_client_reaches_an_upstream_that_has_not_answered() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    let early = Frame::text("x".repeat(1000)).masked().bytes();
    let (mut client, mut server) = start(&gateway, &upstream, &early).await;
    client.send(&early).await;
    // The upstream hangs up instead of answering; all it ever got is the handshake.
    server
        .send("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
        .await;
    server.ended().await;
    assert_eq!(client.answer().await.status, 500);
}

#[tokio::test]
async fn a_second_request_behind_the_handshake_is_a_broken_frame() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    let second = Handshake::new("/second").bytes(gateway.address());
    let (mut client, mut server) = start(&gateway, &upstream, &second).await;
    server.agree().await;
    assert_eq!(client.answer().await.status, 101);
    client.close(1002).await;
    // Not a byte of it, in HTTP or otherwise: the next thing is the gateway's Close.
    server.close(1001).await;
}

/// A client has sent a handshake with `behind` right after it; the upstream has read the gateway's
/// handshake and has not answered.
async fn start(gateway: &Gateway, upstream: &Upstream, behind: &[u8]) -> (Leg, Leg) {
    asked(gateway, upstream, &Handshake::new("/").behind(behind)).await
}

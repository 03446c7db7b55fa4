//! Keys in a header, a cookie or the query. The one that is used is taken out, nothing else is.

use crate::harness::gateway::LISTENER;
use crate::harness::{Gateway, Handshake, Upstream, peer, session_by, sha256};

const KEY: &str = "a-key-of-the-robot";

fn gateway(url: &str, sources: &str) -> Gateway {
    Gateway::start(&format!(
        "{LISTENER}
        [auth.robots]
        kind = \"api_key\"
        keys = {{ ci = {{ sha256 = \"{}\" }} }}
        sources = [{sources}]
        [[routes]]
        upstream = \"{url}\"
        auth = [\"robots\"]
        identity_header = \"X-Robot\"",
        sha256(KEY)
    ))
}

#[tokio::test]
async fn a_key_enters_by_any_configured_source() {
    let upstream = Upstream::bind().await;
    let sources = "\"header:X-API-Key\", \"cookie:key\", \"query:api_key\"";
    let gateway = gateway(&upstream.url(), sources);
    for (what, ask) in [
        ("header", Handshake::new("/room?a=b").with("x-api-key", KEY)),
        ("query", Handshake::new(&format!("/room?a=b&api_key={KEY}"))),
        (
            "query, first",
            Handshake::new(&format!("/room?api_key={KEY}&a=b")),
        ),
        (
            "cookie",
            Handshake::new("/room?a=b").with("Cookie", &format!("x=y; key={KEY}; z=w")),
        ),
    ] {
        let (_client, server, _) = session_by(&gateway, &upstream, &ask).await;
        assert_eq!(server.asked("X-Robot"), Some("robots:ci"), "{what}");
        assert!(!server.request.contains(KEY), "{what}: {}", server.request);
        assert_eq!(server.asked_line(), "GET /room?a=b HTTP/1.1", "{what}");
        if what == "cookie" {
            assert_eq!(server.asked("Cookie"), Some("x=y; z=w"));
        }
    }
}

#[tokio::test]
async fn what_is_not_the_key_passes() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream.url(), "\"header:X-API-Key\"");
    let ask = Handshake::new("/?api_key=other&token=1")
        .with("X-API-Key", KEY)
        .with("Authorization", "Bearer for-the-upstream")
        .with("Cookie", "key=other");
    let (_client, server, _) = session_by(&gateway, &upstream, &ask).await;
    assert_eq!(server.asked_line(), "GET /?api_key=other&token=1 HTTP/1.1");
    assert_eq!(
        server.asked("Authorization"),
        Some("Bearer for-the-upstream")
    );
    assert_eq!(server.asked("Cookie"), Some("key=other"));
}

#[tokio::test]
async fn a_query_of_the_key_alone_leaves_no_query() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream.url(), "\"query:api_key\"");
    let ask = Handshake::new(&format!("/room?api_key={KEY}"));
    let (_client, server, _) = session_by(&gateway, &upstream, &ask).await;
    assert_eq!(server.asked_line(), "GET /room HTTP/1.1");
}

#[tokio::test]
async fn wrong_keys_get_401_and_no_upstream() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream.url(), "\"header:X-API-Key\", \"query:api_key\"");
    for (what, ask) in [
        ("none", Handshake::new("/")),
        ("empty", Handshake::new("/").with("X-API-Key", "")),
        (
            "wrong",
            Handshake::new("/").with("X-API-Key", "a-key-of-the-robos"),
        ),
        (
            "longer",
            Handshake::new("/").with("X-API-Key", &format!("{KEY}x")),
        ),
        (
            "in a cookie",
            Handshake::new("/").with("Cookie", &format!("api_key={KEY}")),
        ),
        ("its name in the query", Handshake::new("/?api_key")),
    ] {
        let (_, answer) = gateway.ask(&ask).await;
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
        assert!(
            answer.header("WWW-Authenticate").is_some(),
            "{what}: {answer:?}"
        );
    }
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn any_one_method_admits() {
    let named = peer::named("it").await;
    let folder = tempfile::tempdir().unwrap();
    let hash = bcrypt::hash("secret", 4).unwrap();
    std::fs::write(folder.path().join("users"), format!("alice:{hash}\n")).unwrap();
    let gateway = Gateway::start_in(
        folder,
        &format!(
            "{LISTENER}
            [auth.people]
            kind = \"basic\"
            htpasswd = \"users\"
            realm = \"people\"
            [auth.robots]
            kind = \"api_key\"
            keys = {{ ci = {{ sha256 = \"{}\" }} }}
            sources = [\"header:X-API-Key\"]
            [[routes]]
            upstream = \"{}\"
            auth = [\"people\", \"robots\"]",
            sha256(KEY),
            named.url()
        ),
    );
    let ask = Handshake::new("/");
    let people = ask.clone().with("Authorization", "Basic YWxpY2U6c2VjcmV0");
    assert_eq!(gateway.status(&people).await, 101);
    assert_eq!(
        gateway.status(&ask.clone().with("X-API-Key", KEY)).await,
        101
    );
    let (_, answer) = gateway.ask(&ask).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.all("WWW-Authenticate").count(), 2, "{answer:?}");
}

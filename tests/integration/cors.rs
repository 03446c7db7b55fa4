//! `[routes.cors]`: whose pages may ask what, and read the answers (Fetch Standard §3.2).

use crate::harness::gateway::LISTENER;
use crate::harness::{Answer, Gateway, Handshake, Upstream, peer, sha256};

const PAGE: &str = "https://app.example.com";
const EVIL: &str = "https://evil.example";

/// A route for pages of [`PAGE`], with CORS, that asks for a key.
fn gateway(url: &str) -> Gateway {
    Gateway::start(&format!(
        "{LISTENER}
        [auth.robots]
        kind = \"api_key\"
        keys = {{ ci = {{ sha256 = \"{}\" }} }}
        sources = [\"header:X-API-Key\"]
        [[routes]]
        upstream = \"{url}\"
        origins = [\"{PAGE}\"]
        auth = [\"robots\"]
        http_requests = \"proxy\"
        [routes.cors]
        methods = [\"GET\", \"POST\", \"DELETE\"]
        headers = [\"Content-Type\", \"X-API-Key\"]
        expose_headers = [\"X-Total\"]
        credentials = true",
        sha256("KEY")
    ))
}

fn preflight(origin: &str, method: &str) -> Handshake {
    Handshake::plain("/")
        .method("OPTIONS")
        .with("Origin", origin)
        .with("Access-Control-Request-Method", method)
}

fn get(origin: &str) -> Handshake {
    Handshake::plain("/")
        .with("Origin", origin)
        .with("X-API-Key", "KEY")
}

/// What an answer says of CORS, but for `Vary`.
fn told(answer: &Answer) -> Vec<(String, String)> {
    let of_cors =
        |(name, _): &&(String, String)| name.to_ascii_lowercase().starts_with("access-control-");
    let mut told: Vec<_> = answer.headers.iter().filter(of_cors).cloned().collect();
    told.sort();
    told
}

fn varies_by_origin(answer: &Answer) -> bool {
    answer.all("Vary").any(|names| names.contains("Origin"))
}

#[tokio::test]
async fn a_preflight_is_answered_before_credentials_are_asked_for() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream.url());
    let ask = preflight(PAGE, "DELETE")
        .with("Access-Control-Request-Headers", "x-api-key, content-type")
        .with("Access-Control-Request-Private-Network", "true");
    let (_, answer) = gateway.ask(&ask).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    let expected = [
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-headers", "content-type, x-api-key"),
        ("access-control-allow-methods", "GET, POST, DELETE"),
        ("access-control-allow-origin", PAGE),
        ("access-control-max-age", "600"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(told(&answer), expected);
    assert!(varies_by_origin(&answer));
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn a_preflight_for_more_than_is_listed_gets_403_and_no_word() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream.url());
    let with_header = |name| preflight(PAGE, "GET").with("Access-Control-Request-Headers", name);
    for (what, ask) in [
        ("another page", preflight(EVIL, "GET")),
        ("no page", preflight("null", "GET")),
        (
            "a suffix",
            preflight("https://app.example.com.evil.example", "GET"),
        ),
        ("two pages", preflight(PAGE, "GET").with("Origin", EVIL)),
        ("a method", preflight(PAGE, "PUT")),
        ("a method in lower case", preflight(PAGE, "delete")),
        ("a header", with_header("x-other")),
        (
            "a header behind good ones",
            with_header("content-type,x-other"),
        ),
    ] {
        let (_, answer) = gateway.ask(&ask).await;
        assert_eq!(answer.status, 403, "{what}");
        assert_eq!(told(&answer), [], "{what}");
        assert!(varies_by_origin(&answer), "{what}");
    }
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn the_gateways_word_replaces_the_upstreams() {
    let upstream = peer::answers(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\nAccess-Control-Allow-Origin: *\r\n\
         Access-Control-Allow-Methods: *\r\nAccess-Control-Allow-Private-Network: true\r\n\
         X-Total: 9\r\nVary: Accept\r\n\r\nok",
    )
    .await;
    let gateway = gateway(&upstream.url());
    let (_, answer) = gateway.ask(&get(PAGE)).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    let expected = [
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-origin", PAGE),
        ("access-control-expose-headers", "x-total"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(told(&answer), expected);
    assert_eq!(answer.all("Vary").collect::<Vec<_>>(), ["Accept", "Origin"]);

    let (_, answer) = gateway.ask(&get(PAGE).without("Origin")).await;
    assert_eq!((answer.status, told(&answer)), (200, vec![]));
    assert!(varies_by_origin(&answer));
}

#[tokio::test]
async fn pages_can_read_why_they_were_refused() {
    let gateway = gateway(&peer::nobody().await);
    for (ask, status) in [(get(PAGE).without("X-API-Key"), 401), (get(PAGE), 502)] {
        let (_, answer) = gateway.ask(&ask).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("Access-Control-Allow-Origin"), Some(PAGE));
        assert_eq!(
            answer.header("Access-Control-Allow-Credentials"),
            Some("true")
        );
        assert!(varies_by_origin(&answer));
    }
}

#[tokio::test]
async fn pages_that_are_not_admitted_get_nothing_to_read() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream.url());
    let post = get(EVIL)
        .method("POST")
        .with("Content-Length", "2")
        .behind(b"hi");
    for ask in [get(EVIL), get("null"), post] {
        let (_, answer) = gateway.ask(&ask).await;
        assert_eq!(answer.status, 403);
        assert_eq!(told(&answer), []);
        assert!(varies_by_origin(&answer));
    }
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn without_cors_the_upstreams_own_word_passes() {
    let upstream = peer::answers(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\nAccess-Control-Allow-Origin: *\r\n\r\nok",
    )
    .await;
    let gateway = Gateway::route(
        upstream.url(),
        &format!("http_requests = \"proxy\"\norigins = [\"{PAGE}\"]"),
    );
    let (_, answer) = gateway.ask(&get(PAGE)).await;
    assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"));
    assert_eq!(answer.header("Vary"), None);
    let (_, answer) = gateway.ask(&preflight(PAGE, "GET")).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    // Whose page it is is asked all the same.
    assert_eq!(gateway.status(&preflight(EVIL, "GET")).await, 403);
}

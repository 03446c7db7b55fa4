//! Which pages may open a session (RFC 6454, RFC 6455 §10.2): exact origins, and nothing by
//! default but the route's own.

use crate::harness::{Gateway, Handshake, Upstream, peer, session_by};

fn from(origin: &str) -> Handshake {
    Handshake::new("/").with("Origin", origin)
}

#[tokio::test]
async fn listed_origins_compare_as_origins() {
    let keys = "origins = [\"https://app.example.com\", \"https://*.wild.example\", \"http://p.example:8080\"]";
    let echo = peer::echo().await;
    let gateway = Gateway::route(echo.url(), keys);
    for (origin, status) in [
        ("https://app.example.com", 101),
        ("https://APP.example.COM", 101),
        ("HTTPS://app.example.com", 101),
        ("https://app.example.com:443", 101),
        ("https://one.wild.example", 101),
        ("http://p.example:8080", 101),
        ("http://app.example.com", 403),
        ("https://app.example.com:8443", 403),
        ("https://app.example.com.evil.example", 403),
        ("https://evilapp.example.com", 403),
        ("https://app.example.com@evil.example", 403),
        ("https://app.example.comevil.example", 403),
        ("https://app-example.com", 403),
        ("https://evil.example/app.example.com", 403),
        ("https://evil.example#https://app.example.com", 403),
        ("https://wild.example", 403),
        ("https://two.one.wild.example", 403),
        ("https://evilwild.example", 403),
        ("http://p.example", 403),
        ("null", 403),
        ("file://", 403),
        ("ws://app.example.com", 403),
        ("app.example.com", 403),
        ("https://", 403),
        ("*", 403),
        ("https://*.wild.example", 403),
        ("https://app.example.com https://app.example.com", 403),
        ("https://app.example.com, https://evil.example", 403),
        ("https://\u{430}pp.example.com", 403),
    ] {
        let (_, answer) = gateway.ask(&from(origin)).await;
        assert_eq!(answer.status, status, "{origin}: {answer:?}");
    }
}

#[tokio::test]
async fn a_trailing_dot_does_not_make_another_host() {
    let echo = peer::echo().await;
    let gateway = Gateway::route(echo.url(), "origins = [\"https://app.example.com\"]");
    let (_, answer) = gateway.ask(&from("https://app.example.com.")).await;
    assert_eq!(answer.status, 101, "{answer:?}");
    assert_eq!(
        gateway.status(&from("https://app.example.com..")).await,
        403
    );
}

#[tokio::test]
async fn international_names_compare_in_their_ascii_form() {
    let echo = peer::echo().await;
    let gateway = Gateway::route(echo.url(), "origins = [\"https://xn--bcher-kva.example\"]");
    assert_eq!(
        gateway.status(&from("https://xn--bcher-kva.example")).await,
        101
    );
    assert_eq!(
        gateway.status(&from("https://XN--BCHER-KVA.example")).await,
        101
    );
    assert_eq!(gateway.status(&from("https://bucher.example")).await, 403);
}

#[tokio::test]
async fn without_a_list_only_the_routes_own_origin_enters() {
    let echo = peer::echo().await;
    let gateway = Gateway::route(echo.url(), "host = \"chat.example.com\"");
    for (origin, status) in [
        ("http://chat.example.com", 101),
        ("http://chat.example.com:80", 101),
        ("https://chat.example.com", 403),
        ("http://chat.example.com:8080", 403),
        ("http://example.com", 403),
        ("http://evil.example", 403),
        ("null", 403),
    ] {
        // What a browser adds by itself does not help a foreign page.
        let ask = from(origin)
            .host("chat.example.com")
            .with("Cookie", "session=valid");
        assert_eq!(gateway.status(&ask).await, status, "{origin}");
    }
    let ported = from("http://chat.example.com:8080").host("chat.example.com:8080");
    assert_eq!(gateway.status(&ported).await, 101);
}

#[tokio::test]
async fn a_rebound_name_is_nobodys_own_origin() {
    let echo = peer::echo().await;
    let gateway = Gateway::before(echo.url());
    // The attacker's name now points here, so that Origin and Host agree.
    let rebound = from("http://evil.example").host("evil.example");
    assert_eq!(gateway.status(&rebound).await, 403);
    for own in ["localhost", "127.0.0.1", "[::1]", "localhost:8080"] {
        let ask = from(&format!("http://{own}")).host(own);
        assert_eq!(gateway.status(&ask).await, 101, "{own}");
    }
}

#[tokio::test]
async fn clients_that_are_no_browsers_pass_unless_an_origin_is_required() {
    let echo = peer::echo().await;
    let gateway = Gateway::route(echo.url(), "origins = [\"https://app.example.com\"]");
    let ask = Handshake::new("/");
    assert_eq!(gateway.status(&ask).await, 101);
    for (site, status) in [
        ("cross-site", 403),
        ("same-site", 403),
        ("same-origin", 101),
        ("none", 101),
    ] {
        let ask = ask.clone().with("Sec-Fetch-Site", site);
        assert_eq!(gateway.status(&ask).await, status, "{site}");
    }

    let keys = "origins = [\"https://app.example.com\"]\nrequire_origin = true";
    let strict = Gateway::route(echo.url(), keys);
    assert_eq!(strict.status(&ask).await, 403);
    assert_eq!(strict.status(&from("https://app.example.com")).await, 101);
}

#[tokio::test]
async fn two_origins_are_none() {
    let echo = peer::echo().await;
    let origin = "https://app.example.com";
    let gateway = Gateway::route(echo.url(), "origins = [\"https://app.example.com\"]");
    let status = gateway.status(&from(origin).with("Origin", origin)).await;
    assert_eq!(status, 403);
    let open = Gateway::route(echo.url(), "origins = [\"*\"]");
    let status = open
        .status(&from(origin).with("Origin", "https://evil.example"))
        .await;
    assert_eq!(status, 403);
}

#[tokio::test]
async fn a_star_opens_the_route_and_null_must_be_named() {
    let echo = peer::echo().await;
    let open = Gateway::route(echo.url(), "origins = [\"*\"]");
    assert_eq!(open.status(&from("https://anything.example")).await, 101);
    let null = Gateway::route(echo.url(), "origins = [\"null\"]");
    assert_eq!(null.status(&from("null")).await, 101);
    assert_eq!(null.status(&from("https://anything.example")).await, 403);
}

#[tokio::test]
async fn the_upstream_sees_the_origin_as_it_came() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::route(upstream.url(), "origins = [\"https://app.example.com\"]");
    let ask = from("https://APP.example.com:443");
    let (_client, server, _) = session_by(&gateway, &upstream, &ask).await;
    assert_eq!(server.asked("Origin"), Some("https://APP.example.com:443"));
}

#[tokio::test]
async fn a_refused_origin_never_reaches_the_upstream() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    assert_eq!(gateway.status(&from("https://evil.example")).await, 403);
    upstream.was_left_alone().await;
}

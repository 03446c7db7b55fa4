//! A listener that only says where to go: `redirect_https` (RFC 9110 §15.4.9).

use crate::harness::{Gateway, Handshake};

/// A redirecting listener, alone.
fn gateway(to: &str) -> Gateway {
    Gateway::start(&format!(
        "[[listeners]]\nname = \"main\"\naddress = \"127.0.0.1:0\"\nredirect_https = {to}\n"
    ))
}

async fn location(gateway: &Gateway, ask: &Handshake) -> String {
    let (_, answer) = gateway.ask(ask).await;
    assert_eq!(answer.status, 308, "{answer:?}");
    assert_eq!(answer.all("location").count(), 1, "{answer:?}");
    answer.header("location").unwrap().to_owned()
}

#[tokio::test]
async fn every_request_is_sent_to_the_same_url_by_https() {
    let (standard, other) = (gateway("true"), gateway("8443"));
    for (target, host, expected) in [
        ("/", "a.example", "https://a.example/"),
        (
            "/chat/room?x=1&y=//b.example",
            "a.example:80",
            "https://a.example/chat/room?x=1&y=//b.example",
        ),
        (
            "/@b.example/%20",
            "A.Example.",
            "https://a.example/@b.example/%20",
        ),
        ("http://a.example/x?", "a.example", "https://a.example/x?"),
        ("/", "[::1]:8080", "https://[::1]/"),
    ] {
        let asks = [
            Handshake::plain(target).host(host),
            Handshake::plain(target)
                .host(host)
                .method("POST")
                .with("Content-Length", "0"),
            Handshake::new(target).host(host),
        ];
        for ask in asks {
            assert_eq!(location(&standard, &ask).await, expected, "{ask:?}");
        }
    }
    let ask = Handshake::plain("/x").host("a.example:8080");
    assert_eq!(location(&other, &ask).await, "https://a.example:8443/x");
}

#[tokio::test]
async fn nobody_can_choose_where_others_are_sent() {
    let gateway = gateway("true");
    let elsewhere = [
        Handshake::plain("//b.example/").host("a.example"),
        Handshake::plain("/\\b.example/").host("a.example"),
        Handshake::plain("http://b.example/").host("a.example"),
        Handshake::plain("/").host("a.example@b.example"),
        Handshake::plain("/").host("a.example/b.example"),
        Handshake::plain("/").host("a.example:80@b.example"),
        Handshake::plain("/")
            .host("a.example")
            .with("Host", "b.example"),
        Handshake::plain("/").host("b.example,a.example"),
        Handshake::plain("/").without("Host"),
        Handshake::plain("/").host("a.example\r\nLocation: https://b.example/"),
    ];
    for ask in elsewhere {
        let (_, answer) = gateway.ask(&ask).await;
        match answer.status {
            400 => assert_eq!(answer.header("location"), None, "{ask:?}"),
            // A header of the client's own, which is nothing to the gateway.
            308 => assert_eq!(
                answer.header("location"),
                Some("https://a.example/"),
                "{ask:?}"
            ),
            _ => panic!("{ask:?}: {answer:?}"),
        }
    }
    // What proxies forward is no word about where the client wanted to go.
    let ask = Handshake::plain("/")
        .host("a.example")
        .with("X-Forwarded-Host", "b.example");
    assert_eq!(location(&gateway, &ask).await, "https://a.example/");
}

#[tokio::test]
async fn a_bad_head_is_still_a_bad_head() {
    let gateway = gateway("true");
    let bad = Handshake::plain("/a/../b").host("a.example");
    assert_eq!(gateway.status(&bad).await, 400);
    let connect = Handshake::plain("a.example:443").method("CONNECT");
    assert_eq!(gateway.status(&connect).await, 405);
}

#[tokio::test]
async fn who_came_by_https_to_a_trusted_proxy_is_served() {
    for (trusted, told, status) in [
        ("127.0.0.1", "https", 101),
        ("127.0.0.1", "http", 308),
        ("10.0.0.0/8", "https", 308),
    ] {
        let gateway = Gateway::start(&format!(
            "[server]\ntrusted_proxies = [\"{trusted}\"]\n[[listeners]]\nname = \"main\"\n\
             address = \"127.0.0.1:0\"\nredirect_https = true\n[[routes]]\nupstream = \"builtin:echo\"\n"
        ));
        let ask = Handshake::new("/").with("X-Forwarded-Proto", told);
        assert_eq!(gateway.status(&ask).await, status, "{trusted} {told}");
    }
}

#[tokio::test]
async fn routes_are_served_by_the_other_listeners() {
    let gateway = Gateway::start(
        "[[listeners]]\nname = \"main\"\naddress = \"127.0.0.1:0\"\nredirect_https = true\n\
         [[listeners]]\nname = \"inside\"\naddress = \"127.0.0.1:0\"\n\
         [[routes]]\nupstream = \"builtin:echo\"\n",
    );
    assert_eq!(gateway.status(&Handshake::new("/")).await, 308);
    let mut inside = gateway.connect_to("inside").await;
    inside
        .send(Handshake::new("/").bytes(gateway.address_of("inside")))
        .await;
    assert_eq!(inside.answer().await.status, 101);
}

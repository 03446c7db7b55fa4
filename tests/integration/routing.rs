//! Host first, then path, then subprotocol; and a path that is forwarded as it was matched.

use crate::harness::gateway::LISTENER;
use crate::harness::{Gateway, Handshake, Upstream, peer, session_by};

#[tokio::test]
async fn the_most_specific_host_wins_and_never_falls_back() {
    let peers = Peers::new(&["exact", "wildcard", "any"]).await;
    let gateway = peers.gateway(&[
        ("exact", "host = \"chat.example.com\"\npath = \"/chat\""),
        ("wildcard", "host = \"*.example.com\""),
        ("any", ""),
    ]);
    for (host, path, served_by) in [
        ("chat.example.com", "/chat", Some("exact")),
        ("CHAT.Example.COM:8443", "/chat", Some("exact")),
        ("chat.example.com.", "/chat", Some("exact")),
        // The host is matched, its path is not: no other route is asked.
        ("chat.example.com", "/other", None),
        ("app.example.com", "/chat", Some("wildcard")),
        // A wildcard is one label.
        ("a.b.example.com", "/chat", Some("any")),
        ("example.com", "/chat", Some("any")),
        ("127.0.0.1", "/", Some("any")),
        ("[::1]:80", "/", Some("any")),
    ] {
        assert_eq!(
            served(&gateway, host, path).await.as_deref(),
            served_by,
            "{host}{path}"
        );
    }
}

#[tokio::test]
async fn an_exact_path_beats_the_longest_prefix() {
    let peers = Peers::new(&["exact", "long", "short"]).await;
    let gateway = peers.gateway(&[
        ("short", "path = \"/chat/*\""),
        ("long", "path = \"/chat/rooms/*\""),
        ("exact", "path = \"/chat/rooms/one\""),
    ]);
    for (path, served_by) in [
        ("/chat/rooms/one", Some("exact")),
        ("/chat/rooms/one?room=two", Some("exact")),
        ("/chat/rooms/two", Some("long")),
        ("/chat/rooms", Some("long")),
        ("/chat/rooms/", Some("long")),
        ("/chat/roomsandmore", Some("short")),
        ("/chat", Some("short")),
        ("/chatter", None),
        ("/Chat", None),
        ("/", None),
        // Parameters do not count for matching.
        ("/chat/rooms/one;v=1", Some("exact")),
        ("/chat;v=1/rooms;x/one", Some("exact")),
    ] {
        assert_eq!(
            served(&gateway, "a.example", path).await.as_deref(),
            served_by,
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_clients_first_listed_token_chooses() {
    let peers = Peers::new(&["v2", "v1", "rest"]).await;
    let gateway = peers.gateway(&[
        ("v2", "subprotocols = [\"chat.v2\"]"),
        ("v1", "subprotocols = [\"chat.v1\", \"chat.v0\"]"),
        ("rest", ""),
    ]);
    for (offer, served_by) in [
        ("chat.v1, chat.v2", "v1"),
        ("chat.v2, chat.v1", "v2"),
        ("unknown, chat.v0, chat.v2", "v1"),
        ("unknown", "rest"),
        ("CHAT.V2", "rest"),
    ] {
        let ask = Handshake::new("/").with("Sec-WebSocket-Protocol", offer);
        let (_, answer) = gateway.ask(&ask).await;
        assert_eq!(
            answer.header("X-Served-By"),
            Some(served_by),
            "{offer}: {answer:?}"
        );
    }
    assert_eq!(
        served(&gateway, "a.example", "/").await.as_deref(),
        Some("rest"),
        "no offer"
    );
}

#[tokio::test]
async fn no_subprotocol_in_common_gets_400_and_no_route_404() {
    let peers = Peers::new(&["only"]).await;
    let gateway = peers.gateway(&[("only", "path = \"/chat\"\nsubprotocols = [\"chat.v2\"]")]);
    let ask = Handshake::new("/chat");
    assert_eq!(
        gateway
            .status(&ask.clone().with("Sec-WebSocket-Protocol", "chat.v3"))
            .await,
        400
    );
    assert_eq!(gateway.status(&ask).await, 400);
    assert_eq!(gateway.status(&Handshake::new("/other")).await, 404);
    assert_eq!(gateway.status(&Handshake::plain("/other")).await, 404);
}

#[tokio::test]
async fn a_route_may_belong_to_one_listener() {
    let peers = Peers::new(&["inside", "outside"]).await;
    let [inside, outside] = [&peers.0[0].1, &peers.0[1].1].map(peer::Peer::url);
    let gateway = Gateway::start(&format!(
        "{LISTENER}
        [[listeners]]
        name = \"second\"
        address = \"127.0.0.1:0\"
        [[routes]]
        name = \"inside\"
        listeners = [\"second\"]
        upstream = \"{inside}\"
        [[routes]]
        name = \"outside\"
        listeners = [\"main\"]
        upstream = \"{outside}\""
    ));
    for (listener, served_by) in [("main", "outside"), ("second", "inside")] {
        let mut client = gateway.connect_to(listener).await;
        client
            .send(Handshake::new("/").bytes(gateway.address_of(listener)))
            .await;
        assert_eq!(client.answer().await.header("X-Served-By"), Some(served_by));
    }
}

#[tokio::test]
async fn paths_that_two_servers_might_read_differently_get_400() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::route(upstream.url(), "path = \"/public/*\"");
    for path in [
        "/public/../admin",
        "/public/./a",
        "/public/..",
        "/public/.",
        "/../public",
        "/public/%2e%2e/admin",
        "/public/%2E./admin",
        "/public/.%2e/admin",
        "/public/%2e/a",
        "/public%2fadmin",
        "/public%2Fadmin",
        "/public%5cadmin",
        "/public\\..\\admin",
        "//public/a",
        "/public//a",
        "/public/a//",
        "/public/%00",
        "/public/%252e%252e/admin",
        "/public/%252fadmin",
        "/public/%255cadmin",
        "/public/a;x=/../../admin",
        "/public/..;/admin",
        "/public/%2e%2e;a=b/admin",
        // Overlong and cut UTF-8.
        "/public/%c0%ae%c0%ae/admin",
        "/public/%c0%af",
        "/public/%e0%80%af",
        "/public/%ff",
        "/public/%c3",
        "/public/%",
        "/public/%2",
        "/public/%zz",
    ] {
        let (_, answer) = gateway.ask(&Handshake::new(path)).await;
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
    }
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn what_was_matched_is_what_is_forwarded() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::route(upstream.url(), "path = \"/public/*\"");
    for path in [
        "/public",
        "/public/",
        "/public/a/b?c=/../d&e=%2f%00",
        "/public/caf%C3%A9",
        "/public/a;x=1/b",
        "/public/...",
        "/public/.well-known",
        "/public/%20space",
        "/public?",
        "/public/~user/!$&'()*+,=:@",
    ] {
        let (_client, server, _) = session_by(&gateway, &upstream, &Handshake::new(path)).await;
        assert_eq!(server.asked_line(), format!("GET {path} HTTP/1.1"));
    }
}

#[tokio::test]
async fn no_spelling_of_a_path_leads_around_its_route() {
    let peers = Peers::new(&["open", "closed"]).await;
    let gateway = peers.gateway(&[
        ("open", "path = \"/*\""),
        ("closed", "path = \"/admin/*\"\ndeny_ips = [\"0.0.0.0/0\"]"),
    ]);
    for path in [
        "/admin",
        "/admin/",
        "/admin/x",
        "/%61dmin",
        "/%61%64%6D%69%6e/x",
        "/admin;x=1/y",
        "/admin;/y",
        "/%61dmin;%2C/y",
        "/admin?x",
    ] {
        assert_eq!(gateway.status(&Handshake::new(path)).await, 403, "{path}");
    }
    // What more lenient servers make the same of is not taken at all.
    for path in [
        "/./admin",
        "//admin",
        "/x/../admin",
        "/%2e/admin",
        "/%2fadmin",
        "/\\admin",
    ] {
        assert_eq!(gateway.status(&Handshake::new(path)).await, 400, "{path}");
    }
}

#[tokio::test]
async fn strip_prefix_takes_whole_segments_and_says_so() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::route(
        upstream.url(),
        "path = \"/chat/*\"\nstrip_prefix = \"/chat\"",
    );
    for (path, forwarded, prefix) in [
        ("/chat/room", "/room", Some("/chat")),
        ("/chat", "/", Some("/chat")),
        ("/chat/", "/", Some("/chat")),
        ("/chat?a=b", "/?a=b", Some("/chat")),
        ("/chat/chat/x", "/chat/x", Some("/chat")),
    ] {
        let (_client, server, _) = session_by(&gateway, &upstream, &Handshake::new(path)).await;
        assert_eq!(
            server.asked_line(),
            format!("GET {forwarded} HTTP/1.1"),
            "{path}"
        );
        assert_eq!(server.asked("X-Forwarded-Prefix"), prefix, "{path}");
    }
}

#[tokio::test]
async fn strip_prefix_leaves_what_only_begins_alike() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::route(upstream.url(), "strip_prefix = \"/chat\"");
    let ask = Handshake::new("/chatter/x").with("X-Forwarded-Prefix", "/forged");
    let (_client, server, _) = session_by(&gateway, &upstream, &ask).await;
    assert_eq!(server.asked_line(), "GET /chatter/x HTTP/1.1");
    assert_eq!(server.asked("X-Forwarded-Prefix"), None);
}

#[tokio::test]
async fn add_prefix_goes_before_what_is_left() {
    let upstream = Upstream::bind().await;
    let keys = "strip_prefix = \"/chat\"\nadd_prefix = \"/v1\"";
    let gateway = Gateway::route(upstream.url(), keys);
    let ask = Handshake::new("/chat/room?x=1");
    let (_client, server, _) = session_by(&gateway, &upstream, &ask).await;
    assert_eq!(server.asked_line(), "GET /v1/room?x=1 HTTP/1.1");
}

#[tokio::test]
async fn the_upstream_sees_the_host_that_is_asked_for() {
    for (host_header, expected) in [
        ("client", Some("chat.example:81")),
        ("endpoint", None),
        ("fixed.example", Some("fixed.example")),
    ] {
        let upstream = Upstream::bind().await;
        let gateway = Gateway::start(&format!(
            "{LISTENER}
            [upstreams.one]
            endpoints = [\"{}\"]
            host_header = \"{host_header}\"
            [[routes]]
            upstream = \"one\"",
            upstream.url()
        ));
        let ask = Handshake::new("/").host("chat.example:81");
        let (_client, server, _) = session_by(&gateway, &upstream, &ask).await;
        let endpoint = upstream.address().to_string();
        assert_eq!(
            server.asked("Host"),
            Some(expected.unwrap_or(&endpoint)),
            "{host_header}"
        );
    }
}

/// Upstreams that say who they are.
struct Peers(Vec<(&'static str, peer::Peer)>);

impl Peers {
    async fn new(names: &[&'static str]) -> Self {
        let mut peers = Vec::new();
        for name in names {
            peers.push((*name, peer::named(name).await));
        }
        Self(peers)
    }

    /// A gateway with a route for each (upstream's name, keys).
    fn gateway(&self, routes: &[(&str, &str)]) -> Gateway {
        let mut toml = LISTENER.to_owned();
        for (name, keys) in routes {
            let (_, peer) = self.0.iter().find(|peer| peer.0 == *name).unwrap();
            let url = peer.url();
            toml += &format!("[[routes]]\nname = \"{name}\"\nupstream = \"{url}\"\n{keys}\n");
        }
        Gateway::start(&toml)
    }
}

/// Who served; `None` is a 404.
async fn served(gateway: &Gateway, host: &str, path: &str) -> Option<String> {
    let (_, answer) = gateway.ask(&Handshake::new(path).host(host)).await;
    assert!(
        [101, 404].contains(&answer.status),
        "{host}{path}: {answer:?}"
    );
    answer.header("X-Served-By").map(ToOwned::to_owned)
}

//! `kind = "jwt"`: tokens by every way in, and what becomes of them: an identity, headers, an end.

use crate::harness::gateway::LISTENER;
use crate::harness::issuer::{Issuer, now};
use crate::harness::program::{Program, configuration};
use crate::harness::{Gateway, Handshake, Upstream, breath, peer, session_by, within};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

const OFFER: &str = "Sec-WebSocket-Protocol";
const KUBERNETES: &str = "base64url.bearer.authorization.k8s.io.";

/// `[auth.people]` that knows `issuer`, and takes tokens from everywhere.
fn people(folder: &TempDir, issuer: &Issuer, keys: &str) -> String {
    std::fs::write(folder.path().join("keys.json"), issuer.key_set()).unwrap();
    format!(
        "[auth.people]
        kind = \"jwt\"
        algorithms = [\"EdDSA\"]
        jwks = \"keys.json\"
        sources = [
            \"header\", \"cookie:token\", \"query:token\", \"subprotocol:bearer.\",
            \"subprotocol:bearer\", \"subprotocol:{KUBERNETES}\",
        ]
        {keys}
        "
    )
}

fn gateway(issuer: &Issuer, url: &str, keys: &str) -> Gateway {
    let folder = TempDir::new().unwrap();
    let people = people(&folder, issuer, keys);
    let toml = format!(
        "{LISTENER}{people}
        [[routes]]
        upstream = \"{url}\"
        auth = [\"people\"]
        identity_header = \"X-Who\"
        limits.auth_failure_rate = \"off\""
    );
    Gateway::start_in(folder, &toml)
}

fn encoded(token: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(token)
}

#[tokio::test]
async fn a_token_enters_by_every_way_and_goes_no_further() {
    let (issuer, upstream) = (Issuer::new("1"), Upstream::bind().await);
    let gateway = gateway(&issuer, &upstream.url(), "");
    let token = issuer.token();
    let plain = Handshake::new("/room?a=b");
    for (what, ask) in [
        (
            "header",
            plain
                .clone()
                .with("Authorization", &format!("Bearer {token}")),
        ),
        (
            "cookie",
            plain.clone().with("Cookie", &format!("x=y; token={token}")),
        ),
        ("query", Handshake::new(&format!("/room?a=b&token={token}"))),
        (
            "one element",
            plain.clone().with(OFFER, &format!("v1, bearer.{token}")),
        ),
        (
            "two elements",
            plain.clone().with(OFFER, &format!("v1, bearer, {token}")),
        ),
        (
            "two lines",
            plain
                .clone()
                .with(OFFER, "v1")
                .with(OFFER, &format!("bearer,{token}")),
        ),
        (
            "encoded",
            plain
                .clone()
                .with(OFFER, &format!("v1,{KUBERNETES}{}", encoded(&token))),
        ),
    ] {
        let is_offer = !["header", "cookie", "query"].contains(&what);
        let serve = async {
            let mut server = upstream.accept().await;
            let chosen = if is_offer {
                "Sec-WebSocket-Protocol: v1\r\n"
            } else {
                ""
            };
            server.agree_with(chosen).await;
            server
        };
        let ((_client, answer), server) = tokio::join!(gateway.ask(&ask), serve);
        assert_eq!(answer.status, 101, "{what}: {answer:?}");
        assert_eq!(answer.header(OFFER), is_offer.then_some("v1"), "{what}");
        assert_eq!(server.asked(OFFER), is_offer.then_some("v1"), "{what}");
        assert_eq!(server.asked("X-Who"), Some("people:ann"), "{what}");
        assert_eq!(server.asked_line(), "GET /room?a=b HTTP/1.1", "{what}");
        let signature = token.rsplit('.').next().unwrap();
        for secret in [signature, &encoded(&token)[100..], "earer"] {
            assert!(
                !server.request.contains(secret),
                "{what}: {}",
                server.request
            );
        }
    }
}

#[tokio::test]
async fn the_answer_names_what_was_offered_and_never_a_token() {
    let (issuer, upstream) = (Issuer::new("1"), Upstream::bind().await);
    let gateway = gateway(&issuer, &upstream.url(), "");
    let token = issuer.token();
    for (offer, seen, chosen, answered) in [
        (format!("bearer, {token}"), None, None, Some("bearer")),
        (
            format!("v1, bearer, {token}"),
            Some("v1"),
            Some("v1"),
            Some("v1"),
        ),
        // A browser that has offered something gives up where nothing is answered.
        (
            format!("v1, bearer, {token}"),
            Some("v1"),
            None,
            Some("bearer"),
        ),
        (format!("bearer.{token}"), None, None, None),
        (
            format!("bearer.{token}, v2, v1"),
            Some("v2, v1"),
            Some("v1"),
            Some("v1"),
        ),
        (format!("bearer.{token}, v1"), Some("v1"), None, None),
        (format!("{KUBERNETES}{}", encoded(&token)), None, None, None),
    ] {
        let serve = async {
            let mut server = upstream.accept().await;
            assert_eq!(server.asked(OFFER), seen, "{offer}");
            let chosen = chosen.map(|chosen| format!("{OFFER}: {chosen}\r\n"));
            server.agree_with(&chosen.unwrap_or_default()).await;
            server
        };
        let ask = Handshake::new("/").with(OFFER, &offer);
        let ((_client, answer), _server) = tokio::join!(gateway.ask(&ask), serve);
        assert_eq!(
            (answer.status, answer.header(OFFER)),
            (101, answered),
            "{offer}"
        );
    }
    // An upstream that chooses the marker has chosen what it was not offered.
    let peer = peer::chooses_subprotocol("bearer").await;
    let gateway = self::gateway(&issuer, &peer.url(), "");
    let ask = Handshake::new("/").with(OFFER, &format!("bearer, {token}"));
    assert_eq!(gateway.status(&ask).await, 502);
}

#[tokio::test]
async fn a_route_is_chosen_by_what_is_offered_besides_the_token() {
    let (chat, other) = (peer::named("chat").await, peer::named("other").await);
    let (issuer, folder) = (Issuer::new("1"), TempDir::new().unwrap());
    let people = people(&folder, &issuer, "");
    let toml = format!(
        "{LISTENER}{people}
        [[routes]]
        subprotocols = [\"chat\"]
        upstream = \"{}\"
        auth = [\"people\"]
        [[routes]]
        path = \"/open/*\"
        upstream = \"{}\"",
        chat.url(),
        other.url()
    );
    let gateway = Gateway::start_in(folder, &toml);
    let token = issuer.token();
    for (target, offer, status) in [
        ("/", format!("bearer.{token}, chat"), 101),
        ("/", format!("bearer, {token}, chat"), 101),
        ("/", "chat".to_owned(), 401),
        // Nothing that a route serves is offered.
        ("/", format!("bearer, {token}"), 400),
        ("/", format!("bearer, chat, {token}"), 400),
        // Another method's token is nothing for an open route either.
        ("/open/", format!("bearer.{token}"), 101),
    ] {
        let ask = Handshake::new(target).with(OFFER, &offer);
        assert_eq!(gateway.status(&ask).await, status, "{target} {offer}");
    }
}

#[tokio::test]
async fn a_token_that_is_not_good_gets_401_and_no_upstream() {
    let (issuer, thief, upstream) = (Issuer::new("1"), Issuer::new("1"), Upstream::bind().await);
    let keys = "issuer = \"https://id/\"\naudience = \"chat\"\nleeway = \"0s\"";
    let gateway = gateway(&issuer, &upstream.url(), keys);
    let claims = |changes: Value| {
        let mut claims = json!({
            "sub": "ann", "exp": now() + 3600.0, "iss": "https://id/", "aud": "chat",
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    };
    let good = issuer.sign(&claims(json!({})));
    let (message, signature) = good.rsplit_once('.').unwrap();
    for (what, token) in [
        ("nonsense", "token".to_owned()),
        (
            "unsigned",
            issuer.sign_with(&json!({ "alg": "none" }), &claims(json!({}))),
        ),
        ("signature taken off", format!("{message}.")),
        ("signed by another", thief.sign(&claims(json!({})))),
        (
            "another's signature",
            format!("{}x.{signature}", &message[..message.len() - 1]),
        ),
        (
            "a key nobody knows",
            Issuer::new("2").sign(&claims(json!({}))),
        ),
        (
            "a key that it brings along",
            thief.sign_with(
                &json!({ "alg": "EdDSA", "jwk": thief.key_set() }),
                &claims(json!({})),
            ),
        ),
        (
            "critical extensions",
            issuer.sign_with(
                &json!({ "alg": "EdDSA", "crit": ["b64"] }),
                &claims(json!({})),
            ),
        ),
        (
            "expired",
            issuer.sign(&claims(json!({ "exp": now() - 1.0 }))),
        ),
        ("endless", issuer.sign(&claims(json!({ "exp": null })))),
        (
            "not yet valid",
            issuer.sign(&claims(json!({ "nbf": now() + 60.0 }))),
        ),
        (
            "another issuer",
            issuer.sign(&claims(json!({ "iss": "https://evil/" }))),
        ),
        (
            "another audience",
            issuer.sign(&claims(json!({ "aud": "mail" }))),
        ),
        ("nobody", issuer.sign(&claims(json!({ "sub": "" })))),
        (
            "a name that writes log lines",
            issuer.sign(&claims(json!({ "sub": "a\nb" }))),
        ),
        ("none at all", String::new()),
    ] {
        let ask = Handshake::new("/").with("Cookie", &format!("token={token}"));
        let (_, answer) = gateway.ask(&ask).await;
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
        let challenge = answer.header("WWW-Authenticate");
        assert_eq!(challenge, Some("Bearer realm=\"people\""), "{what}");
    }
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn who_is_known_and_lacks_a_claim_gets_403() {
    let (issuer, echo) = (Issuer::new("1"), peer::echo().await);
    let keys =
        "require_claims = { scope = { contains = \"chat\" }, \"org.id\" = { one_of = [1, 2] } }";
    let gateway = gateway(&issuer, &echo.url(), keys);
    for (scope, org, status) in [
        (json!("mail chat"), json!(1), 101),
        (json!(["chat"]), json!(2), 101),
        (json!("chats"), json!(1), 403),
        (json!("chat"), json!(3), 403),
        (json!(null), json!(1), 403),
    ] {
        let claims = json!({
            "sub": "ann", "exp": now() + 3600.0, "scope": scope, "org": { "id": org },
        });
        let ask = Handshake::new("/").with("Cookie", &format!("token={}", issuer.sign(&claims)));
        assert_eq!(gateway.status(&ask).await, status, "{scope} {org}");
    }
    assert_eq!(gateway.status(&Handshake::new("/")).await, 401);
}

#[tokio::test]
async fn claims_reach_the_upstream_in_headers_that_no_client_can_write() {
    let (issuer, upstream) = (Issuer::new("1"), Upstream::bind().await);
    let keys = "claims_to_headers = { org = \"X-Org\", roles = \"X-Roles\", tier = \"X-Tier\" }";
    let gateway = gateway(&issuer, &upstream.url(), keys);
    let claims = json!({
        "sub": "ann", "exp": now() + 3600.0, "org": "acme", "roles": ["a", "b"],
    });
    let ask = Handshake::new("/")
        .with("Authorization", &format!("Bearer {}", issuer.sign(&claims)))
        .with("X-Org", "evil")
        .with("x_roles", "admin")
        .with("X-Tier", "gold")
        .with("X.Who", "people:root");
    let (_client, server, _) = session_by(&gateway, &upstream, &ask).await;
    assert_eq!(server.asked("X-Org"), Some("acme"));
    assert_eq!(server.asked("X-Roles"), Some("a,b"));
    assert_eq!(server.asked("X-Tier"), None);
    for forged in ["evil", "admin", "gold", "root"] {
        assert!(!server.request.contains(forged), "{}", server.request);
    }
}

#[tokio::test]
async fn a_session_ends_with_its_token() {
    let (issuer, upstream) = (Issuer::new("1"), Upstream::bind().await);
    for (keys, code) in [("", 3000), ("expire_code = 4401", 4401)] {
        let gateway = gateway(
            &issuer,
            &upstream.url(),
            &format!("leeway = \"0s\"\n{keys}"),
        );
        let token = issuer.sign(&json!({ "sub": "ann", "exp": now() + 0.5 }));
        let ask = Handshake::new("/").with("Authorization", &format!("Bearer {token}"));
        let (mut client, mut server, _) = session_by(&gateway, &upstream, &ask).await;
        client.close_and_leave(code).await;
        server.close_and_leave(1001).await;
        assert_eq!(gateway.status(&ask).await, 401);
    }
}

/// One that fetches its keys from a server at `keys`.
fn fetching(keys: &str, upstream: &str) -> Gateway {
    Gateway::start(&format!(
        "{LISTENER}
        [auth.people]
        kind = \"jwt\"
        algorithms = [\"EdDSA\"]
        jwks = \"{}/keys\"
        [[routes]]
        upstream = \"{upstream}\"
        auth = [\"people\"]",
        keys.replace("ws://", "http://")
    ))
}

fn ok(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
}

#[tokio::test]
async fn a_key_set_is_fetched_behind_the_handshakes() {
    let (issuer, echo) = (Issuer::new("1"), peer::echo().await);
    let gateway = |url: &str| fetching(url, &echo.url());
    let ask = Handshake::new("/").with("Authorization", &format!("Bearer {}", issuer.token()));

    // Nobody there, or somebody who says nothing: no handshake waits for that.
    let silent = peer::silent().await;
    for url in [peer::nobody().await, silent.url()] {
        let gateway = gateway(&url);
        let (_, answer) = gateway.ask(&ask).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.header("Retry-After").is_some(), "{answer:?}");
        let nonsense = Handshake::new("/").with("Authorization", "Bearer nonsense");
        assert_eq!(gateway.status(&nonsense).await, 401);
    }

    let published = peer::answers(ok(&issuer.key_set())).await;
    let gateway = gateway(&published.url());
    within("the key set", async {
        while gateway.status(&ask).await != 101 {
            breath().await;
        }
    })
    .await;
    let thief = Issuer::new("1");
    let forged = Handshake::new("/").with("Authorization", &format!("Bearer {}", thief.token()));
    assert_eq!(gateway.status(&forged).await, 401);
}

#[tokio::test]
async fn what_is_too_much_is_not_read() {
    let (issuer, upstream) = (Issuer::new("1"), Upstream::bind().await);
    let gateway = gateway(&issuer, &upstream.url(), "");
    for (padding, status) in [(9 * 1024, 401), (1024 * 1024, 431)] {
        let claims = json!({ "sub": "ann", "exp": now() + 3600.0, "x": "x".repeat(padding) });
        let token = format!("Bearer {}", issuer.sign(&claims));
        let ask = Handshake::new("/").with("Authorization", &token);
        assert_eq!(gateway.status(&ask).await, status, "{padding}");
    }
    let key: Value = serde_json::from_str(&issuer.key_set()).unwrap();
    let many = json!({ "keys": vec![&key["keys"][0]; 10_000] }).to_string();
    let endless = format!("{}{}", issuer.key_set(), " ".repeat(1024 * 1024));
    for set in [many, endless] {
        let publisher = Upstream::bind().await;
        let gateway = fetching(&publisher.url(), &upstream.url());
        let mut leg = publisher.accept().await;
        // The gateway may have had enough before the end.
        let _ = leg.try_send(ok(&set).as_bytes()).await;
        leg.rest().await;
        let token = format!("Bearer {}", issuer.token());
        let ask = Handshake::new("/").with("Authorization", &token);
        for _ in 0..10 {
            assert_eq!(gateway.status(&ask).await, 503);
        }
    }
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn no_token_is_in_any_line_of_the_log() {
    let (issuer, echo) = (Issuer::new("1"), peer::echo().await);
    let folder = TempDir::new().unwrap();
    let people = people(&folder, &issuer, "");
    let toml = format!(
        "[log]
        level = \"trace\"
        [[listeners]]
        name = \"main\"
        address = \"127.0.0.1:0\"
        {people}
        [[routes]]
        path = \"/chat\"
        upstream = \"{}\"
        auth = [\"people\"]",
        echo.url()
    );
    configuration(folder.path(), &toml);
    let program = Program::start(&["run", "wsgate.toml"], folder.path()).await;
    let (good, bad) = (issuer.token(), Issuer::new("1").token());
    let mut secrets = Vec::new();
    for (token, status) in [(&good, 101), (&bad, 401)] {
        for (ask, status) in [
            (
                Handshake::new("/chat").with("Authorization", &format!("Bearer {token}")),
                status,
            ),
            (
                Handshake::new("/chat").with("Cookie", &format!("token={token}")),
                status,
            ),
            (Handshake::new(&format!("/chat?token={token}")), status),
            (
                Handshake::new("/chat").with(OFFER, &format!("bearer.{token}")),
                status,
            ),
            (
                Handshake::new("/chat").with(OFFER, &format!("bearer, {token}")),
                status,
            ),
            (
                Handshake::new("/chat").with(OFFER, &format!("{KUBERNETES}{}", encoded(token))),
                status,
            ),
            (
                Handshake::new("/nowhere").with(OFFER, &format!("bearer, {token}")),
                404,
            ),
            (
                Handshake::new("/chat").with(OFFER, &format!("bearer, {token}, a b")),
                400,
            ),
            (
                Handshake::new("/chat").with(OFFER, &format!("{token}, {token}")),
                400,
            ),
        ] {
            let mut client = program.connect().await;
            client.send(ask.bytes(&program.address)).await;
            assert_eq!(client.answer().await.status, status, "{ask:?}");
        }
        let parts = token.split('.').map(str::to_owned);
        secrets.extend(parts.skip(1).chain([encoded(token)[100..].to_owned()]));
    }
    program.signal(Signal::TERM);
    let (_, log) = program.ended().await;
    assert!(
        log.iter().any(|line| line.contains("people:ann")),
        "{log:#?}"
    );
    assert!(
        log.iter()
            .any(|line| line.contains("the signature of the token is wrong")),
        "{log:#?}"
    );
    for line in log {
        for secret in &secrets {
            assert!(!line.contains(secret.as_str()), "{line}");
        }
    }
}

//! Key sets over https, from a provider that must prove who it is.

use crate::harness::gateway::LISTENER;
use crate::harness::issuer::Issuer;
use crate::harness::program::{configuration, finish};
use crate::harness::{Authority, Gateway, Handshake, Upstream, breath, peer, within};
use serde_json::Value;
use tempfile::TempDir;

/// A provider at `https://127.0.0.1:…`, by the name that its certificate has.
async fn provider(authority: &Authority, name: &str) -> (Upstream, String) {
    let provider = Upstream::bind_tls(authority, name).await;
    let url = format!("https://127.0.0.1:{}/keys", provider.address().port());
    (provider, url)
}

/// A folder with the roots of `authority`, and what a configuration says of a provider at `url`.
fn people(authority: &Authority, url: &str) -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    let people = format!(
        "[auth.people]
        kind = \"jwt\"
        algorithms = [\"EdDSA\"]
        jwks = \"{url}\"
        ca = \"ca.pem\"\n"
    );
    (folder, people)
}

fn route(upstream: &str) -> String {
    format!("[[routes]]\nupstream = \"{upstream}\"\nauth = [\"people\"]\n")
}

/// Publishes the issuer's keys to the next who asks.
async fn publish(provider: &Upstream, issuer: &Issuer) {
    let set = issuer.key_set();
    let mut asked = provider.accept().await;
    assert_eq!(asked.asked_line(), "GET /keys HTTP/1.1");
    let length = set.len();
    asked
        .send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{set}"
        ))
        .await;
}

fn bearer(issuer: &Issuer) -> Handshake {
    Handshake::new("/").with("Authorization", &format!("Bearer {}", issuer.token()))
}

#[tokio::test]
async fn a_provider_that_proves_who_it_is_is_believed() {
    let (authority, issuer) = (Authority::new(), Issuer::new("1"));
    let (provider, url) = provider(&authority, "127.0.0.1").await;
    let (folder, people) = people(&authority, &url);
    let echo = peer::echo().await;
    let toml = format!("{LISTENER}{people}{}", route(&echo.url()));
    let gateway = Gateway::start_in(folder, &toml);
    publish(&provider, &issuer).await;
    let ask = bearer(&issuer);
    within("the key set", async {
        while gateway.status(&ask).await != 101 {
            breath().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_provider_that_anybody_could_be_is_not_believed() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for (shown_by, name) in [(&stranger, "127.0.0.1"), (&authority, "other.example")] {
        let (provider, url) = provider(shown_by, name).await;
        let (folder, people) = people(&authority, &url);
        let upstream = Upstream::bind().await;
        let toml = format!("{LISTENER}{people}{}", route(&upstream.url()));
        let gateway = Gateway::start_in(folder, &toml);
        provider.refuse_tls().await;
        assert_eq!(gateway.status(&bearer(&Issuer::new("1"))).await, 503);
        upstream.was_left_alone().await;
    }
}

#[tokio::test]
async fn who_asks_for_an_explanation_waits_for_the_set() {
    let (authority, issuer) = (Authority::new(), Issuer::new("1"));
    let (provider, url) = provider(&authority, "127.0.0.1").await;
    let (folder, people) = people(&authority, &url);
    let listener = "[[listeners]]\naddress = \"127.0.0.1:0\"\n";
    let route = route("ws://127.0.0.1:9");
    configuration(folder.path(), &format!("{listener}{people}{route}"));
    let file = folder.path().join("wsgate.toml");
    let line = format!("Authorization: Bearer {}", issuer.token());
    let arguments = [
        "explain",
        file.to_str().unwrap(),
        "ws://localhost/",
        "--json",
        "--header",
        &line,
    ];
    let asks = finish(&arguments, folder.path(), "");
    let (finished, ()) = tokio::join!(asks, publish(&provider, &issuer));
    let told: Value = serde_json::from_str(&finished.out).expect(&finished.err);
    assert_eq!(finished.code, Some(0), "{told}");
}

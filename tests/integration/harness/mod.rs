//! What every test of the running gateway needs: the gateway itself, raw peers on both sides of it,
//! and frames built without the crate's own frame module.
//!
//! Nothing here sleeps to wait: what is awaited has a condition and a deadline.

pub mod certs;
pub mod gateway;
pub mod handshake;
pub mod hello;
pub mod issuer;
pub mod leg;
pub mod peer;
pub mod plain;
pub mod program;
pub mod upstream;
pub mod visit;
pub mod wire;

pub use certs::Authority;
pub use gateway::Gateway;
pub use handshake::Handshake;
pub use leg::{Answer, Leg};
pub use upstream::Upstream;
pub use wire::Frame;

use std::future::Future;
use std::time::Duration;
use tokio::time::timeout;

/// Far more than anything here takes, so that only a hang meets it.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Waits for `work`, and fails the test if it does not end in time.
pub async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    match timeout(DEADLINE, work).await {
        Ok(result) => result,
        Err(_) => panic!("{what}: not within {DEADLINE:?}"),
    }
}

/// Waits until `condition` holds, and fails the test if it does not in time.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    within(what, async {
        while !condition() {
            breath().await;
        }
    })
    .await;
}

/// Lets the gateway's threads look at what was sent so far. No assertion depends on it: it only
/// makes it likely that two writes are read apart.
pub async fn breath() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// A session through `gateway`: the client's leg and the upstream's, the handshake done.
pub async fn session(gateway: &Gateway, upstream: &Upstream) -> (Leg, Leg) {
    let (client, server, _) = session_by(gateway, upstream, &Handshake::new("/")).await;
    (client, server)
}

/// The same by a handshake of the test's own, with the answer that the client got.
pub async fn session_by(
    gateway: &Gateway,
    upstream: &Upstream,
    handshake: &Handshake,
) -> (Leg, Leg, Answer) {
    let serve = async {
        let mut server = upstream.accept().await;
        server.agree().await;
        server
    };
    let ((client, answer), server) = tokio::join!(gateway.ask(handshake), serve);
    assert_eq!(answer.status, 101, "{answer:?}");
    (client, server, answer)
}

/// In hexadecimal digits, as a configuration wants it.
pub fn sha256(text: &str) -> String {
    let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    sum.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// `[auth.robots]`, which knows each of `names` by a key that is its name.
pub fn robots(names: &[&str]) -> String {
    let keys: Vec<String> = names
        .iter()
        .map(|name| format!("{name} = {{ sha256 = \"{}\" }}", sha256(name)))
        .collect();
    format!(
        "[auth.robots]\nkind = \"api_key\"\nkeys = {{ {} }}\n",
        keys.join(", ")
    )
}

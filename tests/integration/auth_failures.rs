//! How many wrong credentials may come before nobody looks at another.

use crate::harness::gateway::LISTENER;
use crate::harness::{Gateway, Handshake, peer, within};
use base64::prelude::{BASE64_STANDARD, Engine};
use tempfile::TempDir;

/// A gateway that knows `alice` by the password `secret`.
fn gateway(url: &str, limit: &str) -> Gateway {
    let folder = TempDir::new().unwrap();
    let hash = bcrypt::hash("secret", 4).unwrap();
    std::fs::write(folder.path().join("users"), format!("alice:{hash}\n")).unwrap();
    Gateway::start_in(
        folder,
        &format!(
            "{LISTENER}
            [auth.people]
            kind = \"basic\"
            htpasswd = \"users\"
            [[routes]]
            upstream = \"{url}\"
            auth = [\"people\"]
            {limit}"
        ),
    )
}

fn with(password: &str) -> Handshake {
    let token = BASE64_STANDARD.encode(format!("alice:{password}"));
    Handshake::new("/").with("Authorization", &format!("Basic {token}"))
}

#[tokio::test]
async fn who_guesses_is_stopped_and_nobody_else() {
    let echo = peer::echo().await;
    let limit = "limits.auth_failure_rate = { rate = \"1/h\", burst = 3 }";
    let gateway = gateway(&echo.url(), limit);
    let status = async |from: &str, ask: &Handshake| gateway.ask_from(from, ask).await.1.status;
    for number in 0..3 {
        // What is right and what is no guess costs nothing.
        assert_eq!(status("127.0.0.1", &with("secret")).await, 101);
        assert_eq!(status("127.0.0.1", &Handshake::new("/")).await, 401);
        let guess = with(&number.to_string());
        assert_eq!(status("127.0.0.1", &guess).await, 401);
    }
    let (_, answer) = gateway.ask_from("127.0.0.1", &with("3")).await;
    assert_eq!(answer.status, 429, "{answer:?}");
    assert_eq!(answer.header("WWW-Authenticate"), None);
    let retry_after: u64 = answer.header("Retry-After").unwrap().parse().unwrap();
    assert!((3000..=3600).contains(&retry_after), "{answer:?}");
    // The right one is not looked at either, so the answers tell nothing.
    assert_eq!(status("127.0.0.1", &with("secret")).await, 429);
    assert_eq!(status("127.0.0.1", &Handshake::new("/")).await, 401);

    assert_eq!(status("127.0.0.2", &with("secret")).await, 101);
    assert_eq!(status("127.0.0.2", &with("0")).await, 401);
}

#[tokio::test]
async fn ten_guesses_are_the_default() {
    let echo = peer::echo().await;
    let gateway = gateway(&echo.url(), "");
    for number in 0..10 {
        assert_eq!(gateway.status(&with(&number.to_string())).await, 401);
    }
    let (_, answer) = gateway.ask(&with("secret")).await;
    assert_eq!(answer.status, 429, "{answer:?}");
    let retry_after: u64 = answer.header("Retry-After").unwrap().parse().unwrap();
    assert!((1..=12).contains(&retry_after), "five a minute: {answer:?}");
}

#[tokio::test]
async fn a_guess_on_an_ordinary_request_is_one() {
    let gateway = gateway(
        "builtin:echo",
        "limits.auth_failure_rate = { rate = \"1/h\", burst = 1, per = \"route\" }",
    );
    let credential = BASE64_STANDARD.encode("alice:guess");
    let ask = Handshake::plain("/").with("Authorization", &format!("Basic {credential}"));
    assert_eq!(gateway.status(&ask).await, 401);
    assert_eq!(gateway.status(&ask).await, 503, "the route's limit");
    assert_eq!(
        gateway
            .ask_from("127.0.0.2", &with("secret"))
            .await
            .1
            .status,
        503
    );
    assert_eq!(gateway.status(&Handshake::plain("/")).await, 401);
}

#[tokio::test]
async fn a_try_comes_back() {
    let echo = peer::echo().await;
    let limit = "limits.auth_failure_rate = { rate = \"20/s\", burst = 1 }";
    let gateway = gateway(&echo.url(), limit);
    assert_eq!(gateway.status(&with("guess")).await, 401);
    within("a new try", async {
        while gateway.status(&with("secret")).await != 101 {}
    })
    .await;
}

#[tokio::test]
async fn guesses_at_once_are_paid_for_one_by_one() {
    let echo = peer::echo().await;
    let limit = "limits.auth_failure_rate = { rate = \"1/h\", burst = 4 }";
    let gateway = gateway(&echo.url(), limit);
    let mut clients = Vec::new();
    for number in 0..50 {
        let mut client = gateway.connect().await;
        let ask = with(&number.to_string());
        client.send(ask.bytes(gateway.address())).await;
        clients.push(client);
    }
    let mut looked_at = 0;
    for client in &mut clients {
        match client.answer().await.status {
            401 => looked_at += 1,
            status => assert_eq!(status, 429),
        }
    }
    assert!(looked_at >= 4, "{looked_at}");
    let (_, answer) = gateway.ask(&with("secret")).await;
    assert_eq!(answer.status, 429);
    // Whoever had several looked at beyond the burst waits for longer than one.
    let owed = (looked_at - 4).min(3);
    let retry_after: u64 = answer.header("Retry-After").unwrap().parse().unwrap();
    let expected = 3600 * (owed + 1);
    assert!(
        (expected - 600..=expected).contains(&retry_after),
        "{looked_at} {answer:?}"
    );
}

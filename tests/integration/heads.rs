//! Heads that are too large or come too slowly.

use crate::harness::{Gateway, Handshake, Upstream, breath, peer, within};

const IMPATIENT: &str = "head_timeout = \"300ms\"";

/// One listener with these keys.
fn gateway(url: &str, keys: &str) -> Gateway {
    Gateway::start(&format!(
        "[[listeners]]\nname = \"main\"\naddress = \"127.0.0.1:0\"\n{keys}\n\
         [[routes]]\nupstream = \"{url}\""
    ))
}

#[tokio::test]
async fn heads_beyond_the_limit_get_431() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream.url(), "");
    let ask = || Handshake::new("/");
    let many = (0..10_000).fold(ask(), |ask, number| ask.with(&format!("X-{number}"), "x"));
    for (what, handshake) in [
        ("ten thousand headers", many),
        (
            "a header of 64 KiB",
            ask().with("X-Long", &"x".repeat(64 << 10)),
        ),
        (
            "a header of 1 MiB",
            ask().with("X-Long", &"x".repeat(1 << 20)),
        ),
        (
            "a target of 64 KiB",
            Handshake::new(&format!("/{}", "x".repeat(64 << 10))),
        ),
        ("a name of 64 KiB", ask().with(&"x".repeat(64 << 10), "x")),
        ("a method of 64 KiB", ask().method(&"G".repeat(64 << 10))),
    ] {
        let mut client = gateway.connect().await;
        // The gateway need not read to the end before it answers.
        let _ = client.try_send(&handshake.bytes(gateway.address())).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 431, "{what}: {answer:?}");
        client.finish().await;
        client.ended().await;
    }
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn the_limit_is_the_configured_one_to_the_byte() {
    let echo = peer::echo().await;
    let gateway = gateway(&echo.url(), "max_header_size = \"1KiB\"");
    let length = |pad: &str| {
        Handshake::new("/")
            .with("X", pad)
            .bytes(gateway.address())
            .len()
    };
    let room = 1024 - length("");
    assert_eq!(
        gateway
            .status(&Handshake::new("/").with("X", &"x".repeat(room)))
            .await,
        101
    );
    assert_eq!(
        gateway
            .status(&Handshake::new("/").with("X", &"x".repeat(room + 1)))
            .await,
        431
    );
}

#[tokio::test]
async fn a_hundred_headers_are_no_problem_and_one_more_gets_431() {
    let echo = peer::echo().await;
    let gateway = gateway(&echo.url(), "");
    // A handshake has five of its own.
    for (more, status) in [(95, 101), (96, 431), (400, 431)] {
        let ask = (0..more).fold(Handshake::new("/"), |ask, number| {
            ask.with(&format!("X-{number}"), "x")
        });
        assert_eq!(gateway.status(&ask).await, status, "{more}");
    }
}

#[tokio::test]
async fn a_head_that_stops_halfway_gets_408() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream.url(), IMPATIENT);
    let head = Handshake::new("/").bytes(gateway.address());
    for sent in [1, 10, head.len() - 2] {
        let mut client = gateway.connect().await;
        client.send(&head[..sent]).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 408, "after {sent} bytes: {answer:?}");
        client.finish().await;
        client.ended().await;
    }
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn a_client_that_says_nothing_is_cut_without_words() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream.url(), IMPATIENT);
    gateway.connect().await.ended().await;
}

#[tokio::test]
async fn a_byte_now_and_then_does_not_extend_the_deadline() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream.url(), IMPATIENT);
    let head = Handshake::new("/")
        .with("X-Long", &"x".repeat(8000))
        .bytes(gateway.address());
    let mut client = gateway.connect().await;
    let answer = within("the cut", async {
        for byte in &head {
            if client.try_send(&[*byte]).await.is_err() {
                break;
            }
            breath().await;
            breath().await;
        }
        client.rest().await.0
    })
    .await;
    // What the client still sent may have reset the answer away.
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"),
        "{}",
        answer.escape_ascii()
    );
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn slow_clients_keep_nobody_out() {
    let echo = peer::echo().await;
    // Longer than the test waits: it does not end well because they are cut.
    let gateway = gateway(&echo.url(), "head_timeout = \"1m\"");
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut client = gateway.connect().await;
        client.send(b"GET / HT").await;
        slow.push(client);
    }
    gateway.open().await;
}

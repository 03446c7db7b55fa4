//! How many handshakes may come, from whom.

use crate::harness::gateway::LISTENER;
use crate::harness::{Answer, Gateway, Handshake, Upstream, peer, robots, within};

/// 429 or 503, with the time of a next try in it.
#[track_caller]
fn assert_refused(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    let retry_after: u64 = answer.header("Retry-After").unwrap().parse().unwrap();
    assert!((1..=3600).contains(&retry_after), "{answer:?}");
}

#[tokio::test]
async fn an_address_that_opens_too_often_gets_429_and_others_do_not() {
    let echo = peer::echo().await;
    let keys = "limits.handshake_rate = { rate = \"1/h\", burst = 3 }";
    let gateway = Gateway::route(echo.url(), keys);
    let ask = Handshake::new("/");
    for _ in 0..3 {
        assert_eq!(gateway.ask_from("127.0.0.1", &ask).await.1.status, 101);
    }
    for _ in 0..3 {
        assert_refused(&gateway.ask_from("127.0.0.1", &ask).await.1, 429);
    }
    assert_eq!(gateway.ask_from("127.0.0.2", &ask).await.1.status, 101);
    assert_refused(&gateway.ask_from("127.0.0.1", &ask).await.1, 429);
}

#[tokio::test]
async fn a_thousand_opens_from_one_address_on_many_workers_are_counted_together() {
    let echo = peer::echo().await;
    let gateway = Gateway::start(&format!(
        "[server]\nworkers = 4\n{LISTENER}[[routes]]\nupstream = \"{}\"
        limits.handshake_rate = {{ rate = \"1/h\", burst = 20 }}",
        echo.url()
    ));
    let mut clients = Vec::new();
    for _ in 0..1000 {
        let client = gateway.send(&Handshake::new("/")).await;
        clients.push(client);
    }
    let mut admitted = 0;
    for client in &mut clients {
        let answer = client.answer().await;
        match answer.status {
            101 => admitted += 1,
            _ => assert_refused(&answer, 429),
        }
    }
    assert_eq!(admitted, 20);
    gateway.has_sessions(20).await;
    let other = gateway.ask_from("127.0.0.9", &Handshake::new("/")).await;
    assert_eq!(other.1.status, 101);
}

#[tokio::test]
async fn a_route_has_its_own_count_over_all_its_listeners() {
    let echo = peer::echo().await;
    let gateway = Gateway::start(&format!(
        "{LISTENER}
        [[listeners]]
        name = \"six\"
        address = \"[::1]:0\"
        [[routes]]
        path = \"/a\"
        upstream = \"{url}\"
        limits.handshake_rate = {{ rate = \"1/h\", burst = 2, per = \"route\" }}
        [[routes]]
        path = \"/b\"
        upstream = \"{url}\"
        limits.handshake_rate = {{ rate = \"1/h\", burst = 2 }}",
        url = echo.url()
    ));
    let six = async |path: &str| {
        let mut client = gateway.connect_to("six").await;
        let ask = Handshake::new(path).bytes(gateway.address_of("six"));
        client.send(ask).await;
        client.answer().await
    };
    let (a, b) = (Handshake::new("/a"), Handshake::new("/b"));
    assert_eq!(gateway.status(&a).await, 101);
    assert_eq!(six("/a").await.status, 101);
    assert_refused(&gateway.ask_from("127.0.0.7", &a).await.1, 503);
    assert_refused(&six("/a").await, 503);
    for _ in 0..2 {
        assert_eq!(gateway.status(&b).await, 101);
        assert_eq!(six("/b").await.status, 101);
    }
    assert_refused(&gateway.ask(&b).await.1, 429);
    assert_refused(&six("/b").await, 429);
}

#[tokio::test]
async fn an_identity_that_opens_too_often_gets_429_wherever_it_comes_from() {
    let echo = peer::echo().await;
    let gateway = Gateway::start(&format!(
        "{LISTENER}{}
        [[routes]]
        upstream = \"{}\"
        auth = [\"robots\"]
        limits.handshake_rate = {{ rate = \"1/h\", burst = 1, per = \"identity\" }}",
        robots(&["ann", "bob"]),
        echo.url()
    ));
    let (ann, bob) = (
        Handshake::new("/").with("X-API-Key", "ann"),
        Handshake::new("/").with("X-API-Key", "bob"),
    );
    assert_eq!(gateway.ask_from("127.0.0.1", &ann).await.1.status, 101);
    assert_refused(&gateway.ask_from("127.0.0.2", &ann).await.1, 429);
    assert_eq!(gateway.ask_from("127.0.0.1", &bob).await.1.status, 101);
}

#[tokio::test]
async fn who_is_refused_reaches_no_upstream_and_may_come_back() {
    let upstream = Upstream::bind().await;
    let keys = "limits.handshake_rate = { rate = \"5/s\", burst = 1 }";
    let gateway = Gateway::route(upstream.url(), keys);
    let ask = Handshake::new("/");
    let serve = async { upstream.serve().await };
    let ((_first, answer), _leg) = tokio::join!(gateway.ask(&ask), serve);
    assert_eq!(answer.status, 101);
    // There is a next token after 200 ms, however often it is asked for before.
    let again = async {
        loop {
            let (client, answer) = gateway.ask(&ask).await;
            if answer.status == 101 {
                return client;
            }
            assert_refused(&answer, 429);
        }
    };
    let both = async { tokio::join!(again, upstream.serve()) };
    let _second = within("a token", both).await;
    gateway.has_sessions(2).await;
    upstream.was_left_alone().await;
}

#[tokio::test]
async fn ordinary_requests_that_are_passed_on_count_as_handshakes_and_preflights_do_not() {
    let ok = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    let peer = peer::answers(ok).await;
    let keys = "http_requests = \"proxy\"\norigins = [\"https://app.example\"]\ncors = {}
        limits.handshake_rate = { rate = \"1/h\", burst = 2 }";
    let gateway = Gateway::route(peer.url(), keys);
    let preflight = Handshake::plain("/")
        .method("OPTIONS")
        .with("Origin", "https://app.example")
        .with("Access-Control-Request-Method", "GET");
    let get = Handshake::plain("/");
    for _ in 0..2 {
        assert_eq!(gateway.status(&preflight).await, 204);
        assert_eq!(gateway.status(&get).await, 200);
    }
    assert_eq!(gateway.status(&preflight).await, 204);
    assert_refused(&gateway.ask(&get).await.1, 429);
    assert_refused(&gateway.ask(&Handshake::new("/")).await.1, 429);
}

#[tokio::test]
async fn what_a_trusted_proxy_says_of_its_client_is_what_counts() {
    let echo = peer::echo().await;
    let gateway = Gateway::start(&format!(
        "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n{LISTENER}[[routes]]\nupstream = \"{}\"
        limits.handshake_rate = {{ rate = \"1/h\", burst = 1 }}",
        echo.url()
    ));
    let of = |client: &str| Handshake::new("/").with("X-Forwarded-For", client);
    assert_eq!(gateway.status(&of("192.0.2.1")).await, 101);
    assert_eq!(gateway.status(&of("192.0.2.2")).await, 101);
    assert_refused(&gateway.ask(&of("192.0.2.1")).await.1, 429);
    assert_refused(&gateway.ask(&of("10.9.9.9, 192.0.2.1")).await.1, 429);
    assert_eq!(gateway.status(&of("2001:db8::1")).await, 101);
    assert_refused(&gateway.ask(&of("2001:db8::2")).await.1, 429);
    // Anybody else is believed nothing.
    let forger = async |client: &str| gateway.ask_from("127.0.0.2", &of(client)).await.1;
    assert_eq!(forger("192.0.2.7").await.status, 101);
    assert_refused(&forger("192.0.2.8").await, 429);
}

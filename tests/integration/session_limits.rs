//! How many sessions may be open at the same time, and what becomes of one more.

use crate::harness::gateway::LISTENER;
use crate::harness::{Frame, Gateway, Handshake, Upstream, peer, robots, session_by, within};

/// A route that knows `ann` and `bob` by keys of these names.
fn gateway(url: &str, limits: &str) -> Gateway {
    Gateway::start(&format!(
        "{LISTENER}{}
        [[routes]]
        upstream = \"{url}\"
        auth = [\"robots\"]
        limits.sessions = {limits}",
        robots(&["ann", "bob"]),
    ))
}

fn by(name: &str) -> Handshake {
    Handshake::new("/").with("X-API-Key", name)
}

#[tokio::test]
async fn an_identity_has_so_many_sessions_and_another_its_own() {
    let echo = peer::echo().await;
    let gateway = gateway(&echo.url(), "{ max = 2 }");
    let (first, answer) = gateway.ask_from("127.0.0.1", &by("ann")).await;
    assert_eq!(answer.status, 101);
    let (_second, answer) = gateway.ask_from("127.0.0.2", &by("ann")).await;
    assert_eq!(answer.status, 101);
    let (_, answer) = gateway.ask_from("127.0.0.3", &by("ann")).await;
    assert_eq!(answer.status, 429, "{answer:?}");
    assert_eq!(answer.header("Retry-After"), Some("5"));
    let (_third, answer) = gateway.ask_from("127.0.0.1", &by("bob")).await;
    assert_eq!(answer.status, 101);

    gateway.has_sessions(3).await;
    drop(first);
    gateway.has_sessions(2).await;
    let (_fourth, answer) = gateway.ask(&by("ann")).await;
    assert_eq!(answer.status, 101, "there is room again");
}

#[tokio::test]
async fn many_opens_at_once_leave_exactly_so_many_sessions() {
    let echo = peer::echo().await;
    let gateway = Gateway::start(&format!(
        "[server]\nworkers = 4\n{LISTENER}[[routes]]\nupstream = \"{}\"
        limits.sessions = {{ max = 7, per = \"client_ip\" }}",
        echo.url()
    ));
    let mut clients = Vec::new();
    for _ in 0..300 {
        let client = gateway.send(&Handshake::new("/")).await;
        clients.push(client);
    }
    let mut open = Vec::new();
    for mut client in clients {
        match client.answer().await.status {
            101 => open.push(client),
            status => assert_eq!(status, 429),
        }
    }
    assert_eq!(open.len(), 7);
    let other = gateway.ask_from("127.0.0.2", &Handshake::new("/")).await;
    assert_eq!(other.1.status, 101);
    gateway.has_sessions(8).await;
    drop((open, other));
    gateway.has_sessions(0).await;
    let _session = gateway.open().await;
}

#[tokio::test]
async fn a_full_route_answers_503_and_the_next_route_serves() {
    let echo = peer::echo().await;
    let gateway = Gateway::start(&format!(
        "{LISTENER}
        [[routes]]
        path = \"/full\"
        upstream = \"{url}\"
        limits.sessions = [{{ max = 1, per = \"route\" }}, {{ max = 1, per = \"client_ip\" }}]
        [[routes]]
        path = \"/next\"
        upstream = \"{url}\"
        limits.sessions = {{ max = 1, per = \"client_ip\" }}",
        url = echo.url()
    ));
    let (_first, answer) = gateway.ask(&Handshake::new("/full")).await;
    assert_eq!(answer.status, 101);
    let (_, answer) = gateway
        .ask_from("127.0.0.2", &Handshake::new("/full"))
        .await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.header("Retry-After").is_some());
    let (_second, answer) = gateway.ask(&Handshake::new("/next")).await;
    assert_eq!(answer.status, 101);
    assert_eq!(gateway.status(&Handshake::new("/next")).await, 429);
}

#[tokio::test]
async fn a_handshake_that_its_upstream_refuses_keeps_no_place() {
    let refusing = peer::answers("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await;
    let gateway = gateway(&refusing.url(), "{ max = 1 }");
    for _ in 0..5 {
        assert_eq!(gateway.status(&by("ann")).await, 403);
    }
}

#[tokio::test]
async fn a_handshake_in_flight_has_its_place_already() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream.url(), "{ max = 1 }");
    let waiting = gateway.send(&by("ann")).await;
    let server = upstream.accept().await;
    assert_eq!(gateway.status(&by("ann")).await, 429);
    // A client that leaves before its answer gives the place back.
    drop(waiting);
    drop(server);
    let open = async { while gateway.status(&by("ann")).await != 101 {} };
    let serve = async {
        loop {
            // The gateway may still try again for the client that left.
            let mut leg = upstream.accept().await;
            let _ = leg.agree().await;
        }
    };
    within("a place", async {
        tokio::select! { () = open => {}, () = serve => {} }
    })
    .await;
}

#[tokio::test]
async fn the_oldest_session_is_closed_once_the_newer_one_is_open() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream.url(), "{ max = 2, on_exceed = \"close_oldest\" }");
    let (mut first, mut first_leg, _) = session_by(&gateway, &upstream, &by("ann")).await;
    let (mut second, mut second_leg, _) = session_by(&gateway, &upstream, &by("ann")).await;
    let (mut of_bob, mut leg_of_bob, _) = session_by(&gateway, &upstream, &by("bob")).await;

    // While the third is not open the first lives on.
    let mut third = gateway.send(&by("ann")).await;
    let mut third_leg = upstream.accept().await;
    first.send_frame(&Frame::text("here").masked()).await;
    assert_eq!(first_leg.frame().await.payload, b"here");

    third_leg.agree().await;
    assert_eq!(third.answer().await.status, 101);
    assert_eq!(
        first.close_and_leave(1008).await,
        "replaced by a newer session"
    );
    first_leg.close_and_leave(1001).await;
    gateway.has_sessions(3).await;
    for (client, leg) in [
        (&mut second, &mut second_leg),
        (&mut third, &mut third_leg),
        (&mut of_bob, &mut leg_of_bob),
    ] {
        client.send_frame(&Frame::text("still").masked()).await;
        assert_eq!(leg.frame().await.payload, b"still");
    }
}

#[tokio::test]
async fn who_is_refused_by_the_upstream_replaces_nobody() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream.url(), "{ max = 1, on_exceed = \"close_oldest\" }");
    let (mut first, mut first_leg, _) = session_by(&gateway, &upstream, &by("ann")).await;
    let refuse = async {
        let mut leg = upstream.accept().await;
        leg.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            .await;
        leg
    };
    let second = by("ann");
    let (status, _leg) = tokio::join!(gateway.status(&second), refuse);
    assert_eq!(status, 403);
    first.send_frame(&Frame::text("still").masked()).await;
    assert_eq!(first_leg.frame().await.payload, b"still");
    gateway.has_sessions(1).await;
}

#[tokio::test]
async fn ordinary_requests_take_no_place() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::route(
        upstream.url(),
        "http_requests = \"proxy\"\nlimits.sessions = { max = 1, per = \"client_ip\" }",
    );
    let mut polling = gateway.send(&Handshake::plain("/")).await;
    let mut poll = upstream.accept().await;
    let (_session, _leg) = tokio::join!(gateway.open(), upstream.serve());
    assert_eq!(gateway.status(&Handshake::new("/")).await, 429);
    poll.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnews")
        .await;
    assert_eq!(polling.answer().await.body, "news");
}

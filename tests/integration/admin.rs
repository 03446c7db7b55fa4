//! `[admin]`: who may ask, what he gets, and who is in nobody's way.

use crate::harness::gateway::LISTENER;
use crate::harness::leg::End;
use crate::harness::{Answer, Gateway, Handshake, Leg};
use tokio::net::TcpStream;

const TOKENS: &str = "tokens.prometheus = { secret = \"pro-secret\", may = [\"read\"] }\n\
                      tokens.robot = { secret = \"rob-secret\", may = [\"control\"] }\n";

fn gateway(keys: &str) -> Gateway {
    Gateway::start(&format!(
        "[admin]\naddress = \"127.0.0.1:0\"\n{keys}{LISTENER}[[routes]]\nupstream = \"builtin:echo\"\n"
    ))
}

async fn ask(gateway: &Gateway, request: &Handshake) -> Answer {
    let address = gateway.address_of("[admin]");
    let mut leg = Leg::plain(TcpStream::connect(address).await.unwrap());
    leg.send(request.bytes(address)).await;
    leg.answer().await
}

fn metrics_as(token: &str) -> Handshake {
    Handshake::plain("/metrics").with("Authorization", token)
}

#[tokio::test]
async fn a_token_is_asked_for_where_there_is_one() {
    let gateway = gateway(TOKENS);
    let answer = ask(&gateway, &metrics_as("Bearer pro-secret")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        answer.header("Content-Type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    for token in [
        "Bearer pro-secre",
        "Bearer pro-secret2",
        "Bearer PRO-SECRET",
        "Bearer prometheus",
        "Bearer",
        "Basic cHJvOnByby1zZWNyZXQ=",
        "pro-secret",
    ] {
        let answer = ask(&gateway, &metrics_as(token)).await;
        assert_eq!(answer.status, 401, "{token}: {answer:?}");
        let challenge = answer.header("WWW-Authenticate").unwrap();
        assert!(challenge.starts_with("Bearer"), "{challenge}");
        assert!(!answer.body.contains("secret"), "{answer:?}");
    }
    let twice = metrics_as("Bearer pro-secret").with("Authorization", "Bearer pro-secret");
    assert_eq!(ask(&gateway, &twice).await.status, 401);
    let none = Handshake::plain("/metrics");
    assert_eq!(ask(&gateway, &none).await.status, 401);
    // Neither by the query nor by a cookie.
    let query = Handshake::plain("/metrics?access_token=pro-secret").with("Cookie", "t=pro-secret");
    assert_eq!(ask(&gateway, &query).await.status, 401);
    let other_right = ask(&gateway, &metrics_as("Bearer rob-secret")).await;
    assert_eq!(other_right.status, 403, "{other_right:?}");
}

#[tokio::test]
async fn probes_need_no_token() {
    let gateway = gateway(TOKENS);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(ask(&gateway, &Handshake::plain(path)).await.status, 200);
    }
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let gateway = gateway("");
    for path in [
        "/",
        "/metrics/",
        "/metrics/x",
        "/METRICS",
        "/api",
        "/%6detrics",
    ] {
        let answer = ask(&gateway, &Handshake::plain(path)).await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"] {
        let answer = ask(&gateway, &Handshake::plain("/metrics").method(method)).await;
        assert_eq!(answer.status, 405, "{method}: {answer:?}");
        assert_eq!(answer.header("Allow"), Some("GET, HEAD"), "{method}");
    }
    // Not even with a handshake.
    assert_eq!(ask(&gateway, &Handshake::new("/")).await.status, 404);
}

#[tokio::test]
async fn a_foreign_name_that_points_here_is_refused_where_no_token_protects() {
    let open = gateway("");
    for (host, status) in [
        ("127.0.0.1:9180", 200),
        ("localhost", 200),
        ("rebound.example", 421),
        ("127.0.0.1.evil.example:9180", 421),
    ] {
        let answer = ask(&open, &Handshake::plain("/metrics").host(host)).await;
        assert_eq!(answer.status, status, "{host}: {answer:?}");
        assert_eq!(answer.header("Access-Control-Allow-Origin"), None);
    }
    let guarded = gateway(TOKENS);
    let by_name = metrics_as("Bearer pro-secret").host("wsgate.internal:9180");
    assert_eq!(ask(&guarded, &by_name).await.status, 200);
}

#[tokio::test]
async fn it_is_not_reached_by_way_of_the_clients_listeners() {
    let gateway = gateway("");
    for path in ["/metrics", "/healthz", "/readyz"] {
        for request in [
            Handshake::plain(path),
            Handshake::plain(path).host("[admin]"),
        ] {
            let (_, answer) = gateway.ask(&request).await;
            let is_page = answer.body.contains("wsgate_sessions") || answer.body == "ok\n";
            assert!(!is_page, "{path}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_second_request_on_a_connection_is_not_answered() {
    let gateway = gateway("");
    let mut leg = gateway.connect_to("[admin]").await;
    let request = Handshake::plain("/healthz").bytes("localhost");
    leg.send(request.repeat(2)).await;
    let (answers, _) = leg.rest().await;
    let answers = String::from_utf8(answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 1, "{answers}");
}

/// Waits for the real time limit of a head, which is half of what a test may take.
#[tokio::test]
async fn a_slow_head_is_cut() {
    let gateway = gateway("");
    let mut slow = gateway.connect_to("[admin]").await;
    let mut silent = gateway.connect_to("[admin]").await;
    slow.send("GET /metrics HTTP/1.1\r\nHost: local").await;
    let (cut, gone) = tokio::join!(slow.rest(), silent.rest());
    let (answer, how) = cut;
    let answer = String::from_utf8(answer).unwrap();
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
        "{answer}"
    );
    assert!(gone.0.is_empty());
    assert_eq!((how, gone.1), (End::Closed, End::Closed));
}

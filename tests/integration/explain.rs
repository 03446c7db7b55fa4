//! `wsgate explain`: what would become of a handshake, and which check says so.

use crate::harness::program::{configuration, finish};
use crate::harness::robots;
use serde_json::Value;
use tempfile::TempDir;

/// A folder with a configuration that has something against many.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let listeners = "[[listeners]]\naddress = \"127.0.0.1:0\"\n";
    configuration(
        folder.path(),
        &format!(
            "{listeners}
            {}
            [[routes]]
            name = \"chat\"
            host = \"chat.example.com\"
            path = \"/chat/*\"
            subprotocols = [\"v2\"]
            origins = [\"https://app.example\"]
            deny_ips = [\"10.0.0.0/8\"]
            auth = [\"robots\"]
            upstream = \"ws://127.0.0.1:9\"
            strip_prefix = \"/chat\"
            identity_header = \"X-Who\"",
            robots(&["ci"])
        ),
    );
    folder
}

const URL: &str = "ws://chat.example.com/chat/room?key=1";
const GOOD: [&str; 6] = [
    "--protocol",
    "v2",
    "--origin",
    "https://app.example",
    "--header",
    "X-API-Key: ci",
];

/// The exit code and the verdict of `explain` for `url` with `arguments`.
async fn explained(url: &str, arguments: &[&str]) -> (Option<i32>, Value) {
    let folder = folder();
    let file = folder.path().join("wsgate.toml");
    let start = ["explain", file.to_str().unwrap(), url, "--json"];
    let finished = finish(&[&start, arguments].concat(), folder.path(), "").await;
    let told = serde_json::from_str(&finished.out)
        .unwrap_or_else(|_| panic!("{}{}", finished.out, finished.err));
    (finished.code, told)
}

#[tokio::test]
async fn who_would_be_admitted_is_told_what_the_upstream_would_get() {
    let (code, told) = explained(URL, &GOOD).await;
    assert_eq!(code, Some(0), "{told}");
    let checks: Vec<&str> = told["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["check"].as_str().unwrap())
        .collect();
    let expected = ["handshake", "route", "network", "origin", "auth", "limits"];
    assert_eq!(checks, expected);
    let request = told["verdict"]["request"].to_string();
    for line in [
        "GET /room?key=1 HTTP/1.1",
        "Host: chat.example.com",
        "Sec-WebSocket-Protocol: v2",
        "x-who: robots:ci",
        "origin: https://app.example",
    ] {
        assert!(request.contains(line), "{line} in {request}");
    }
    assert!(!request.contains("x-api-key"), "{request}");
}

#[tokio::test]
async fn each_way_to_be_wrong_is_told_by_its_check() {
    let other = |key: &str, value: &'static str| {
        let at = GOOD.iter().position(|one| *one == key).unwrap();
        let mut changed = GOOD;
        changed[at + 1] = value;
        changed
    };
    let wrong: [(&str, &[&str], u64, &str); 11] = [
        ("ws://other.example/chat", &GOOD, 404, "no_route"),
        ("ws://chat.example.com/mail", &GOOD, 404, "no_route"),
        (
            "ws://chat.example.com/chat/%2e%2e/x",
            &GOOD,
            400,
            "bad_target",
        ),
        (URL, &other("--protocol", "v1"), 400, "no_subprotocol"),
        (
            URL,
            &other("--origin", "https://evil.example"),
            403,
            "origin_refused",
        ),
        (URL, &other("--origin", "null"), 403, "origin_refused"),
        (
            URL,
            &other("--header", "X-API-Key: no"),
            401,
            "bad_credential",
        ),
        (URL, &other("--header", "X-Other: ci"), 401, "no_credential"),
        (
            URL,
            &other("--header", "Sec-WebSocket-Key: x"),
            400,
            "bad_handshake",
        ),
        (
            URL,
            &other("--header", "Content-Length: 5"),
            400,
            "bad_handshake",
        ),
        (
            URL,
            &[&GOOD[..], &["--from", "10.1.2.3"]].concat(),
            403,
            "address_refused",
        ),
    ];
    for (url, arguments, status, reason) in wrong {
        let (code, told) = explained(url, arguments).await;
        assert_eq!(code, Some(1), "{told}");
        let verdict = &told["verdict"];
        assert_eq!(verdict["status"], status, "{arguments:?} {told}");
        assert_eq!(verdict["reason"], reason, "{arguments:?} {told}");
        assert!(
            verdict["detail"]
                .as_str()
                .is_some_and(|detail| !detail.is_empty())
        );
    }
}

#[tokio::test]
async fn who_is_known_need_not_prove_it() {
    let arguments = ["--protocol", "v2", "--user", "robots:bob"];
    let (code, told) = explained(URL, &arguments).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told["verdict"]["request"]
            .to_string()
            .contains("x-who: robots:bob")
    );
}

#[tokio::test]
async fn a_question_that_makes_no_sense_is_told_apart_from_a_refusal() {
    let folder = folder();
    let file = folder.path().join("wsgate.toml");
    let file = file.to_str().unwrap();
    for arguments in [
        ["explain", file, "ftp://a.example/", "--json"],
        ["explain", file, URL, "--user=bob"],
        ["explain", file, URL, "--listener=none"],
        ["explain", file, URL, "--certificate=none.pem"],
    ] {
        let finished = finish(&arguments, folder.path(), "").await;
        assert_eq!(finished.code, Some(2), "{arguments:?}");
        assert!(finished.err.starts_with("wsgate: "), "{}", finished.err);
    }
}

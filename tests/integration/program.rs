//! The program as an operator meets it: commands, exit codes, signals.

use crate::harness::program::{Program, configuration, finish, finish_unread};
use crate::harness::{Frame, Handshake, Leg, Upstream};
use rustix::process::Signal;
use tempfile::TempDir;

fn good(url: &str) -> String {
    format!("[[listeners]]\naddress = \"127.0.0.1:0\"\n[[routes]]\nupstream = \"{url}\"\n")
}

/// A program with one live session.
async fn with_session(upstream: &Upstream, folder: &TempDir, more: &str) -> (Program, Leg, Leg) {
    configuration(folder.path(), &format!("{more}\n{}", good(&upstream.url())));
    let program = Program::start(&["run", "wsgate.toml"], folder.path()).await;
    let mut client = program.connect().await;
    client
        .send(Handshake::new("/").bytes(&program.address))
        .await;
    let server = upstream.serve().await;
    assert_eq!(client.answer().await.status, 101);
    (program, client, server)
}

#[tokio::test]
async fn who_stops_reading_an_answer_gets_no_complaint() {
    let folder = TempDir::new().unwrap();
    for arguments in [&["schema"][..], &["schema", "--markdown"]] {
        let finished = finish_unread(arguments, folder.path()).await;
        assert_eq!((finished.code, &*finished.err), (Some(0), ""));
    }
}

#[tokio::test]
async fn a_signal_drains_and_ends_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let (folder, upstream) = (TempDir::new().unwrap(), Upstream::bind().await);
        let (program, mut client, mut server) = with_session(&upstream, &folder, "").await;
        program.signal(signal);
        client.close(1001).await;
        client.send_frame(&Frame::close(1001, "").masked()).await;
        server.close(1001).await;
        server.send_frame(&Frame::close(1001, "")).await;
        client.ended().await;
        server.ended().await;
        let (code, log) = program.ended().await;
        assert_eq!(code, Some(0), "{log:#?}");
    }
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let (folder, upstream) = (TempDir::new().unwrap(), Upstream::bind().await);
    let more = "[server]\ndrain_timeout = \"1h\"\n[route_defaults.timeouts]\nclose = \"1h\"";
    let (program, mut client, _server) = with_session(&upstream, &folder, more).await;
    program.signal(Signal::TERM);
    // The drain has begun; this client does not answer.
    client.close(1001).await;
    program.signal(Signal::TERM);
    let (code, log) = program.ended().await;
    assert!(code.is_some(), "{log:#?}");
    client.ended().await;
}

#[tokio::test]
async fn an_address_in_use_ends_with_1() {
    let (folder, upstream) = (TempDir::new().unwrap(), Upstream::bind().await);
    let taken = upstream.address();
    let toml = good("builtin:echo").replace("127.0.0.1:0", &taken.to_string());
    configuration(folder.path(), &toml);
    let finished = finish(&["run", "wsgate.toml"], folder.path(), "").await;
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.err.contains(&taken.to_string()), "{finished:?}");
}

#[tokio::test]
async fn a_bad_configuration_ends_with_2_and_says_everything() {
    let folder = TempDir::new().unwrap();
    let toml = "[[listeners]]\naddres = \"127.0.0.1:0\"\n[[routes]]\nupstream = \"nowhere\"\n\
                path = 7\n[routes.timeouts]\nidle = \"soon\"\n";
    configuration(folder.path(), toml);
    for command in ["check", "run"] {
        let finished = finish(&[command, "wsgate.toml"], folder.path(), "").await;
        assert_eq!(finished.code, Some(2), "{finished:?}");
        for part in [
            "wsgate.toml:2:1",
            "addres",
            "address",
            "nowhere",
            "path",
            "soon",
        ] {
            assert!(
                finished.err.contains(part),
                "no `{part}` in {}",
                finished.err
            );
        }
    }
}

#[tokio::test]
async fn check_tells_what_a_good_file_has() {
    let folder = TempDir::new().unwrap();
    configuration(folder.path(), &good("builtin:echo"));
    let finished = finish(&["check", "wsgate.toml"], folder.path(), "").await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.out.contains("ok"), "{finished:?}");
}

#[tokio::test]
async fn check_reads_the_files_that_a_file_names() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("a.pem"), "no certificate").unwrap();
    std::fs::write(folder.path().join("a.key"), "no key").unwrap();
    let tls = "[listeners.tls]\ncertificates = [{ cert = \"a.pem\", key = \"a.key\" }]\n[[routes]]";
    configuration(
        folder.path(),
        &good("builtin:echo").replace("[[routes]]", tls),
    );
    let finished = finish(&["check", "wsgate.toml"], folder.path(), "").await;
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.err.contains("a.pem"), "{finished:?}");
}

#[tokio::test]
async fn the_file_is_found_where_it_is_looked_for() {
    let folder = TempDir::new().unwrap();
    let finished = finish(&["check", "missing.toml"], folder.path(), "").await;
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.err.contains("missing.toml"), "{finished:?}");

    std::fs::create_dir(folder.path().join("config")).unwrap();
    configuration(&folder.path().join("config"), &good("builtin:echo"));
    let finished = finish(&["check"], folder.path(), "").await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

#[tokio::test]
async fn a_gateway_without_a_file() {
    let folder = TempDir::new().unwrap();
    let arguments = ["run", "--listen", "127.0.0.1:0", "--to", "builtin:echo"];
    let program = Program::start(&arguments, folder.path()).await;
    let mut client = program.connect().await;
    client
        .send(Handshake::new("/").bytes(&program.address))
        .await;
    assert_eq!(client.answer().await.status, 101);
    client.send_frame(&Frame::text("hello").masked()).await;
    assert_eq!(client.frame().await, Frame::text("hello"));

    let mut browser = program.connect().await;
    browser
        .send(Handshake::plain("/").bytes(&program.address))
        .await;
    let page = browser.answer().await;
    assert_eq!(page.status, 200);
    assert!(
        page.header("Content-Type")
            .unwrap()
            .starts_with("text/html"),
        "{page:?}"
    );
    assert!(page.body.contains("WebSocket"));
}

#[tokio::test]
async fn wrong_arguments_end_with_2() {
    let folder = TempDir::new().unwrap();
    for arguments in [
        &["run", "--listen", "127.0.0.1:0"][..],
        &["run", "--listen", "nonsense", "--to", "builtin:echo"],
        &["run", "--listen", "127.0.0.1:0", "--to", "gopher://a"],
        &["fly"],
    ] {
        let finished = finish(arguments, folder.path(), "").await;
        assert_eq!(finished.code, Some(2), "{arguments:?}: {finished:?}");
        assert!(!finished.err.is_empty(), "{arguments:?}");
    }
}

#[tokio::test]
async fn the_schema_is_json_and_knows_the_sections() {
    let folder = TempDir::new().unwrap();
    let finished = finish(&["schema"], folder.path(), "").await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let schema: serde_json::Value = serde_json::from_str(&finished.out).unwrap();
    for section in ["server", "log", "listeners", "upstreams", "auth", "routes"] {
        assert!(schema["properties"][section].is_object(), "no `{section}`");
    }
}

#[tokio::test]
async fn a_password_is_hashed_from_standard_input() {
    let folder = TempDir::new().unwrap();
    let finished = finish(&["hash-password", "carol"], folder.path(), "secret\n").await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.out.starts_with("carol:$"), "{finished:?}");
    assert!(!finished.out.contains("secret"));
    let empty = finish(&["hash-password", "carol"], folder.path(), "\n").await;
    assert_eq!(empty.code, Some(1), "{empty:?}");
}

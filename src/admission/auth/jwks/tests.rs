//! Key sets of servers that are named after what they do wrong. A set is here the lines of its text.

use super::*;
use std::fmt::Write;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

type Lines = Vec<String>;

const KEYS_MAX: usize = 256;

/// As strict as the real reader: nothing but a short list.
fn read(text: &[u8]) -> Result<Lines, String> {
    let text = str::from_utf8(text).map_err(|_| "not UTF-8".to_owned())?;
    let lines: Lines = text.lines().map(str::to_owned).collect();
    match lines.iter().find(|line| !line.starts_with("key ")) {
        Some(line) => Err(format!("`{line}` is no key")),
        None if lines.len() > KEYS_MAX => Err(format!("more than {KEYS_MAX} keys")),
        None => Ok(lines),
    }
}

/// A server that says one text after the other, each over a connection of its own.
async fn serve(listener: TcpListener, says: Vec<Vec<u8>>) {
    for text in says {
        let mut stream = answered(&listener, &text).await;
        let _ = stream.shutdown().await;
    }
    std::future::pending::<()>().await;
}

async fn answered(listener: &TcpListener, text: &[u8]) -> TcpStream {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    // Who has heard enough hangs up.
    let _ = stream.write_all(text).await;
    stream
}

fn ok(body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=300\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

async fn listen() -> (TcpListener, Keys<Lines>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url {
        scheme: crate::config::Scheme::Http,
        host: "127.0.0.1".to_owned(),
        port: listener.local_addr().unwrap().port(),
        path_and_query: "/keys".to_owned(),
    };
    (listener, Keys::url(url, None, read).unwrap())
}

impl Keys<Lines> {
    /// Fetches once; what is wrong, and what the set is then.
    async fn tried(&self) -> (Option<String>, Option<Lines>) {
        let Origin::Url(published) = &self.origin else {
            panic!("not fetched");
        };
        let fetched = self.fetch("people", published).await;
        let error = fetched.err().map(|error| causes::in_line(&error));
        (error, self.current().map(|keys| keys.to_vec()))
    }
}

fn lines(names: &[&str]) -> Option<Lines> {
    Some(names.iter().map(|name| format!("key {name}")).collect())
}

#[tokio::test]
async fn the_last_good_set_outlives_whatever_a_server_does() {
    let many = (0..10_000).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "key {number}");
        text
    });
    let faults: Vec<(&str, Vec<u8>)> = vec![
        (
            "not 200",
            b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n".to_vec(),
        ),
        (
            "write it as `jwks`",
            b"HTTP/1.1 301 Moved\r\nLocation: http://evil.test/\r\nContent-Length: 0\r\n\r\n"
                .to_vec(),
        ),
        (
            "inside the answer",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nkey b".to_vec(),
        ),
        (
            "longer than",
            b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\nkey b".to_vec(),
        ),
        ("longer than", ok(&"key b\n".repeat(BYTES_MAX / 6 + 1))),
        ("more than 256 keys", ok(&many)),
        ("is no key", ok("<!DOCTYPE html>")),
        ("not 200", b"HTTP/1.1 204 Nothing\r\n\r\n".to_vec()),
        ("before an answer", Vec::new()),
        ("not to be believed", b"SSH-2.0-x\r\n".to_vec()),
    ];
    let (listener, keys) = listen().await;
    let mut says = vec![ok("key a")];
    says.extend(faults.iter().map(|(_, text)| text.clone()));
    says.push(ok("key b\nkey c"));
    let tries = async {
        assert_eq!(keys.current(), None);
        assert_eq!(keys.tried().await, (None, lines(&["a"])));
        for (expected, _) in &faults {
            let (error, now) = keys.tried().await;
            let error = error.unwrap();
            assert!(error.contains(expected), "{error:?}: {expected}");
            assert_eq!(now, lines(&["a"]), "{expected}");
        }
        assert_eq!(keys.tried().await, (None, lines(&["b", "c"])));
    };
    tokio::select! {
        () = serve(listener, says) => unreachable!("it serves for ever"),
        () = tries => {}
    }
    let (error, now) = keys.tried().await;
    assert!(error.unwrap().starts_with("no connection to 127.0.0.1:"));
    assert_eq!(now, lines(&["b", "c"]));
}

#[tokio::test]
async fn an_equal_set_is_the_same_set() {
    let (listener, keys) = listen().await;
    let says = vec![ok("key a"), ok("key a"), ok("key b")];
    let tries = async {
        keys.tried().await;
        let first = keys.current().unwrap();
        keys.tried().await;
        assert!(Arc::ptr_eq(&first, &keys.current().unwrap()));
        keys.tried().await;
        assert!(!Arc::ptr_eq(&first, &keys.current().unwrap()));
    };
    tokio::select! {
        () = serve(listener, says) => unreachable!("it serves for ever"),
        () = tries => {}
    }
}

#[tokio::test]
async fn a_set_is_fetched_in_the_background_and_unknown_keys_do_not_pile_up() {
    let (listener, keys) = listen().await;
    let server = async {
        let mut stream = answered(&listener, &ok("key a")).await;
        // Ends when the gateway has read it all.
        while keys.current().is_none() {
            tokio::task::yield_now().await;
        }
        stream.shutdown().await.unwrap();
        for _ in 0..1000 {
            keys.unknown_kid();
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = keys.follow("people") => unreachable!("it follows for ever"),
        () = server => {}
    }
    assert_eq!(keys.current().map(|keys| keys.to_vec()), lines(&["a"]));
    // Nobody has come a second time.
    let again =
        std::future::poll_fn(|cx| std::task::Poll::Ready(listener.poll_accept(cx).is_ready()));
    assert!(!again.await);
}

#[tokio::test(start_paused = true)]
async fn it_is_waited_for_until_it_is_due_or_wanted() {
    let seconds = Duration::from_secs;
    for (wanted_after, expected) in [(None, 300), (Some(10), 60), (Some(100), 100), (Some(0), 60)] {
        let now = Instant::now();
        let mut schedule = Schedule::new(now);
        schedule.fetched(now, CacheControl::from("max-age=300"));
        let due = schedule.due() - now;
        let is_wanted = Notify::new();
        let wanting = async {
            if let Some(after) = wanted_after {
                tokio::time::sleep(seconds(after)).await;
                is_wanted.notify_one();
                is_wanted.notify_one();
            }
        };
        tokio::join!(wait(&schedule, &is_wanted), wanting);
        let waited = now.elapsed();
        let expected = seconds(expected).min(due);
        assert!(
            waited >= expected && waited <= expected + seconds(1),
            "{wanted_after:?}: {waited:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_is_followed_and_a_broken_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    std::fs::write(&path, "key a").unwrap();
    let keys = Keys::file(path.clone(), read).unwrap();
    let mut following = Box::pin(keys.follow("people"));
    let looks = async |following: &mut _| {
        tokio::time::timeout(Duration::from_secs(10), following)
            .await
            .unwrap_err();
    };
    let now = || keys.current().map(|keys| keys.to_vec());
    looks(&mut following).await;
    assert_eq!(now(), lines(&["a"]));
    for (text, expected) in [
        ("key a\nkey b", lines(&["a", "b"])),
        ("half wri", lines(&["a", "b"])),
        ("key c", lines(&["c"])),
    ] {
        std::fs::write(&path, text).unwrap();
        looks(&mut following).await;
        assert_eq!(now(), expected, "{text}");
    }
}

#[test]
fn a_file_must_be_good_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let missing = Keys::file(path.clone(), read).unwrap_err();
    assert!(matches!(missing, KeysError::File { .. }), "{missing}");
    std::fs::write(&path, "lock").unwrap();
    let wrong = Keys::file(path.clone(), read).unwrap_err();
    assert!(matches!(wrong, KeysError::Content(_)), "{wrong}");
    std::fs::write(&path, "key b\n".repeat(BYTES_MAX / 6 + 1)).unwrap();
    let huge = Keys::file(path, read).unwrap_err();
    assert!(matches!(huge, KeysError::File { .. }), "{huge}");
}

#[test]
fn a_state_is_told_once() {
    let error = KeysError::Status(StatusCode::BAD_GATEWAY);
    let standing = Standing::New.tell("people", Some(&error), false);
    assert_eq!(standing, Standing::Failing);
    assert_eq!(
        standing.tell("people", Some(&error), true),
        Standing::Failing
    );
    assert_eq!(standing.tell("people", None, true), Standing::Good);
}

#[tokio::test(start_paused = true)]
async fn who_wants_a_set_before_a_fetch_is_answered_by_it() {
    let is_wanted = Notify::new();
    is_wanted.notify_one();
    forget(&is_wanted).await;
    let again = tokio::time::timeout(Duration::from_secs(1), is_wanted.notified());
    assert!(again.await.is_err(), "it is wanted still");
    // Nobody wants it: that is no reason to wait.
    forget(&is_wanted).await;
}

//! The guard alone, cut in every way, and below hyper.

use super::*;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

const LIMIT: usize = 512;

/// A client whose bytes arrive in pieces, and who then closes.
struct Pieces(VecDeque<Vec<u8>>);

impl AsyncRead for Pieces {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let pieces = &mut self.get_mut().0;
        let Some(mut piece) = pieces.pop_front() else {
            return Poll::Ready(Ok(()));
        };
        let behind = piece.split_off(piece.len().min(buf.remaining()));
        if !behind.is_empty() {
            pieces.push_front(behind);
        }
        buf.put_slice(&piece);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pieces {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What a reader got who answers whenever there is nothing to read.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    bytes: Vec<u8>,
    verdict: Option<HeadError>,
}

fn read(pieces: impl IntoIterator<Item = Vec<u8>>, room: usize) -> Seen {
    let mut guarded = Guarded::new(Pieces(pieces.into_iter().collect()), LIMIT);
    let mut cx = Context::from_waker(Waker::noop());
    let mut bytes = Vec::new();
    loop {
        let mut space = vec![0; room];
        let mut buf = ReadBuf::new(&mut space);
        match Pin::new(&mut guarded).poll_read(&mut cx, &mut buf) {
            Poll::Ready(Ok(())) if buf.filled().is_empty() => break,
            Poll::Ready(Ok(())) => bytes.extend_from_slice(buf.filled()),
            Poll::Ready(Err(_)) => break,
            Poll::Pending => {
                assert_ne!(
                    guarded.answer,
                    Answer::Given,
                    "nobody would wake the reader"
                );
                assert!(
                    Pin::new(&mut guarded)
                        .poll_write(&mut cx, b"answer")
                        .is_ready()
                );
                assert!(Pin::new(&mut guarded).poll_flush(&mut cx).is_ready());
            }
        }
    }
    let verdict = guarded.verdict();
    Seen { bytes, verdict }
}

/// Reads `bytes` in one piece and byte by byte; both must give the same.
fn check(bytes: &[u8]) -> Seen {
    let whole = read([bytes.to_vec()], 8192);
    let cut = read(bytes.iter().map(|&byte| vec![byte]), 8192);
    assert_eq!(cut, whole, "{}", bytes.escape_ascii());
    whole
}

const PLAIN: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn good_heads_pass_untouched() {
    for stream in [
        PLAIN.to_owned(),
        format!("\r\n{PLAIN}"),
        [PLAIN, PLAIN, PLAIN].concat(),
        format!("{POST}hello{PLAIN}"),
        format!("{POST}\n\0\n\0\n\r\n{PLAIN}"),
        format!("{UPGRADE}\u{81}\0\n\0"),
        format!("{CHUNKED}5\r\nhello\r\n0\r\nA: b\r\n\r\n{PLAIN}"),
        format!("{CHUNKED}5\r\nhel"),
        format!("{PLAIN}{UPGRADE}\0\0\0"),
        String::new(),
    ] {
        let seen = check(stream.as_bytes());
        let expected = Seen {
            bytes: stream.clone().into_bytes(),
            verdict: None,
        };
        assert_eq!(seen, expected, "{stream:?}");
    }
}

#[test]
fn a_head_waits_for_the_answer_before_it_however_it_comes() {
    for second in [PLAIN, UPGRADE, "GET / HTTP/1.1\n"] {
        let pieces = [PLAIN, second].map(|piece| piece.as_bytes().to_vec());
        let mut guarded = Guarded::new(Pieces(pieces.into()), LIMIT);
        let mut cx = Context::from_waker(Waker::noop());
        let mut space = [0; 8192];
        let mut buf = ReadBuf::new(&mut space);
        assert!(
            Pin::new(&mut guarded)
                .poll_read(&mut cx, &mut buf)
                .is_ready()
        );
        assert!(
            Pin::new(&mut guarded)
                .poll_read(&mut cx, &mut buf)
                .is_pending()
        );
        assert_eq!(buf.filled(), PLAIN.as_bytes());
        assert_eq!(guarded.verdict(), None, "{second:?}");
    }
}

#[test]
fn bad_heads_never_pass() {
    let large = format!("GET / HTTP/1.1\r\nA: {}", "x".repeat(LIMIT));
    for before in ["", PLAIN, &format!("{POST}hello"), "\r\n"] {
        for (bad, expected) in [
            ("GET / HTTP/1.1\nHost: a\n\n", HeadError::LineEnd),
            ("GET / HTTP/1.1\r\nA: \0\r\n\r\n", HeadError::Control),
            ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", HeadError::HeaderName),
            ("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", HeadError::Folded),
            ("CONNECT a:1 HTTP/1.1\r\n\r\n", HeadError::Connect),
            ("GET /#a HTTP/1.1\r\n\r\n", HeadError::Target),
            (
                "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
                HeadError::TwoLengths,
            ),
            (large.as_str(), HeadError::TooLarge(LIMIT)),
        ] {
            let seen = check(format!("{before}{bad}{PLAIN}").as_bytes());
            let passed = if before == "\r\n" { "" } else { before };
            assert_eq!(seen.bytes, passed.as_bytes(), "{before:?} {bad:?}");
            assert_eq!(seen.verdict, Some(expected), "{before:?} {bad:?}");
        }
    }
}

#[test]
fn bad_heads_behind_chunks_never_pass() {
    let good = format!("{CHUNKED}5\r\nhello\r\n0\r\n\r\n");
    let seen = check(format!("{good}GET / HTTP/1.1\n\n").as_bytes());
    assert_eq!(seen.bytes, good.as_bytes());
    assert_eq!(seen.verdict, Some(HeadError::LineEnd));
}

#[test]
fn chunks_end_for_good_where_they_are_broken() {
    for (good, bad) in [
        ("", "x\r\n"),
        ("5", "\nhello\r\n0\r\n\r\n"),
        ("5\r\nhello", "!\r\n0\r\n\r\n"),
        ("0\r\nA: b", "\n\r\n"),
    ] {
        let seen = check(format!("{CHUNKED}{good}{bad}{PLAIN}").as_bytes());
        // hyper is told by an error; what the client is told is for the request to say.
        assert_eq!(seen.bytes, format!("{CHUNKED}{good}").as_bytes());
        assert_eq!(seen.verdict, None);
    }
}

#[test]
fn a_cut_head_ends_without_a_verdict() {
    for len in 0..PLAIN.len() {
        let seen = check(&PLAIN.as_bytes()[..len]);
        assert_eq!(
            seen,
            Seen {
                bytes: Vec::new(),
                verdict: None
            }
        );
    }
}

#[test]
fn what_was_not_handed_on_is_given_back() {
    let stream = format!("{PLAIN}GET /");
    let mut guarded = Guarded::new(Pieces([stream.into_bytes()].into()), LIMIT);
    let mut cx = Context::from_waker(Waker::noop());
    let mut space = [0; 1024];
    let mut buf = ReadBuf::new(&mut space);
    assert!(!guarded.is_within_head());
    assert!(
        Pin::new(&mut guarded)
            .poll_read(&mut cx, &mut buf)
            .is_ready()
    );
    assert_eq!(buf.filled(), PLAIN.as_bytes());
    assert_eq!(guarded.into_inner().1, "GET /");
}

#[test]
fn nothing_is_held_once_a_head_was_handed_on() {
    let mut guarded = Guarded::new(Pieces([PLAIN.into()].into()), LIMIT);
    let mut cx = Context::from_waker(Waker::noop());
    let mut space = [0; 1024];
    let mut buf = ReadBuf::new(&mut space);
    assert!(
        Pin::new(&mut guarded)
            .poll_read(&mut cx, &mut buf)
            .is_ready()
    );
    assert_eq!(guarded.held.capacity(), 0);
}

/// Serves one connection with hyper; what the client read until the end of the stream, and what
/// the guard says.
async fn serve(stream: &str) -> (String, Option<HeadError>) {
    let (mut client, server) = tokio::io::duplex(4096);
    client.write_all(stream.as_bytes()).await.unwrap();
    // Boxed, as hyper wants to move it about.
    let service = service_fn(|_| {
        Box::pin(async {
            tokio::task::yield_now().await;
            let body = Full::<Bytes>::from("served");
            Ok::<_, Infallible>(http::Response::new(body))
        })
    });
    let io = TokioIo::new(Guarded::new(server, LIMIT));
    let mut connection = http1::Builder::new().serve_connection(io, service);
    let _ = poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
    let guarded = connection.into_parts().io.into_inner();
    let verdict = guarded.verdict();
    let (mut server, _) = guarded.into_inner();
    server.write_all(b"verdict").await.unwrap();
    drop(server);
    let mut answers = String::new();
    client.read_to_string(&mut answers).await.unwrap();
    (answers, verdict)
}

#[tokio::test]
async fn hyper_answers_what_is_good_before_the_verdict() {
    for (good, count) in [("", 0), (PLAIN, 1), (&[PLAIN, PLAIN].concat(), 2)] {
        let (answers, verdict) = serve(&format!("{good}GET / HTTP/1.1\n\n")).await;
        assert_eq!(verdict, Some(HeadError::LineEnd));
        assert_eq!(answers.matches("served").count(), count, "{answers}");
        assert_eq!(
            answers.starts_with("HTTP/1.1 200 OK\r\n"),
            count > 0,
            "{answers}"
        );
        assert!(answers.ends_with("verdict"), "{answers}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_head_is_overdue_and_a_slow_answer_is_not() {
    let (mut client, server) = tokio::io::duplex(4096);
    let first = Instant::now() + Duration::from_secs(10);
    let mut guarded = Guarded::new(server, LIMIT).with_deadline(first, Duration::from_secs(5));
    client.write_all(PLAIN.as_bytes()).await.unwrap();
    let mut head = [0; 64];
    assert_eq!(guarded.read(&mut head).await.unwrap(), PLAIN.len());

    // The answer is owed for a minute: nothing is overdue.
    let waiting = tokio::time::timeout(Duration::from_secs(60), guarded.read(&mut head));
    assert!(waiting.await.is_err());
    guarded.write_all(b"answer").await.unwrap();
    guarded.flush().await.unwrap();
    let answered = Instant::now();

    client.write_all(b"GET ").await.unwrap();
    let error = guarded.read(&mut head).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(answered.elapsed().as_secs(), 5);
    assert!(guarded.is_overdue() && guarded.is_within_head());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_of_an_answer_is_given_up() {
    let (mut client, server) = tokio::io::duplex(64);
    let link = Arc::new(Link::default());
    let mut guarded = Guarded::new(server, LIMIT).with_link(link.clone());
    client.write_all(&PLAIN.as_bytes()[..20]).await.unwrap();
    client.write_all(&PLAIN.as_bytes()[20..]).await.unwrap();
    assert!(guarded.read(&mut [0; 64]).await.unwrap() > 0);
    link.begin();

    // As long as it takes a little now and then it may be slow.
    let begun = Instant::now();
    let slowly = async {
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_secs(59)).await;
            client.read_exact(&mut [0; 8]).await.unwrap();
        }
    };
    let answer = async { guarded.write_all(&[b'x'; 256]).await.unwrap_err() };
    let (error, ()) = tokio::join!(answer, slowly);
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(begun.elapsed().as_secs(), 10 * 59 + 60);
}

fn piece() -> impl Strategy<Value = &'static str> {
    let pieces = vec![
        PLAIN,
        UPGRADE,
        POST,
        CHUNKED,
        "hello",
        "5\r\nhello\r\n",
        "0\r\n\r\n",
        "GET / HTTP/1.1\r\n",
        "Host: a\r\n",
        "\r\n",
        "\r",
        "\n",
        " ",
        "\0",
    ];
    proptest::sample::select(pieces)
}

proptest! {
    #[test]
    fn any_cut_gives_the_same(
        pieces in proptest::collection::vec(piece(), 0..8),
        cuts in proptest::collection::vec(1..40_usize, 1..20),
        room in 1..64_usize,
    ) {
        let stream = pieces.concat().into_bytes();
        let whole = read([stream.clone()], 8192);
        let mut rest = stream.as_slice();
        let mut cut = Vec::new();
        for len in cuts.iter().copied().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, behind) = rest.split_at(len.min(rest.len()));
            cut.push(piece.to_vec());
            rest = behind;
        }
        prop_assert_eq!(read(cut, room), whole);
    }
}

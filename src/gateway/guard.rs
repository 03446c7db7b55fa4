//! A stream that shows hyper only request heads that passed [`crate::http::HeadScan`].
//!
//! It holds a head back until it is whole and checked, then hands it on untouched. One head at a
//! time: what comes behind a request waits until that is answered, so that bad bytes behind a good
//! request do not cost the client its answer. After an upgrade or the head of a chunked body
//! everything passes: there is nothing behind it that may be taken for a head, as the gateway ends
//! such a connection. A head that is awaited has a deadline; while an answer is owed there is none.

use crate::http::{Body, Head, HeadError, HeadScan};
use bytes::{Buf, Bytes, BytesMut};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// `S` with its request heads checked. Writes pass as they are.
#[derive(Debug)]
pub(super) struct Guarded<S> {
    io: S,
    limit: usize,
    phase: Phase,
    scan: HeadScan,
    /// Read from `io` and not yet handed on. Empty and without memory most of the time.
    held: BytesMut,
    /// How many bytes of `held` passed.
    released: usize,
    verdict: Option<HeadError>,
    answer: Answer,
    /// Who waits for the answer to be out.
    reader: Option<Waker>,
    deadline: Option<Deadline>,
}

/// By when the awaited head must be whole.
#[derive(Debug)]
struct Deadline {
    each: Duration,
    sleep: Pin<Box<Sleep>>,
    /// Whether `sleep` is that of the head that is awaited now.
    is_set: bool,
    has_passed: bool,
}

/// What the next byte from the client belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Head,
    Body(u64),
    /// Something that is not looked into.
    Raw,
}

/// To the head that was handed on last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// None is owed.
    Given,
    Owed,
    /// Written at least in part, not yet flushed.
    Begun,
}

impl<S> Guarded<S> {
    /// Guards `io`, from the start of a connection on. Heads have at most `limit` bytes.
    pub(super) fn new(io: S, limit: usize) -> Self {
        Self {
            io,
            limit,
            phase: Phase::Head,
            scan: HeadScan::new(limit),
            held: BytesMut::new(),
            released: 0,
            verdict: None,
            answer: Answer::Given,
            reader: None,
            deadline: None,
        }
    }

    /// The first head must be whole by `first`, any other `each` after the answer before it. Later
    /// than that reading fails.
    pub(super) fn with_deadline(self, first: Instant, each: Duration) -> Self {
        let deadline = Deadline {
            each,
            sleep: Box::pin(sleep_until(first)),
            is_set: true,
            has_passed: false,
        };
        Self {
            deadline: Some(deadline),
            ..self
        }
    }

    /// Whether reading failed because a head did not come in time.
    pub(super) fn is_overdue(&self) -> bool {
        self.deadline.as_ref().is_some_and(|one| one.has_passed)
    }

    /// Why reading failed, if a head is the reason. To be asked however hyper ended: for it a read
    /// that fails between two requests is a good end.
    pub(super) fn verdict(&self) -> Option<HeadError> {
        self.verdict
    }

    /// Whether a head has begun to arrive and not yet been handed on.
    pub(super) fn is_within_head(&self) -> bool {
        self.phase == Phase::Head && self.answer == Answer::Given && !self.held.is_empty()
    }

    /// The stream below, and what was read from it and not handed on. Of a connection that was
    /// refused nobody may make sense of the latter.
    pub(super) fn into_inner(self) -> (S, Bytes) {
        (self.io, self.held.freeze())
    }

    /// Finds out how much of what is held may go.
    fn release(&mut self) {
        match self.phase {
            Phase::Head => match self.scan.scan(&self.held) {
                Ok(Some(head)) => self.release_head(head),
                Ok(None) => {}
                Err(error) => self.verdict = Some(error),
            },
            Phase::Body(left) => {
                self.released =
                    usize::try_from(left).map_or(self.held.len(), |left| left.min(self.held.len()));
                self.pass_body(left, self.released);
            }
            Phase::Raw => self.released = self.held.len(),
        }
    }

    fn release_head(&mut self, head: Head) {
        if let Some(deadline) = &mut self.deadline {
            deadline.is_set = false;
        }
        self.released = head.len;
        self.scan = HeadScan::new(self.limit);
        self.answer = Answer::Owed;
        self.phase = match head.body {
            _ if head.upgrade => Phase::Raw,
            Body::None => Phase::Head,
            Body::Length(length) => Phase::Body(length),
            Body::Chunked => Phase::Raw,
        };
    }

    /// Counts `len` bytes of a body of which `left` were missing.
    fn pass_body(&mut self, left: u64, len: usize) {
        self.phase = match left.saturating_sub(len as u64) {
            0 => Phase::Head,
            left => Phase::Body(left),
        };
    }

    /// Whether the next head must wait.
    fn waits_for_answer(&self) -> bool {
        self.phase == Phase::Head && self.answer != Answer::Given
    }

    /// Moves what passed from `held` to `buf`; false if that is nothing.
    fn hand_on(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        if self.released == 0 && !self.held.is_empty() && !self.waits_for_answer() {
            self.release();
        }
        let len = self.released.min(buf.remaining());
        buf.put_slice(&self.held[..len]);
        self.held.advance(len);
        self.released -= len;
        if self.held.is_empty() {
            self.held = BytesMut::new();
        }
        len > 0
    }

    /// Takes what was read into `buf` behind `start` back into `held`.
    fn hold(&mut self, buf: &mut ReadBuf<'_>, start: usize) {
        self.held.extend_from_slice(&buf.filled()[start..]);
        buf.set_filled(start);
    }

    /// Ready once the head that is awaited is overdue.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.deadline {
            Some(deadline) if self.answer == Answer::Given => deadline.poll(cx),
            _ => Poll::Pending,
        }
    }

    /// An answer is out: the next head may come.
    fn answered(&mut self) {
        self.answer = Answer::Given;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl Deadline {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_set {
            self.sleep.as_mut().reset(Instant::now() + self.each);
            self.is_set = true;
        }
        ready!(self.sleep.as_mut().poll(cx));
        self.has_passed = true;
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> Guarded<S> {
    /// Reads more of a head; no bytes are the end of the stream.
    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let start = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let len = buf.filled().len() - start;
        self.hold(buf, start);
        Poll::Ready(Ok(len))
    }

    /// Reads more of a body straight into `buf`, and holds what comes behind it.
    fn poll_body(
        &mut self,
        left: u64,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let start = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let len = buf.filled().len() - start;
        let of_body = usize::try_from(left).map_or(len, |left| left.min(len));
        self.hold(buf, start + of_body);
        self.pass_body(left, of_body);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if buf.remaining() == 0 || this.hand_on(buf) {
                return Poll::Ready(Ok(()));
            }
            if let Some(error) = this.verdict {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
            }
            match this.phase {
                Phase::Raw => return Pin::new(&mut this.io).poll_read(cx, buf),
                Phase::Body(left) => return this.poll_body(left, cx, buf),
                Phase::Head if this.waits_for_answer() && !this.held.is_empty() => {
                    this.reader = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                Phase::Head => match this.poll_head(cx, buf)? {
                    Poll::Ready(0) => return Poll::Ready(Ok(())),
                    Poll::Ready(_) => {}
                    Poll::Pending => {
                        ready!(this.poll_deadline(cx));
                        return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                    }
                },
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> Guarded<S> {
    fn note_written(&mut self, written: &Poll<io::Result<usize>>) {
        let has_begun = matches!(written, Poll::Ready(Ok(len)) if *len > 0);
        if has_begun && self.answer == Answer::Owed {
            self.answer = Answer::Begun;
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(cx, buf);
        this.note_written(&written);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        this.note_written(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.io).poll_flush(cx))?;
        if this.answer == Answer::Begun {
            this.answered();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

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
            format!("{CHUNKED}5\nhello"),
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

    fn piece() -> impl Strategy<Value = &'static str> {
        let pieces = vec![
            PLAIN,
            UPGRADE,
            POST,
            CHUNKED,
            "hello",
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
}

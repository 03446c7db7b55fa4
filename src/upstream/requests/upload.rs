//! The request on its way to the endpoint: its head, then its body piece by piece, each read from
//! the client only once the one before it is written.

use super::{BoxError, Length};
use bytes::{Buf, Bytes};
use hyper::body::Body;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// Bytes that wait to be written before another piece is asked for.
const WAITING_MAX: usize = 16 * 1024;
/// Slices of one write at most.
const SLICES: usize = 8;

/// A request that is being sent.
#[derive(Debug)]
pub(in crate::upstream) struct Upload<B> {
    /// Gone once it has ended.
    body: Option<B>,
    /// Of a length that was said, what is missing.
    left: Option<u64>,
    /// To be written; the first one may be in part.
    waiting: VecDeque<Bytes>,
    /// Whether anything of the body was read.
    has_begun: bool,
    /// Counts bytes moved either way, so that standing still can be seen.
    moved: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Sending,
    Sent,
    /// The endpoint takes no more; its answer may still come.
    Refused,
}

impl<B> Upload<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    /// Of a whole head, and a body that will be framed as the head says.
    pub(in crate::upstream) fn new(head: Bytes, length: Length, body: Option<B>) -> Self {
        Self {
            body: body.filter(|_| length != Length::None),
            left: match length {
                Length::Known(length) => Some(length),
                Length::None | Length::Unknown => None,
            },
            waiting: [head].into(),
            has_begun: false,
            moved: 0,
            state: State::Sending,
        }
    }

    /// Whether all of it is with the endpoint.
    pub(super) fn is_sent(&self) -> bool {
        self.state == State::Sent
    }

    /// Whether nothing of the body was read, so that all of the request could be sent again.
    pub(in crate::upstream) fn is_untouched(&self) -> bool {
        !self.has_begun
    }

    /// The body, for another attempt.
    pub(in crate::upstream) fn into_body(self) -> Option<B> {
        self.body
    }

    /// Whether there is nothing more to send, or nobody who takes it.
    pub(super) fn is_over(&self) -> bool {
        self.state != State::Sending
    }

    /// Whether it is the client that is waited for.
    pub(super) fn waits_for_client(&self) -> bool {
        self.state == State::Sending && self.waiting.is_empty()
    }

    /// Grows whenever anything moves.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    /// Sends as much as can be. Ready once there is nothing more to do, be it that the endpoint
    /// does not take it. Fails with what the client's body failed with.
    pub(super) fn poll<S: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<Result<(), BoxError>> {
        if self.state != State::Sending {
            return Poll::Ready(Ok(()));
        }
        loop {
            let wants_more = self.poll_body(cx)?;
            let written = self.poll_write(cx, stream);
            match (wants_more, written) {
                (_, Poll::Ready(Err(_))) => {
                    // Why will be told by the reading side, unless an answer is there already.
                    (self.state, self.body) = (State::Refused, None);
                    self.waiting.clear();
                    return Poll::Ready(Ok(()));
                }
                (_, Poll::Pending) => return Poll::Pending,
                (Poll::Pending, Poll::Ready(Ok(()))) => return Poll::Pending,
                (Poll::Ready(()), Poll::Ready(Ok(()))) if self.body.is_none() => {
                    self.state = State::Sent;
                    return Poll::Ready(Ok(()));
                }
                (Poll::Ready(()), Poll::Ready(Ok(()))) => {}
            }
        }
    }

    /// Takes pieces of the body until enough waits. Pending if the client is waited for.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        while let Some(body) = &mut self.body {
            let waiting: usize = self.waiting.iter().map(Bytes::len).sum();
            if waiting >= WAITING_MAX {
                break;
            }
            let frame = ready!(Pin::new(body).poll_frame(cx));
            self.has_begun = true;
            match frame {
                Some(Ok(frame)) => {
                    // Trailers end here: few servers know them, and they are outside of all checks.
                    if let Ok(data) = frame.into_data() {
                        self.take(data)?;
                    }
                }
                Some(Err(error)) => return Poll::Ready(Err(error.into())),
                None => self.end()?,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn take(&mut self, data: Bytes) -> Result<(), BoxError> {
        self.moved += data.len() as u64;
        match &mut self.left {
            Some(left) => {
                let rest = left.checked_sub(data.len() as u64);
                *left = rest.ok_or("the body is longer than was said")?;
                self.waiting.push_back(data);
            }
            // An empty chunk would end the body.
            None if data.is_empty() => {}
            None => {
                let size = format!("{:x}\r\n", data.len());
                let end = Bytes::from_static(b"\r\n");
                self.waiting.extend([size.into(), data, end]);
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), BoxError> {
        self.body = None;
        match self.left {
            Some(0) => {}
            Some(_) => return Err("the body is shorter than was said".into()),
            None => self.waiting.push_back(Bytes::from_static(b"0\r\n\r\n")),
        }
        Ok(())
    }

    /// Writes all that waits, and flushes.
    fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            for (slice, bytes) in slices.iter_mut().zip(&self.waiting) {
                *slice = IoSlice::new(bytes);
            }
            let count = self.waiting.len().min(SLICES);
            let written = Pin::new(&mut *stream).poll_write_vectored(cx, &slices[..count]);
            let written = ready!(written)?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        Pin::new(stream).poll_flush(cx)
    }

    fn advance(&mut self, mut written: usize) {
        self.moved += written as u64;
        while let Some(first) = self.waiting.front_mut() {
            if written < first.len() {
                return first.advance(written);
            }
            written -= first.len();
            self.waiting.pop_front();
        }
    }
}

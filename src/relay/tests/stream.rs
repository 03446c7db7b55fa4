//! An in-memory connection that can fail as sockets do, and move bytes in pieces as odd as a seed wants.

use crate::relay::Wire;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};

/// The gateway's end of a connection.
pub(super) struct TestStream {
    inner: DuplexStream,
    fault: Fault,
    chop: Option<Random>,
    /// The end is to follow what is written from now on.
    expects_end: bool,
    /// What was written since, which goes out with the end.
    last: Vec<u8>,
}

/// Breaks a connection from outside.
#[derive(Clone, Default)]
pub(super) struct Fault(Arc<Mutex<FaultState>>);

#[derive(Default)]
struct FaultState {
    is_reset: bool,
    is_deaf: bool,
    silence_limit: Option<Duration>,
    waker: Option<Waker>,
}

impl Fault {
    /// Reads and writes fail from now on.
    pub(super) fn reset(&self) {
        let mut state = self.0.lock().unwrap();
        state.is_reset = true;
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    /// Writes fail from now on, and reads find nothing.
    pub(super) fn break_writes(&self) {
        self.0.lock().unwrap().is_deaf = true;
    }

    /// For how long the kernel was told to bear a silent peer.
    pub(super) fn silence_limit(&self) -> Option<Duration> {
        self.0.lock().unwrap().silence_limit
    }

    fn check_write(&self) -> io::Result<()> {
        let is_deaf = self.0.lock().unwrap().is_deaf;
        if is_deaf {
            Err(io::ErrorKind::BrokenPipe.into())
        } else {
            Ok(())
        }
    }

    fn check(&self, cx: &Context<'_>) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.waker = Some(cx.waker().clone());
        if state.is_reset {
            Err(io::ErrorKind::ConnectionReset.into())
        } else {
            Ok(())
        }
    }
}

impl TestStream {
    /// The peer's end, the gateway's end and the way to break it.
    pub(super) fn pair(room: usize) -> (DuplexStream, Self, Fault) {
        let (peer, inner) = duplex(room);
        let fault = Fault::default();
        (
            peer,
            Self {
                inner,
                fault: fault.clone(),
                chop: None,
                expects_end: false,
                last: Vec::new(),
            },
            fault,
        )
    }

    /// Reads and writes few bytes at a time, and now and then none.
    pub(super) fn chopped(self, seed: u64) -> Self {
        Self {
            chop: Some(Random(seed)),
            ..self
        }
    }

    /// Writes what was to go out with the end.
    fn poll_last(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.expects_end = false;
        while !self.last.is_empty() {
            let last = self.last.clone();
            let written = ready!(Pin::new(&mut *self).poll_write(cx, &last))?;
            self.last.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    /// How much may move now; `None`: nothing, try again.
    fn portion(&mut self, cx: &Context<'_>, most: usize) -> Option<usize> {
        let Some(random) = &mut self.chop else {
            return Some(most);
        };
        match random.below(8) {
            0 => {
                cx.waker().wake_by_ref();
                None
            }
            1..=3 => Some(most.min(1 + random.below(5))),
            _ => Some(most.min(1 + random.below(300))),
        }
    }
}

impl AsyncRead for TestStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.fault.check(cx)?;
        let Some(portion) = self.portion(cx, buf.remaining()) else {
            return Poll::Pending;
        };
        let mut part = buf.take(portion);
        let polled = Pin::new(&mut self.inner).poll_read(cx, &mut part);
        let read = part.filled().len();
        buf.advance(read);
        polled
    }
}

impl AsyncWrite for TestStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.fault.check(cx)?;
        self.fault.check_write()?;
        if self.expects_end {
            self.last.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        let Some(portion) = self.portion(cx, bytes.len()) else {
            return Poll::Pending;
        };
        Pin::new(&mut self.inner).poll_write(cx, &bytes[..portion])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_last(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl Wire for TestStream {
    fn expect_end(&mut self, _cx: &Context<'_>) {
        self.expects_end = true;
    }

    fn poll_goodbye(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(self).poll_shutdown(cx).map(drop)
    }

    fn limit_silence(&self, limit: Duration) {
        self.fault.0.lock().unwrap().silence_limit = Some(limit);
    }
}

/// A small generator of numbers that a seed replays exactly.
#[derive(Clone)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

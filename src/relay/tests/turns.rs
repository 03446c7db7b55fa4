//! A session that always has something to do leaves the others of its thread their turn.

use super::{lenient, relay};
use crate::frame::{Header, Opcode};
use crate::relay::{Control, Courses, Early, Negotiated, Wire};
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::task::yield_now;

/// More than may pass in one poll, and much less than there is.
const A_LOT: u64 = 2 << 20;
/// Headers take longer than payload: of them it is less.
const A_LOT_OF_HEADERS: u64 = 256 << 10;

/// Frames without end, or silence; whatever is written is gone.
struct Flood {
    frame: Vec<u8>,
    /// Of the frame under way, so much has been read.
    at: usize,
    read: Arc<AtomicU64>,
}

impl Flood {
    fn of(payload: usize) -> Self {
        Self::masked(payload, Some([1, 2, 3, 4]))
    }

    /// What no client may send: it is refused at the first header, and goes on all the same.
    fn refused() -> Self {
        Self::masked(16 << 10, None)
    }

    fn masked(payload: usize, mask: Option<[u8; 4]>) -> Self {
        let header = Header {
            fin: true,
            rsv1: false,
            opcode: Opcode::Binary,
            mask,
            payload_len: payload as u64,
            header_len: 0,
        };
        Self {
            frame: [&*header.encode(), &vec![0; payload]].concat(),
            at: 0,
            read: Arc::default(),
        }
    }

    fn silence() -> Self {
        Self {
            frame: Vec::new(),
            at: 0,
            read: Arc::default(),
        }
    }
}

impl AsyncRead for Flood {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.frame.is_empty() {
            return Poll::Pending;
        }
        let count = buf.remaining();
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        while buf.remaining() > 0 {
            let part = (self.frame.len() - self.at).min(buf.remaining());
            buf.put_slice(&self.frame[self.at..][..part]);
            self.at = (self.at + part) % self.frame.len();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Flood {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Wire for Flood {
    fn limit_silence(&self, _limit: Duration) {}
}

/// A session with a client that floods; how much of it has been read.
async fn under_way(flood: Flood) -> Arc<AtomicU64> {
    let read = flood.read.clone();
    let session = relay(
        flood,
        Flood::silence(),
        Early::default(),
        Courses::new(Arc::new(lenient())).of(0),
        Negotiated::default(),
        0,
        Arc::new(Control::new()),
    );
    tokio::spawn(session);
    // The first read is a large one: nobody knows yet what comes.
    while read.load(Ordering::Relaxed) == 0 {
        yield_now().await;
    }
    read
}

/// The most that passes while another task waits for its turn.
async fn most_of_a_turn(read: &AtomicU64) -> u64 {
    let mut most = 0;
    for _ in 0..50 {
        let before = read.load(Ordering::Relaxed);
        yield_now().await;
        most = most.max(read.load(Ordering::Relaxed) - before);
    }
    most
}

/// What passes until another task has heard of a byte that its socket already has.
async fn until_a_socket_is_heard(read: &AtomicU64) -> u64 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    far.set_nonblocking(true).unwrap();
    let mut far = tokio::net::TcpStream::from_std(far).unwrap();
    near.write_all(b"x").unwrap();
    let before = read.load(Ordering::Relaxed);
    assert_eq!(far.read_u8().await.unwrap(), b'x');
    read.load(Ordering::Relaxed) - before
}

#[tokio::test]
async fn a_flood_of_bytes_takes_turns() {
    let read = under_way(Flood::of(16 << 10)).await;
    let most = most_of_a_turn(&read).await;
    assert!((1..A_LOT).contains(&most), "{most}");
}

#[tokio::test]
async fn a_client_that_goes_on_after_a_refusal_takes_turns() {
    let read = under_way(Flood::refused()).await;
    let most = most_of_a_turn(&read).await;
    assert!((1..A_LOT).contains(&most), "{most}");
}

#[tokio::test]
async fn a_flood_of_headers_takes_shorter_ones() {
    for payload in [0, 1] {
        let read = under_way(Flood::of(payload)).await;
        let most = most_of_a_turn(&read).await;
        assert!((1..A_LOT_OF_HEADERS).contains(&most), "{most}");
    }
}

#[tokio::test]
async fn sockets_are_looked_at_between_two_turns() {
    let read = under_way(Flood::of(16 << 10)).await;
    for _ in 0..10 {
        let meanwhile = until_a_socket_is_heard(&read).await;
        assert!(meanwhile < 4 * A_LOT, "{meanwhile}");
    }
}

//! What only real sockets do: resets that destroy what was written, buffers of the kernel.

use super::*;
use crate::frame::Opcode::{Binary, Close, Text};
use crate::frame::{CloseBody, ControlFrame, Header};
use crate::net::{Stream, attached};
use crate::relay::{End, LegOutcome};
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// Both ends of a connection over the loopback interface.
async fn connect() -> (TcpStream, Stream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (far, near) = tokio::join!(TcpStream::connect(address), listener.accept());
    let near = near.unwrap().0.into_std().unwrap();
    (far.unwrap(), Stream::Plain(attached(near)))
}

async fn session(rules: Rules) -> (TcpStream, TcpStream, JoinHandle<Outcome>) {
    let (client, client_end) = connect().await;
    let (upstream, upstream_end) = connect().await;
    let control = Arc::new(Control::new());
    let negotiated = Negotiated::default();
    let task = relay(
        client_end,
        upstream_end,
        Early::default(),
        Courses::new(Arc::new(rules)).of(0),
        negotiated,
        0,
        control,
    );
    (client, upstream, tokio::spawn(task))
}

fn masked(opcode: crate::frame::Opcode, payload_len: u64) -> Vec<u8> {
    let mask = Some([0; 4]);
    Header {
        fin: true,
        rsv1: false,
        opcode,
        mask,
        payload_len,
        header_len: 0,
    }
    .encode()
    .to_vec()
}

#[tokio::test]
async fn a_large_message_crosses_and_comes_back() {
    let (mut client, upstream, task) = session(lenient()).await;
    let payload = vec![0x5A; 5_000_000];
    let message = [masked(Binary, payload.len() as u64), payload].concat();
    let (mut from_client, mut to_client) = upstream.into_split();
    let there = async {
        let mut received = vec![0; message.len()];
        from_client.read_exact(&mut received).await.unwrap();
        assert!(received == message);
        let bare = Header {
            mask: None,
            ..Header::parse(&received).unwrap().unwrap()
        };
        to_client.write_all(&bare.encode()).await.unwrap();
        to_client.write_all(&received[14..]).await.unwrap();
        to_client
            .write_all(&ControlFrame::close(Some(1000), "", None))
            .await
            .unwrap();
    };
    let here = async {
        client.write_all(&message).await.unwrap();
        let mut received = vec![0; 10 + 5_000_000 + 4];
        client.read_exact(&mut received).await.unwrap();
        assert!(received[10..10 + 5_000_000] == message[14..]);
        client
            .write_all(&ControlFrame::close(Some(1000), "", Some([0; 4])))
            .await
            .unwrap();
    };
    tokio::join!(there, here);
    let outcome = task.await.unwrap();
    assert_eq!(outcome.end, End::ClosedByUpstream);
    assert_eq!(outcome.to_upstream.bytes, 5_000_000 + 2);
}

#[tokio::test]
async fn the_close_reaches_a_client_that_goes_on_talking() {
    let (mut client, mut upstream, task) = session(lenient()).await;
    client.write_all(b"\xFF").await.unwrap();
    let mut told = [0; 100];
    assert!(upstream.read(&mut told).await.unwrap() > 0);
    upstream
        .write_all(&ControlFrame::close(Some(1001), "", None))
        .await
        .unwrap();
    // Input that nobody reads would turn the end into a reset, and the reset would take the Close along.
    let garbage = vec![0xFF; 3_000_000];
    client.write_all(&garbage).await.unwrap();
    let mut received = Vec::new();
    client.read_to_end(&mut received).await.unwrap();
    let header = Header::parse(&received).unwrap().unwrap();
    assert_eq!(header.opcode, Close);
    let body = CloseBody::parse(&received[header.header_len..]).unwrap();
    assert_eq!(body.code, Some(1002));
    drop(client);
    assert_eq!(task.await.unwrap().client.close_sent, Some(1002));
}

#[tokio::test]
async fn a_reset_behind_a_close_changes_nothing() {
    let (mut client, mut upstream, task) = session(lenient()).await;
    // Unread input makes the upstream's end a reset, behind its Close.
    client.write_all(&masked(Text, 0)).await.unwrap();
    upstream.readable().await.unwrap();
    upstream
        .write_all(&ControlFrame::close(Some(4000), "gone", None))
        .await
        .unwrap();
    let mut close = [0; 8];
    client.read_exact(&mut close).await.unwrap();
    drop(upstream);
    client.write_all(&masked(Text, 0)).await.unwrap();
    client
        .write_all(&ControlFrame::close(Some(4000), "", Some([0; 4])))
        .await
        .unwrap();
    let outcome = task.await.unwrap();
    assert_eq!(outcome.end, End::ClosedByUpstream);
    let codes = LegOutcome {
        close_received: Some(4000),
        close_sent: Some(4000),
        cut_mid_frame: false,
    };
    assert_eq!(outcome.client, codes);
}

/// A socket that counts how often it is read.
struct Counted {
    stream: Stream,
    reads: Arc<AtomicU32>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Wire for Counted {
    fn is_drained(&self, cx: &Context<'_>) -> bool {
        self.stream.is_drained(cx)
    }

    fn limit_silence(&self, _limit: Duration) {}
}

#[tokio::test]
async fn a_message_is_one_read_and_the_other_leg_is_left_alone() {
    const MESSAGES: u32 = 50;
    let (mut client, client_end) = connect().await;
    let (mut upstream, upstream_end) = connect().await;
    let reads = [(); 2].map(|()| Arc::<AtomicU32>::default());
    let counted = |stream, reads: &Arc<AtomicU32>| Counted {
        stream,
        reads: reads.clone(),
    };
    let task = tokio::spawn(relay(
        counted(client_end, &reads[0]),
        counted(upstream_end, &reads[1]),
        Early::default(),
        Courses::new(Arc::new(lenient())).of(0),
        Negotiated::default(),
        0,
        Arc::new(Control::new()),
    ));
    let message = [masked(Text, 5), b"hello".to_vec()].concat();
    let mut received = vec![0; message.len()];
    for _ in 0..MESSAGES {
        client.write_all(&message).await.unwrap();
        upstream.read_exact(&mut received).await.unwrap();
        assert_eq!(received, message);
    }
    // The first read of a leg finds that it must wait, and so may the one behind an early message.
    let [from_client, from_upstream] = reads.map(|reads| reads.load(Ordering::Relaxed));
    assert!(
        (MESSAGES..MESSAGES + 3).contains(&from_client),
        "{from_client}"
    );
    assert!(from_upstream < 3, "{from_upstream}");
    drop((client, upstream));
    task.await.unwrap();
}

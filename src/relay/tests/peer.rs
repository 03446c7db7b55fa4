//! The far end of a leg: sends frames, or any bytes, and reads what comes.

use crate::frame::{CloseBody, Header, MAX_HEADER, Opcode, mask};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const KEY: [u8; 4] = [0xA1, 0x02, 0xF3, 0x44];

/// A client or a server of RFC 6455, or what pretends to be one.
pub(super) struct Peer {
    pub(super) stream: DuplexStream,
    masks: bool,
}

/// A frame that arrived, unmasked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) header: Header,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    pub(super) fn opcode(&self) -> Opcode {
        self.header.opcode
    }

    /// The code and the reason, if this is a Close.
    #[track_caller]
    pub(super) fn close(&self) -> (Option<u16>, &str) {
        assert_eq!(self.opcode(), Opcode::Close, "{self:?}");
        let body = CloseBody::parse(&self.payload).unwrap();
        (body.code, body.reason)
    }
}

impl Peer {
    pub(super) fn client(stream: DuplexStream) -> Self {
        Self {
            stream,
            masks: true,
        }
    }

    pub(super) fn server(stream: DuplexStream) -> Self {
        Self {
            stream,
            masks: false,
        }
    }

    /// The bytes of a frame as this peer sends it.
    pub(super) fn frame(&self, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
        self.fragment(opcode, true, payload)
    }

    pub(super) fn fragment(&self, opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
        let mut bytes = self.header(opcode, fin, payload.len() as u64);
        let start = bytes.len();
        bytes.extend_from_slice(payload);
        if self.masks {
            mask::apply(&mut bytes[start..], KEY);
        }
        bytes
    }

    pub(super) fn header(&self, opcode: Opcode, fin: bool, payload_len: u64) -> Vec<u8> {
        let mask = self.masks.then_some(KEY);
        Header {
            fin,
            rsv1: false,
            opcode,
            mask,
            payload_len,
            header_len: 0,
        }
        .encode()
        .to_vec()
    }

    pub(super) fn close_frame(&self, code: u16, reason: &str) -> Vec<u8> {
        self.frame(
            Opcode::Close,
            &[&code.to_be_bytes(), reason.as_bytes()].concat(),
        )
    }

    /// Sends bytes as they are.
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(super) async fn send_frame(&mut self, opcode: Opcode, payload: &[u8]) {
        let frame = self.frame(opcode, payload);
        self.send(&frame).await;
    }

    pub(super) async fn send_close(&mut self, code: u16, reason: &str) {
        let frame = self.close_frame(code, reason);
        self.send(&frame).await;
    }

    /// Sends bytes unless the other end is gone.
    pub(super) async fn stream_write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// Ends this direction.
    pub(super) async fn finish(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Reads exactly these bytes.
    pub(super) async fn expect(&mut self, bytes: &[u8]) {
        let mut read = vec![0; bytes.len()];
        self.stream.read_exact(&mut read).await.unwrap();
        assert_eq!(read, bytes);
    }

    /// The next frame; the stream must not end before its end.
    pub(super) async fn read_frame(&mut self) -> Frame {
        self.next_frame().await.expect("the stream ended")
    }

    /// The next frame, or the end of the stream.
    pub(super) async fn next_frame(&mut self) -> Option<Frame> {
        let mut bytes = Vec::with_capacity(MAX_HEADER);
        let header = loop {
            if let Some(header) = Header::parse(&bytes).unwrap() {
                break header;
            }
            match self.stream.read_u8().await {
                Ok(byte) => bytes.push(byte),
                Err(_) if bytes.is_empty() => return None,
                Err(error) => panic!("inside a header: {error}"),
            }
        };
        let mut payload = vec![0; header.payload_len as usize];
        self.stream.read_exact(&mut payload).await.unwrap();
        mask::apply(&mut payload, header.mask.unwrap_or_default());
        assert_eq!(
            header.mask.is_some(),
            !self.masks,
            "clients mask, servers don't"
        );
        Some(Frame { header, payload })
    }

    /// All that comes until the stream ends.
    pub(super) async fn read_rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).await.unwrap();
        rest
    }

    #[track_caller]
    pub(super) fn assert_silent(&mut self) {
        use std::task::{Context, Poll, Waker};
        use tokio::io::{AsyncRead, ReadBuf};
        let mut room = [0; 64];
        let mut room = ReadBuf::new(&mut room);
        let mut cx = Context::from_waker(Waker::noop());
        let polled = std::pin::Pin::new(&mut self.stream).poll_read(&mut cx, &mut room);
        assert!(matches!(polled, Poll::Pending), "{:02x?}", room.filled());
    }
}

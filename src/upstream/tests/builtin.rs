//! The built-in echo as an upstream like any other, spoken to by a client that is not ours.

use super::*;
use crate::net::Stream;
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

fn echo_pool() -> Pool {
    pool(settings(vec![EndpointAddress::Echo]))
}

async fn client(pool: &Pool) -> WebSocketStream<Stream> {
    let opened = pool.open(&ask()).await.unwrap();
    let unlimited = WebSocketConfig::default()
        .max_message_size(None)
        .max_frame_size(None);
    WebSocketStream::from_raw_socket(opened.stream, Role::Client, Some(unlimited)).await
}

#[tokio::test]
async fn text_and_binary_come_back() {
    let mut client = client(&echo_pool()).await;
    let large = vec![7; 300_000];
    for message in [
        Message::text("hällo"),
        Message::binary(vec![0, 255]),
        Message::text(""),
        Message::binary(large),
    ] {
        // Both at once: what does not fit into the pipe has to be read meanwhile.
        let (mut sink, mut stream) = (&mut client).split();
        let (sent, back) = tokio::join!(sink.send(message.clone()), stream.next());
        sent.unwrap();
        assert_eq!(back.unwrap().unwrap(), message);
    }
}

#[tokio::test]
async fn a_close_is_answered_with_its_code() {
    let mut client = client(&echo_pool()).await;
    let close = CloseFrame {
        code: 3001.into(),
        reason: "done".into(),
    };
    client.close(Some(close.clone())).await.unwrap();
    let answer = client.next().await.unwrap().unwrap();
    assert_eq!(answer, Message::Close(Some(close)));
    assert!(client.next().await.is_none());
}

#[tokio::test]
async fn a_ping_is_answered() {
    let mut client = client(&echo_pool()).await;
    let ping = Message::Ping("are you there".into());
    client.send(ping).await.unwrap();
    let answer = client.next().await.unwrap().unwrap();
    assert_eq!(answer, Message::Pong("are you there".into()));
}

#[tokio::test]
async fn a_message_over_the_limit_ends_it() {
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
    use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};
    let mut client = client(&echo_pool()).await;
    let half = vec![0; 9 * 1024 * 1024];
    let part = |opcode| {
        let header = FrameHeader {
            is_final: false,
            opcode,
            mask: Some([1, 2, 3, 4]),
            ..FrameHeader::default()
        };
        Message::Frame(Frame::from_payload(header, half.clone().into()))
    };
    let (mut sink, stream) = (&mut client).split();
    let send = async {
        sink.send(part(OpCode::Data(Data::Binary))).await.unwrap();
        // The echo may be gone before all of it is sent.
        let _ = sink.send(part(OpCode::Data(Data::Continue))).await;
    };
    let last = async {
        let mut messages = stream;
        loop {
            match messages.next().await {
                Some(Ok(Message::Close(Some(close)))) => return u16::from(close.code),
                Some(Ok(_)) => {}
                other => panic!("{other:?} instead of a Close"),
            }
        }
    };
    let ((), code) = tokio::join!(send, last);
    assert_eq!(code, 1009);
}

#[tokio::test]
async fn the_first_subprotocol_that_is_offered_is_spoken() {
    let mut ask = ask();
    ask.subprotocols = vec!["chat.v2".to_owned(), "chat.v1".to_owned()];
    let opened = echo_pool().open(&ask).await.unwrap();
    assert_eq!(opened.subprotocol.as_deref(), Some("chat.v2"));
    assert_eq!(opened.lease.name(), "builtin:echo");
}

#[tokio::test]
async fn the_pool_tells_whether_it_is_built_in() {
    assert!(echo_pool().is_builtin());
    assert!(!pool_of(&["127.0.0.1:1".parse().unwrap()]).is_builtin());
}

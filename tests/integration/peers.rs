//! Somebody else's client and server, tokio-tungstenite's, through the gateway.

use crate::harness::{Gateway, peer, within};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(gateway: &Gateway) -> Client {
    let connecting = connect_async(format!("ws://{}/", gateway.address()));
    within("connecting", connecting).await.unwrap().0
}

async fn next(client: &mut Client) -> Message {
    within("a message", client.next()).await.unwrap().unwrap()
}

#[tokio::test]
async fn messages_of_every_size_come_back() {
    let echo = peer::echo().await;
    let gateway = Gateway::before(echo.url());
    let mut client = connect(&gateway).await;
    for length in [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20, 5 << 20] {
        let binary = Message::Binary(Bytes::from(vec![length as u8; length]));
        let text = Message::text("ż".repeat(length / 2));
        for message in [binary, text] {
            client.send(message.clone()).await.unwrap();
            assert!(next(&mut client).await == message, "{length} bytes");
        }
    }
}

#[tokio::test]
async fn many_messages_come_back_in_order() {
    let echo = peer::echo().await;
    let gateway = Gateway::before(echo.url());
    let (mut sink, mut stream) = connect(&gateway).await.split();
    let count = 5000;
    let sending = async {
        for number in 0..count {
            sink.feed(Message::text(number.to_string())).await.unwrap();
        }
        sink.flush().await.unwrap();
    };
    let receiving = async {
        for number in 0..count {
            let message = stream.next().await.unwrap().unwrap();
            assert_eq!(message, Message::text(number.to_string()));
        }
    };
    within("all messages", async { tokio::join!(sending, receiving) }).await;
}

#[tokio::test]
async fn pings_are_answered_by_the_server_itself() {
    let echo = peer::echo().await;
    let gateway = Gateway::before(echo.url());
    let mut client = connect(&gateway).await;
    client
        .send(Message::Ping("are you there".into()))
        .await
        .unwrap();
    assert_eq!(
        next(&mut client).await,
        Message::Pong("are you there".into())
    );
}

#[tokio::test]
async fn a_close_is_answered_by_the_server_itself() {
    let echo = peer::echo().await;
    let gateway = Gateway::before(echo.url());
    let mut client = connect(&gateway).await;
    let close = CloseFrame {
        code: CloseCode::Library(4001),
        reason: "done".into(),
    };
    client
        .send(Message::Close(Some(close.clone())))
        .await
        .unwrap();
    assert_eq!(next(&mut client).await, Message::Close(Some(close)));
    let end = within("the end", client.next()).await;
    assert!(
        matches!(end, None | Some(Err(Error::ConnectionClosed))),
        "{end:?}"
    );
    gateway.has_sessions(0).await;
}

#[tokio::test]
async fn a_refusal_is_understood() {
    let echo = peer::echo().await;
    let gateway = Gateway::route(echo.url(), "path = \"/chat\"");
    let error = connect_async(format!("ws://{}/", gateway.address()))
        .await
        .unwrap_err();
    let Error::Http(answer) = error else {
        panic!("{error}")
    };
    assert_eq!(answer.status(), 404);
}

#[tokio::test]
async fn a_subprotocol_is_agreed_on() {
    let chooses = peer::chooses_subprotocol("chat.v1").await;
    let gateway = Gateway::before(chooses.url());
    let mut request = format!("ws://{}/", gateway.address())
        .into_client_request()
        .unwrap();
    let offer = "chat.v2, chat.v1".parse().unwrap();
    request
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", offer);
    let (_, answer) = within("connecting", connect_async(request)).await.unwrap();
    assert_eq!(answer.headers()["Sec-WebSocket-Protocol"], "chat.v1");
}

#[tokio::test]
async fn the_builtin_echo_is_a_proper_server() {
    let gateway = Gateway::before("builtin:echo");
    let mut client = connect(&gateway).await;
    for message in [
        Message::text("hello"),
        Message::Binary(vec![1; 300_000].into()),
        Message::text(""),
    ] {
        client.send(message.clone()).await.unwrap();
        assert!(next(&mut client).await == message);
    }
    client.send(Message::Ping("x".into())).await.unwrap();
    assert_eq!(next(&mut client).await, Message::Pong("x".into()));
    client.close(None).await.unwrap();
    while let Some(Ok(_)) = within("the end", client.next()).await {}
    gateway.has_sessions(0).await;
}

#[tokio::test]
async fn a_hundred_sessions_at_once_do_not_mix() {
    let echo = peer::echo().await;
    let gateway = Gateway::before(echo.url());
    let mut clients = Vec::new();
    for number in 0..100 {
        let mut client = connect(&gateway).await;
        client
            .send(Message::text(format!("mine is {number}")))
            .await
            .unwrap();
        clients.push(client);
    }
    gateway.has_sessions(100).await;
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(
            next(client).await,
            Message::text(format!("mine is {number}"))
        );
    }
    drop(clients);
    gateway.has_sessions(0).await;
}

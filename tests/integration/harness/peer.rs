//! Upstreams that serve by themselves. The name is the fault.

use super::{Frame, Leg, Upstream};
use futures_util::{SinkExt, StreamExt};
use std::future::Future;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

/// An upstream at work; ends with the test.
pub struct Peer {
    url: String,
    task: JoinHandle<()>,
}

impl Peer {
    pub fn url(&self) -> String {
        self.url.clone()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A proper server, tokio-tungstenite's: sends every message back, answers pings and Close.
pub async fn echo() -> Peer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut socket = tokio_tungstenite::accept_async(stream).await?;
                while let Some(message) = socket.next().await {
                    match message? {
                        echoed @ (Message::Text(_) | Message::Binary(_)) => {
                            socket.send(echoed).await?;
                        }
                        _ => socket.flush().await?,
                    }
                }
                Ok::<_, tokio_tungstenite::tungstenite::Error>(())
            });
        }
    });
    Peer { url, task }
}

/// Agrees, and tells by `X-Served-By` who it is; then keeps quiet.
pub async fn named(name: &'static str) -> Peer {
    each(move |mut leg| async move {
        leg.take_request().await;
        leg.agree_with(&format!("X-Served-By: {name}\r\n")).await;
        let _ = leg.rest().await;
    })
    .await
}

/// Agrees to the token `chosen`, offered or not.
pub async fn chooses_subprotocol(chosen: &'static str) -> Peer {
    agrees_with(format!("Sec-WebSocket-Protocol: {chosen}\r\n")).await
}

/// Agrees with more header lines, each ended by CRLF.
pub async fn agrees_with(headers: impl Into<String>) -> Peer {
    let headers: Arc<str> = headers.into().into();
    each(move |mut leg| {
        let headers = headers.clone();
        async move {
            leg.take_request().await;
            leg.agree_with(&headers).await;
            let _ = leg.rest().await;
        }
    })
    .await
}

/// Takes the connection and never says a word.
pub async fn silent() -> Peer {
    each(|mut leg| async move {
        let _ = leg.rest().await;
    })
    .await
}

/// Answers every request with these bytes, whatever it asked, and keeps the connection open.
pub async fn answers(bytes: impl Into<Vec<u8>>) -> Peer {
    let bytes: Arc<[u8]> = bytes.into().into();
    each(move |mut leg| {
        let bytes = bytes.clone();
        async move {
            leg.take_request().await;
            // The gateway may have had enough before the end.
            let _ = leg.try_send(&bytes).await;
            let _ = leg.rest().await;
        }
    })
    .await
}

/// A proper server of ordinary requests over connections that it keeps: answers each with its target,
/// in the header `x-asked` and in the body, in every framing in turn, some with an interim answer.
pub async fn tells_what_was_asked() -> Peer {
    each(|mut leg| async move {
        for turn in 0_usize.. {
            if !leg.take_next_request().await {
                return;
            }
            let target = leg.asked_line().split(' ').nth(1).unwrap().to_owned();
            let is_head = leg.asked_line().starts_with("HEAD ");
            let mut answer = if turn % 3 == 1 {
                "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".to_owned()
            } else {
                String::new()
            };
            let ok = format!("HTTP/1.1 200 OK\r\nX-Asked: {target}\r\n");
            let body = if is_head { "" } else { target.as_str() };
            let length = target.len();
            answer += &match turn % 2 {
                0 => format!("{ok}Content-Length: {length}\r\n\r\n{body}"),
                _ if is_head => format!("{ok}Transfer-Encoding: chunked\r\n\r\n"),
                _ => format!(
                    "{ok}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
                ),
            };
            if leg.try_send(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await
}

/// Agrees and resets the connection at once.
pub async fn resets_after_101() -> Peer {
    each(|mut leg| async move {
        leg.take_request().await;
        leg.agree().await;
        leg.reset();
    })
    .await
}

/// Accepts and hangs up before any answer, without reading.
pub async fn hangs_up() -> Peer {
    each(|leg| async move { drop(leg) }).await
}

/// Agrees, sends half of a frame and hangs up.
pub async fn closes_mid_frame() -> Peer {
    each(|mut leg| async move {
        leg.take_request().await;
        leg.agree().await;
        leg.send(&Frame::text("cut in two").bytes()[..6]).await;
    })
    .await
}

/// An address where nobody listens.
pub async fn nobody() -> String {
    let upstream = Upstream::bind().await;
    upstream.url()
}

async fn each<F>(behaviour: impl Fn(Leg) -> F + Send + Sync + 'static) -> Peer
where
    F: Future<Output = ()> + Send + 'static,
{
    let upstream = Upstream::bind().await;
    let url = upstream.url();
    let task = tokio::spawn(async move {
        loop {
            let leg = upstream.accept_forever().await;
            tokio::spawn(behaviour(leg));
        }
    });
    Peer { url, task }
}

//! The echo itself: an ordinary WebSocket server at the other end of a pipe, so that nothing in the
//! gateway treats it differently from one over the network.

use fastwebsockets::{Frame, OpCode, WebSocket, WebSocketError, upgrade};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, duplex};

/// Bytes on their way in one direction.
const PIPE_SIZE: usize = 64 * 1024;
/// Bytes of one message; a longer one is the end.
const MESSAGE_LIMIT: usize = 16 * 1024 * 1024;

/// A connection to the echo, which ends with it.
pub(in crate::upstream) fn dial() -> DuplexStream {
    let (near, far) = duplex(PIPE_SIZE);
    tokio::spawn(serve(far));
    near
}

async fn serve(far: DuplexStream) {
    let connection = http1::Builder::new()
        .serve_connection(TokioIo::new(far), service_fn(answer))
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the echo broke");
    }
}

async fn answer(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let subprotocol = first_offered(request.headers());
    let Ok((mut response, upgraded)) = upgrade::upgrade(&mut request) else {
        let mut refusal = Response::new(Empty::new());
        *refusal.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(refusal);
    };
    if let Some(subprotocol) = subprotocol {
        let headers = response.headers_mut();
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, subprotocol);
    }
    tokio::spawn(async move {
        match upgraded.await {
            Ok(socket) => talk(socket).await,
            Err(error) => tracing::debug!(%error, "an echo did not begin"),
        }
    });
    Ok(response)
}

async fn talk(socket: WebSocket<TokioIo<Upgraded>>) {
    if let Err(error) = echo(socket).await {
        tracing::debug!(%error, "an echo ended");
    }
}

/// Sends each frame back as it came. Text was checked for UTF-8 by the gateway before it got here;
/// pings and the Close are answered by the library.
async fn echo<S>(mut socket: WebSocket<S>) -> Result<(), WebSocketError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // The library's limit is for frames, and excludes the limit itself.
    socket.set_max_message_size(MESSAGE_LIMIT + 1);
    let mut message = 0;
    loop {
        let frame = match socket.read_frame().await {
            Ok(frame) => frame,
            Err(WebSocketError::FrameTooLarge) => return too_large(&mut socket).await,
            Err(error) => return Err(error),
        };
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Ping | OpCode::Pong => continue,
            OpCode::Text | OpCode::Binary => message = frame.payload.len(),
            OpCode::Continuation => message += frame.payload.len(),
        }
        if message > MESSAGE_LIMIT {
            return too_large(&mut socket).await;
        }
        // A new one, since the mask of the old one would be written too.
        let back = Frame::new(frame.fin, frame.opcode, None, frame.payload);
        socket.write_frame(back).await?;
    }
}

async fn too_large<S>(socket: &mut WebSocket<S>) -> Result<(), WebSocketError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let close = Frame::close(1009, b"message too large");
    socket.write_frame(close).await
}

/// An echo speaks whatever is asked for.
fn first_offered(headers: &HeaderMap) -> Option<HeaderValue> {
    let offer = headers.get(header::SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    let first = offer.split(',').next()?.trim();
    HeaderValue::try_from(first).ok()
}

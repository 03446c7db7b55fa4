//! An endpoint that does one thing, usually wrong; its name is the fault.

use crate::http::accept_key;
use crate::net::Stream;
use crate::upstream::OpenError;
use crate::upstream::open::{Answer, open};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::Instant;

/// What an endpoint does when it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    Agrees,
    AgreesAndSpeaksAtOnce,
    AgreesAfterInterim,
    AgreesByteByByte,
    /// Time passes meanwhile, more than anybody waits for an answer.
    AcceptsAndStaysSilent,
    ClosesBeforeAnswer,
    ResetsBeforeAnswer,
    AnswersSlowly,
    /// Ends after so many bytes of a good answer.
    CutsItsHeadAt(usize),
    WrongAccept,
    UpgradesToH2c,
    ChoosesUnofferedProtocol,
    ChoosesUnofferedExtension,
    FloodsInterimResponses,
    ClosesAfterInterim,
    HugeHead,
    SpeaksAnotherProtocol,
    /// Answers whatever comes first, a ClientHello too.
    RefusesUnheard,
    ResetsAfter101,
    /// Answers with these bytes and closes.
    Says(&'static str),
    /// Answers with these bytes and keeps the connection open.
    SaysAndStays(&'static str),
}

/// An endpoint at work as long as the test's runtime.
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    asked: Arc<Mutex<Vec<String>>>,
    begun: Arc<Notify>,
}

impl Peer {
    pub(super) async fn that(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = Self {
            address: listener.local_addr().unwrap(),
            accepted: Arc::default(),
            asked: Arc::default(),
            begun: Arc::default(),
        };
        let (accepted, asked) = (Arc::clone(&peer.accepted), Arc::clone(&peer.asked));
        let begun = Arc::clone(&peer.begun);
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                accepted.fetch_add(1, Ordering::Relaxed);
                let (asked, begun) = (Arc::clone(&asked), Arc::clone(&begun));
                tokio::spawn(serve(socket, behaviour, asked, begun));
            }
        });
        peer
    }

    /// Connections that came.
    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Ends when something was sent to it.
    pub(super) async fn is_asked(&self) {
        self.begun.notified().await;
    }

    /// The request heads that came, in order.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(
    mut socket: TcpStream,
    behaviour: Behaviour,
    asked: Arc<Mutex<Vec<String>>>,
    begun: Arc<Notify>,
) {
    // A first byte shows that the other side waits for an answer now, if only to a ClientHello.
    let _ = socket.peek(&mut [0]).await;
    begun.notify_one();
    if behaviour == Behaviour::AcceptsAndStaysSilent {
        let_time_pass(Duration::from_secs(11)).await;
        return std::future::pending().await;
    }
    if behaviour == Behaviour::RefusesUnheard {
        return say(&mut socket, "HTTP/1.1 400 Bad Request\r\n\r\n").await;
    }
    let request = read_head(&mut socket).await;
    asked.lock().unwrap().push(request.clone());
    behave(&mut socket, behaviour, &request).await;
}

/// Puts the clock forward. A clock that is paused for good would jump to the next deadline while
/// bytes are on their way through the kernel.
async fn let_time_pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Plays `behaviour` on a stream whose request was read.
pub(super) async fn behave<S>(socket: &mut S, behaviour: Behaviour, request: &str)
where
    S: AsyncRead + AsyncWrite + Unpin + Resets,
{
    use Behaviour::*;
    let good = good_answer(request);
    let stays = !matches!(
        behaviour,
        ClosesBeforeAnswer | CutsItsHeadAt(_) | ClosesAfterInterim | Says(_)
    );
    match behaviour {
        Agrees => say(socket, &good).await,
        AgreesAndSpeaksAtOnce => say(socket, &format!("{good}\u{1}\u{2}hi")).await,
        AgreesAfterInterim => {
            let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
            say(
                socket,
                &format!("HTTP/1.1 100 Continue\r\n\r\n{hints}{good}"),
            )
            .await;
        }
        AgreesByteByByte => {
            for byte in good.chars() {
                say(socket, &byte.to_string()).await;
                tokio::task::yield_now().await;
            }
        }
        AnswersSlowly => {
            for byte in good.chars() {
                tokio::time::sleep(Duration::from_secs(1)).await;
                say(socket, &byte.to_string()).await;
            }
        }
        CutsItsHeadAt(length) => say(socket, &good[..length]).await,
        WrongAccept => {
            let wrong = accept_key("another key");
            say(socket, &good.replace(&accept_of(request), &wrong)).await;
        }
        UpgradesToH2c => say(socket, &good.replace("websocket", "h2c")).await,
        ChoosesUnofferedProtocol => say_with(socket, &good, "Sec-WebSocket-Protocol: other").await,
        ChoosesUnofferedExtension => {
            say_with(
                socket,
                &good,
                "Sec-WebSocket-Extensions: permessage-deflate",
            )
            .await;
        }
        FloodsInterimResponses => {
            let flood = "HTTP/1.1 102 Processing\r\n\r\n".repeat(5);
            say(socket, &format!("{flood}{good}")).await;
        }
        ClosesAfterInterim => say(socket, "HTTP/1.1 100 Continue\r\n\r\n").await,
        HugeHead => {
            let lines = format!("X-Padding: {}\r\n", "x".repeat(1000)).repeat(20);
            say(
                socket,
                &good.replace("\r\n\r\n", &format!("\r\n{lines}\r\n")),
            )
            .await;
        }
        SpeaksAnotherProtocol => say(socket, "SSH-2.0-OpenSSH_9.9\r\n").await,
        ResetsAfter101 => {
            say(socket, &good).await;
            socket.reset();
        }
        ResetsBeforeAnswer => socket.reset(),
        Says(bytes) | SaysAndStays(bytes) => say(socket, bytes).await,
        ClosesBeforeAnswer | AcceptsAndStaysSilent | RefusesUnheard => {}
    }
    if stays && !matches!(behaviour, ResetsAfter101 | ResetsBeforeAnswer) {
        // Until the other side has gone.
        let _ = socket.read(&mut [0]).await;
    }
}

/// Asks a peer at the other end of a pipe, where the clock may be paused.
pub(super) async fn answer(behaviour: Behaviour) -> Result<Answer, OpenError> {
    let (near, mut far) = duplex(64 * 1024);
    let (mut stream, ask) = (Stream::Memory(Box::new(near)), super::ask());
    let until = Instant::now() + Duration::from_secs(10);
    let peer = async move {
        let request = read_head(&mut far).await;
        match behaviour {
            Behaviour::AcceptsAndStaysSilent => {}
            behaviour => {
                behave(&mut far, behaviour, &request).await;
                drop(far);
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answer = open(&mut stream, &ask, "chat.test", "one", until) => answer,
        () = peer => unreachable!("a peer never ends"),
    }
}

/// Streams that can be made to end with RST.
pub(super) trait Resets {
    fn reset(&self);
}

/// A pipe has no RST.
impl Resets for DuplexStream {
    fn reset(&self) {}
}

impl Resets for TcpStream {
    fn reset(&self) {
        let now = Some(Duration::ZERO);
        rustix::net::sockopt::set_socket_linger(self, now).unwrap();
    }
}

async fn say<S: AsyncWrite + Unpin>(socket: &mut S, bytes: &str) {
    // The other side may have had enough of it.
    let _ = socket.write_all(bytes.as_bytes()).await;
    let _ = socket.flush().await;
}

async fn say_with<S: AsyncWrite + Unpin>(socket: &mut S, good: &str, line: &str) {
    say(
        socket,
        &good.replace("\r\n\r\n", &format!("\r\n{line}\r\n\r\n")),
    )
    .await;
}

pub(super) async fn read_head<S: AsyncRead + Unpin>(socket: &mut S) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match socket.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

pub(super) fn good_answer(request: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\nX-Served-By: one\r\nKeep-Alive: timeout=5\r\n\r\n",
        accept_of(request)
    )
}

fn accept_of(request: &str) -> String {
    let key = request
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    accept_key(key.unwrap_or_default())
}

//! The small HTTP server behind `[health]` and `[admin]`: one request a connection, each within its
//! time, so many connections and no more.
//!
//! When there are too many the oldest goes, not the newest: somebody who opens connections and says
//! nothing keeps no probe out.

use super::desk::Desk;
use crate::net::{AcceptFault, Accepted, Acceptor, Listening};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{debug, error};

/// How long a request's head may take.
const HEAD: Duration = Duration::from_secs(5);
/// How long a connection may last, the taking of the answer included.
const LIFETIME: Duration = Duration::from_secs(30);
/// Connections at a time, for each address.
const CONNECTIONS: usize = 128;
/// Bytes of a request's head at most; hyper takes no less.
const HEAD_SIZE: usize = 8 * 1024;
/// How long accepting rests when the process or the system has run out of something.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(200);

/// The thread that answers; dropping it ends it.
#[derive(Debug)]
pub struct Server {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers at each of these sockets from now on.
    ///
    /// # Errors
    /// If the operating system gives no thread or no epoll instance.
    pub fn start(desks: Vec<(Listening, Desk)>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("wsgate-admin".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let mut serving = JoinSet::new();
                    for (listening, desk) in desks {
                        serving.spawn(serve(listening, Arc::new(desk)));
                    }
                    // The sender's end, by word or by drop, ends everything here.
                    let _ = stopped.await;
                });
                runtime.shutdown_background();
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the thread that answers probes had panicked");
        }
    }
}

/// Never ends by itself.
async fn serve(listening: Listening, desk: Arc<Desk>) {
    let served = async {
        let acceptor = listening.into_acceptor()?;
        accept_all(&acceptor, &desk).await
    };
    if let Err(cause) = served.await {
        error!(%cause, "the address for probes and metrics is unusable and accepts no more");
    }
}

async fn accept_all(acceptor: &Acceptor, desk: &Arc<Desk>) -> io::Result<()> {
    let mut connections = Connections::default();
    loop {
        match acceptor.accept().await {
            Ok(accepted) => connections.add(converse_with(accepted, desk.clone())),
            Err(cause) => match AcceptFault::of(&cause) {
                AcceptFault::Connection => {}
                AcceptFault::Listener => return Err(cause),
                AcceptFault::Exhausted => sleep(EXHAUSTED_PAUSE).await,
            },
        }
    }
}

/// Those that are open, the oldest first. Dropping it ends them.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    order: VecDeque<AbortHandle>,
}

impl Connections {
    fn add(&mut self, connection: impl Future<Output = ()> + Send + 'static) {
        while self.tasks.try_join_next().is_some() {}
        self.order.retain(|task| !task.is_finished());
        if self.order.len() >= CONNECTIONS
            && let Some(oldest) = self.order.pop_front()
        {
            oldest.abort();
        }
        self.order.push_back(self.tasks.spawn(connection));
    }
}

async fn converse_with(accepted: Accepted, desk: Arc<Desk>) {
    match accepted.socket.attach() {
        Ok(socket) => converse(socket, desk).await,
        Err(cause) => debug!(%cause, "a connection for probes and metrics"),
    }
}

/// One request and its answer.
async fn converse<S>(stream: S, desk: Arc<Desk>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let answer = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let desk = desk.clone();
        async move { Ok::<_, Infallible>(desk.answer(&request.into_parts().0).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_SIZE)
        .half_close(true)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer);
    match timeout(LIFETIME, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(cause)) => debug!(%cause, "a connection for probes and metrics"),
        Err(_) => debug!("a connection for probes and metrics took too long"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::Offer;
    use crate::config;
    use crate::gateway::{Gate, Site, Threads, Workers};
    use crate::telemetry::AccessLog;
    use std::path::Path;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::Instant;

    fn desk() -> (Arc<Desk>, Threads) {
        let toml = "admin.address = \"127.0.0.1:0\"\n[[listeners]]\naddress = \"127.0.0.1:0\"\n\
                    [[routes]]\nupstream = \"builtin:echo\"\n";
        let settings = config::parse(toml, Path::new("wsgate.toml"));
        let settings = settings.unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        let site = Arc::new(Site::assemble(&settings).unwrap());
        let (workers, threads) = Workers::start(1).unwrap();
        let gate = Gate::new(site, workers, &settings.server, AccessLog::new(false));
        let tokens = crate::admin::Tokens::new(&settings.admin.unwrap());
        let desk = Desk::new(Arc::new(gate), Offer::Admin(tokens));
        (Arc::new(desk), threads)
    }

    /// Runs a connection to its end with a client that only says `words`; how long it took.
    async fn lasts(words: &str, room: usize) -> (Duration, DuplexStream) {
        let (desk, threads) = desk();
        let (near, mut far) = duplex(room);
        let started = Instant::now();
        let ((), far) = tokio::join!(converse(near, desk), async {
            far.write_all(words.as_bytes()).await.unwrap();
            far
        });
        let took = started.elapsed();
        threads.stop();
        (took, far)
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_come_is_not_waited_for() {
        for words in ["", "GET /metrics HTTP/1.1\r\nHost: loc"] {
            let (took, _) = lasts(words, 1024).await;
            assert!(took >= HEAD && took < LIFETIME, "{words}: {took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_no_answer_is_cut() {
        let words = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let (took, mut far) = lasts(words, 128).await;
        assert!(took >= LIFETIME && took < 2 * LIFETIME, "{took:?}");
        let mut answer = String::new();
        far.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.len() <= 128, "{answer}");
    }

    #[tokio::test]
    async fn of_too_many_connections_the_oldest_goes() {
        let mut connections = Connections::default();
        let mut ends = VecDeque::new();
        for _ in 0..CONNECTIONS {
            let (held, end) = oneshot::channel::<()>();
            ends.push_back(end);
            connections.add(async move {
                let _held = held;
                std::future::pending::<()>().await;
            });
        }
        connections.add(async {});
        assert!(ends.pop_front().unwrap().await.is_err());
        for mut end in ends {
            assert!(
                end.try_recv()
                    .is_err_and(|error| error == oneshot::error::TryRecvError::Empty)
            );
        }
    }
}

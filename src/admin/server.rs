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

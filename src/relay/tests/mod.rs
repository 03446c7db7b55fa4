//! The relay between in-memory peers, under a paused clock.

mod closing;
mod direction;
mod heartbeat;
mod passing;
mod peer;
mod pressure;
mod rates;
mod simulation;
mod sockets;
mod stream;
mod tally;
mod turns;

use super::{Control, Course, Courses, Early, Negotiated, Outcome, Relayed, Rules, Wire};
use peer::Peer;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use stream::{Fault, TestStream};
use tokio::task::JoinHandle;

/// No rule but those of RFC 6455.
fn lenient() -> Rules {
    Rules {
        max_message_size: None,
        validate_utf8: true,
        ping_interval: None,
        pong_timeout: Duration::from_secs(10),
        idle: None,
        max_duration: None,
        write: None,
        close: Duration::from_secs(5),
        limits: Vec::new(),
    }
}

/// A session as a future that has its control.
struct Task<S> {
    relayed: Relayed<S>,
    control: Arc<Control>,
}

fn relay<S: Wire>(
    client: S,
    upstream: S,
    early: Early,
    course: Arc<Course>,
    negotiated: Negotiated,
    account: u64,
    control: Arc<Control>,
) -> Task<S> {
    Task {
        relayed: super::relay(client, upstream, early, course, negotiated, account),
        control,
    }
}

impl<S: Wire + Unpin> Future for Task<S> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let Self { relayed, control } = &mut *self;
        relayed.poll(cx, control)
    }
}

impl<S> Drop for Task<S> {
    fn drop(&mut self) {
        self.control.forget_waker();
    }
}

/// A session under way between two peers.
struct Rig {
    client: Peer,
    upstream: Peer,
    client_fault: Fault,
    upstream_fault: Fault,
    control: Arc<Control>,
    courses: Courses,
    task: JoinHandle<Outcome>,
}

impl Rig {
    fn new(rules: Rules) -> Self {
        Self::with(rules, Negotiated::default(), Early::default(), 1 << 20)
    }

    /// A session whose connections hold at most `room` bytes in flight.
    fn with(rules: Rules, negotiated: Negotiated, early: Early, room: usize) -> Self {
        let (client, client_end, client_fault) = TestStream::pair(room);
        let (upstream, upstream_end, upstream_fault) = TestStream::pair(room);
        let control = Arc::new(Control::new());
        let courses = Courses::new(Arc::new(rules));
        let task = relay(
            client_end,
            upstream_end,
            early,
            courses.of(0),
            negotiated,
            0,
            Arc::clone(&control),
        );
        Self {
            client: Peer::client(client),
            upstream: Peer::server(upstream),
            client_fault,
            upstream_fault,
            control,
            courses,
            task: tokio::spawn(task),
        }
    }

    /// What became of the session, with both peers still there.
    async fn outcome(&mut self) -> Outcome {
        (&mut self.task).await.unwrap()
    }

    fn is_over(&self) -> bool {
        self.task.is_finished()
    }
}

/// Lets everything that can happen happen.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

async fn after(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

//! The accept loop of one listener: a permit first, then the socket, then the emptiest worker.

use super::presence::Presence;
use super::{Gate, connection};
use crate::net::{AcceptFault, Accepted, Acceptor, Listening};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::sleep;
use tracing::{debug, error, info};

/// How long accepting rests when the process or the system has run out of something.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(200);

/// Accepts until it is dropped. `index` is the listener's place in the settings.
///
/// The permit comes before the accept: what the gateway cannot hold waits in the kernel's queue,
/// at no cost, instead of being taken and thrown away.
pub async fn accept(gate: Arc<Gate>, listening: Listening, index: usize) {
    let acceptor = match listening.into_acceptor() {
        Ok(acceptor) => acceptor,
        Err(cause) => return broken(&gate, index, &cause),
    };
    if let Err(cause) = accept_all(&gate, &acceptor, index).await {
        broken(&gate, index, &cause);
    }
}

/// Ends with what made the listener itself unusable.
async fn accept_all(gate: &Arc<Gate>, acceptor: &Acceptor, index: usize) -> io::Result<()> {
    let mut is_exhausted = false;
    while let Ok(permit) = gate.connections.clone().acquire_owned().await {
        match acceptor.accept().await {
            Ok(accepted) => {
                if std::mem::take(&mut is_exhausted) {
                    info!(
                        listener = gate.site().listener_name(index),
                        "accepting again"
                    );
                }
                hand_over(gate, index, accepted, permit);
            }
            Err(cause) => match AcceptFault::of(&cause) {
                // The client went away between its SYN and our accept.
                AcceptFault::Connection => {
                    failed(gate, index, "connection");
                    debug!(%cause, "accept");
                }
                AcceptFault::Listener => return Err(cause),
                AcceptFault::Exhausted => {
                    if !std::mem::replace(&mut is_exhausted, true) {
                        failed(gate, index, "exhausted");
                        exhausted(gate, index, &cause);
                    }
                    sleep(EXHAUSTED_PAUSE).await;
                }
            },
        }
    }
    Ok(())
}

fn hand_over(gate: &Arc<Gate>, index: usize, accepted: Accepted, permit: OwnedSemaphorePermit) {
    let presence = Presence::new(gate.clone(), permit);
    let worker = presence.worker();
    let arrival = connection::Arrival {
        presence,
        listener: index,
        accepted,
    };
    // On the heap by itself: a task moves what it holds as a whole, several times.
    gate.workers
        .spawn(worker, Box::pin(connection::serve(arrival)));
}

/// Counts it where this accept loop runs.
fn failed(gate: &Gate, index: usize, reason: &'static str) {
    let site = gate.site();
    let counts = gate.metrics.at(index);
    counts.accept_failed(&site.listener(index).name, reason);
}

fn exhausted(gate: &Gate, index: usize, cause: &io::Error) {
    error!(
        listener = gate.site().listener_name(index),
        %cause,
        "no more open files or memory: new connections wait; raise the limit of open files \
         (ulimit -n, LimitNOFILE=) or lower server.max_connections"
    );
}

fn broken(gate: &Gate, index: usize, cause: &io::Error) {
    failed(gate, index, "listener");
    error!(
        listener = gate.site().listener_name(index),
        %cause,
        "the listener is unusable and accepts no more"
    );
}

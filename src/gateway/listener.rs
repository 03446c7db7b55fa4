//! The accept loop of one listener: a permit first, then the socket, then the emptiest worker.

use super::{Gate, connection};
use crate::net::{AcceptError, Listening};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;
use tracing::{error, warn};

/// How long accepting rests when the process or the system has run out of something.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(200);

/// Accepts until it is dropped. `index` is the listener's place in the settings.
///
/// The permit comes before the accept: what the gateway cannot hold waits in the kernel's queue,
/// at no cost, instead of being taken and thrown away.
pub async fn accept(gate: Arc<Gate>, listening: Listening, index: usize) {
    let mut is_exhausted = false;
    loop {
        let Ok(permit) = gate.connections.clone().acquire_owned().await else { return };
        match listening.accept().await {
            Ok(accepted) => {
                if std::mem::take(&mut is_exhausted) {
                    warn!(listener = gate.site().listener_name(index), "accepting again");
                }
                let place = gate.workers.take_place();
                let worker = place.worker;
                let arrival =
                    connection::Arrival { gate: gate.clone(), listener: index, accepted, permit, place };
                gate.workers.spawn(worker, connection::serve(arrival));
            }
            Err(AcceptError::Exhausted(cause)) => {
                if !std::mem::replace(&mut is_exhausted, true) {
                    error!(
                        listener = gate.site().listener_name(index),
                        %cause,
                        "no more open files or memory: new connections wait; raise the limit of open files \
                         (ulimit -n, LimitNOFILE=) or lower server.max_connections"
                    );
                }
                sleep(EXHAUSTED_PAUSE).await;
            }
            // The client went away between its SYN and our accept.
            Err(AcceptError::Connection(cause)) => tracing::debug!(%cause, "accept"),
        }
    }
}

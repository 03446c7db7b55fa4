//! Start, drain, end.

mod drain;
mod signal;

pub use drain::Drained;
pub use signal::run;

use crate::admin::{Desk, Offer, Server, Tokens};
use crate::config::{self, ADMIN, BindAddress, HEALTH, Settings, Workers as WorkerCount};
use crate::gateway::{AssembleError, Gate, Revocation, Site, Threads, Workers, accept};
use crate::net::{self, Address, BindError, Listening};
use crate::telemetry::AccessLog;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tracing::{info, warn};

/// A running gateway: listeners, workers, sessions. Dropping it ends everything at once.
#[derive(Debug)]
pub struct Gateway {
    gate: Arc<Gate>,
    /// Of the workers that have their own.
    threads: Option<Threads>,
    addresses: BTreeMap<String, String>,
    /// Accept loops; aborting them closes the listening sockets.
    accepting: JoinSet<()>,
    /// Followed files and names.
    background: JoinSet<()>,
    /// Answers probes to the very end.
    _server: Option<Server>,
    shutdown_delay: Duration,
    drain_timeout: Duration,
}

/// Why a gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A certificate, key or password file is not usable.
    #[error("the configuration names something that is not usable")]
    Assemble(#[from] Box<AssembleError>),
    /// An address could not be bound.
    #[error("listener `{listener}`")]
    Bind {
        /// Its name.
        listener: String,
        /// What is wrong.
        #[source]
        cause: BindError,
    },
    /// The system did not tell where a listener is.
    #[error("the address of a listener")]
    Address(#[source] io::Error),
    /// No thread or no epoll instance.
    #[error("the workers could not be started")]
    Workers(#[source] io::Error),
}

impl Gateway {
    /// Assembles the site, binds every listener, starts the workers on threads of their own, accepts.
    /// Returns once connections are taken.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running.
    pub fn start(settings: &Settings) -> Result<Self, StartError> {
        let threads = || Workers::start(count(settings)).map(|(all, threads)| (all, Some(threads)));
        Self::start_with(settings, threads)
    }

    /// As [`Self::start`], for a process that does nothing else: a single worker has the calling task's
    /// thread.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running.
    pub fn start_here(settings: &Settings) -> Result<Self, StartError> {
        match count(settings) {
            1 => Self::start_with(settings, || Workers::here().map(|worker| (worker, None))),
            _ => Self::start(settings),
        }
    }

    fn start_with(
        settings: &Settings,
        workers: impl FnOnce() -> io::Result<(Workers, Option<Threads>)>,
    ) -> Result<Self, StartError> {
        make_room_for(settings.server.max_connections);
        let site = Arc::new(Site::assemble(settings).map_err(Box::new)?);
        let bound = bind(settings)?;
        let offers = bind_offers(settings)?;
        let (workers, threads) = workers().map_err(StartError::Workers)?;
        let gate = Arc::new(Gate::new(
            site,
            workers,
            &settings.server,
            AccessLog::new(settings.log.access),
        ));
        let mut background = JoinSet::new();
        for work in gate.background() {
            background.spawn_on(work, gate.workers().runtime(0));
        }
        let mut accepting = JoinSet::new();
        let mut addresses = BTreeMap::new();
        for (index, (name, listening)) in bound.into_iter().enumerate() {
            note(&mut addresses, &name, &listening)?;
            // Accept loops are spread over the workers; with one worker nothing crosses threads.
            let worker = gate.workers().runtime(index);
            accepting.spawn_on(accept(gate.clone(), listening, index), worker);
        }
        let mut desks = Vec::new();
        for (name, listening, offer) in offers {
            note(&mut addresses, name, &listening)?;
            desks.push((listening, Desk::new(gate.clone(), offer)));
        }
        let server = match desks.is_empty() {
            true => None,
            false => Some(Server::start(desks).map_err(StartError::Workers)?),
        };
        Ok(Self {
            gate,
            threads,
            addresses,
            accepting,
            background,
            _server: server,
            shutdown_delay: settings.server.shutdown_delay,
            drain_timeout: settings.server.drain_timeout,
        })
    }

    /// The bound address of each listener by its name, and of [`HEALTH`] and [`ADMIN`]: with the port that the system chose where
    /// port 0 was asked for.
    pub fn addresses(&self) -> &BTreeMap<String, String> {
        &self.addresses
    }

    /// Takes back what clients have proven: their sessions are closed with 3000, and a token is kept out
    /// from now on. Returns how many sessions end.
    pub fn revoke(&self, revocation: &Revocation<'_>) -> usize {
        self.gate.revoke(revocation)
    }

    /// How many sessions are live.
    pub fn sessions(&self) -> usize {
        self.gate.registry().len()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.accepting.abort_all();
        self.background.abort_all();
        if let Some(threads) = self.threads.take() {
            threads.stop();
        }
    }
}

/// How many workers are asked for.
fn count(settings: &Settings) -> usize {
    match settings.server.workers {
        WorkerCount::Auto => net::usable_cores(),
        WorkerCount::Fixed(count) => count.max(1),
    }
}

fn bind(settings: &Settings) -> Result<Vec<(String, Listening)>, StartError> {
    let bind = |listener: &config::Listener| {
        let listening = bind_one(&listener.name, &listener.address)?;
        Ok((listener.name.clone(), listening))
    };
    settings.listeners.iter().map(bind).collect()
}

type Offered = (&'static str, Listening, Offer);

/// What is for those who run the gateway.
fn bind_offers(settings: &Settings) -> Result<Vec<Offered>, StartError> {
    let mut offers = Vec::new();
    if let Some(health) = &settings.health {
        let listening = bind_one(HEALTH, &health.address)?;
        offers.push((HEALTH, listening, Offer::Health));
    }
    if let Some(admin) = &settings.admin {
        let listening = bind_one(ADMIN, &admin.address)?;
        offers.push((ADMIN, listening, Offer::Admin(Tokens::new(admin))));
    }
    Ok(offers)
}

fn bind_one(name: &str, address: &BindAddress) -> Result<Listening, StartError> {
    let address = match address {
        BindAddress::Tcp(address) => Address::Tcp(*address),
        BindAddress::Unix(path) => Address::Unix(path.clone()),
    };
    Listening::bind(&address).map_err(|cause| StartError::Bind {
        listener: name.to_owned(),
        cause,
    })
}

/// Says where it is.
fn note(
    addresses: &mut BTreeMap<String, String>,
    name: &str,
    listening: &Listening,
) -> Result<(), StartError> {
    let address = listening.local_addr().map_err(StartError::Address)?;
    let address = address.to_string();
    info!(listener = name, address, "listening");
    addresses.insert(name.to_owned(), address);
    Ok(())
}

/// A session takes two open files.
fn make_room_for(max_connections: usize) {
    let wanted = max_connections as u64 * 2;
    match net::raise_open_files() {
        Ok(files) if files.soft < wanted => warn!(
            limit = files.soft,
            wanted,
            "the limit of open files holds {} sessions, server.max_connections is {max_connections}: \
             raise it (ulimit -n, LimitNOFILE=) or lower max_connections",
            files.soft / 2
        ),
        Ok(_) => {}
        Err(cause) => warn!(%cause, "the limit of open files could not be raised"),
    }
}

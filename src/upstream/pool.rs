//! The endpoints of one upstream, as they are now, and opening a leg to one of them.

use super::ask::Ask;
use super::dial::{Patience, dial};
use super::endpoint::{Endpoint, Lease};
use super::entry::Entry;
use super::error::{OpenError, PoolError, ResolveError, Side, Stage};
use super::open::{Answer, Opened, open};
use super::resolve::{self, Lookup, Name};
use super::retry::Attempts;
use super::roster::Roster;
use crate::config::{HostHeader, ProxyProtocol, Upstream};
use crate::net::{ProxyVersion, Stream};
use crate::tls::{ClientTls, Expiry};
use arc_swap::ArcSwap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

/// An upstream at work.
#[derive(Debug)]
pub struct Pool {
    settings: Arc<Upstream>,
    tls: Option<ClientTls>,
    entries: Vec<Entry>,
    roster: ArcSwap<Roster>,
    /// Held while a roster is made from the one before it.
    renewing: Mutex<()>,
}

impl Pool {
    /// Reads the TLS settings, if any endpoint needs them. Names are looked up when they are first
    /// needed, or by [`Pool::maintain`].
    pub fn new(settings: Arc<Upstream>) -> Result<Self, PoolError> {
        Self::with_lookup(settings, resolve::system())
    }

    /// The same with another resolver.
    pub(super) fn with_lookup(settings: Arc<Upstream>, lookup: Lookup) -> Result<Self, PoolError> {
        let entries: Vec<Entry> = settings
            .endpoints
            .iter()
            .map(|written| Entry::new(written, &lookup))
            .collect();
        let tls = entries
            .iter()
            .any(Entry::needs_tls)
            .then(|| ClientTls::load(&settings.tls))
            .transpose()
            .map_err(|source| PoolError::Tls {
                upstream: settings.name.clone(),
                source,
            })?;
        let roster = Roster::new(Vec::new(), settings.balance);
        let pool = Self {
            settings,
            tls,
            entries,
            roster: ArcSwap::from_pointee(roster),
            renewing: Mutex::new(()),
        };
        pool.renew();
        Ok(pool)
    }

    /// Whether everything is served inside the gateway.
    pub fn is_builtin(&self) -> bool {
        let mut entries = self.entries.iter();
        entries.all(Entry::is_builtin)
    }

    /// Handshakes and sessions on the endpoints that take new ones.
    pub fn sessions(&self) -> u32 {
        let roster = self.roster.load();
        roster.endpoints().iter().map(|one| one.sessions()).sum()
    }

    /// How many take new sessions.
    pub fn endpoints(&self) -> usize {
        self.roster.load().endpoints().len()
    }

    /// Opens a leg for one client. Ends within `open_timeout` whatever happens. Dropping the future
    /// gives everything back.
    pub async fn open(&self, ask: &Ask) -> Result<Opened, OpenError> {
        let until = Instant::now() + self.settings.open_timeout;
        let mut last = OpenError::NoEndpoint {
            cause: self.resolve_first(until).await?,
        };
        let mut attempts = Attempts::new(self.settings.retries);
        while let Some(lease) = self.next(&mut attempts) {
            let outcome = self.attempt(&lease, ask, until).await;
            note(lease.endpoint(), outcome.as_ref().err());
            match outcome {
                Ok((stream, answer)) => return Ok(answer.on(stream, lease, attempts.made())),
                Err(error) if error.may_retry() && Instant::now() < until => {
                    attempts.failed(&lease);
                    last = error;
                }
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// Until when what TLS is done with is good.
    pub fn expiries(&self) -> Vec<Expiry> {
        let tls = self.tls.as_ref();
        tls.map_or_else(Vec::new, ClientTls::expiries)
    }

    /// Keeps the addresses of names and the files of TLS up to date; never ends. Dropping the
    /// future ends the keeping.
    pub async fn maintain(&self) {
        let files = async {
            if let Some(tls) = &self.tls {
                tls.follow().await;
            }
        };
        tokio::join!(self.follow_names(), files);
    }

    async fn follow_names(&self) {
        if self.names().next().is_none() {
            return std::future::pending().await;
        }
        let mut ticks = interval(self.settings.resolve_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.refresh().await;
        }
    }

    /// Looks all names up again, side by side.
    pub(super) async fn refresh(&self) {
        let mut lookups = JoinSet::new();
        for name in self.names().map(Arc::clone) {
            lookups.spawn(async move { name.refresh().await });
        }
        while lookups.join_next().await.is_some() {
            self.renew();
        }
    }

    /// Without holding the roster any longer than choosing takes.
    fn next(&self, attempts: &mut Attempts) -> Option<Lease> {
        attempts.next(&self.roster.load())
    }

    async fn attempt(
        &self,
        lease: &Lease,
        ask: &Ask,
        until: Instant,
    ) -> Result<(Stream, Answer), OpenError> {
        let endpoint = lease.endpoint();
        let patience = Patience {
            connect: self.settings.connect_timeout,
            until,
        };
        let greeting = self.greeting(ask);
        let mut stream = dial(endpoint, self.tls.as_ref(), &greeting, patience).await?;
        let host = match &self.settings.host_header {
            HostHeader::Client => &ask.host,
            HostHeader::Endpoint => &endpoint.authority,
            HostHeader::Fixed(name) => name,
        };
        let until = until.min(Instant::now() + self.settings.upgrade_timeout);
        let answer = open(&mut stream, ask, host, &endpoint.name, until).await?;
        Ok((stream, answer))
    }

    /// What a connection for `ask` begins with.
    fn greeting(&self, ask: &Ask) -> Vec<u8> {
        match self.settings.proxy_protocol {
            ProxyProtocol::Off => Vec::new(),
            ProxyProtocol::V1 => ProxyVersion::V1.encode(ask.source),
            ProxyProtocol::V2 => ProxyVersion::V2.encode(ask.source),
        }
    }

    /// Waits for names only while there is no endpoint at all. What the last of them failed with is
    /// given back, for the case that it stays so.
    async fn resolve_first(&self, until: Instant) -> Result<Option<ResolveError>, OpenError> {
        let mut failure = None;
        for name in self.names() {
            if !self.roster.load().endpoints().is_empty() {
                break;
            }
            match timeout_at(until, name.first()).await {
                Ok(Ok(())) => self.renew(),
                Ok(Err(error)) => failure = Some(error),
                Err(_) => {
                    return Err(OpenError::Timeout {
                        stage: Stage::Resolve,
                        endpoint: None,
                    });
                }
            }
        }
        Ok(failure)
    }

    fn names(&self) -> impl Iterator<Item = &Arc<Name>> {
        self.entries.iter().filter_map(|entry| entry.name.as_ref())
    }

    /// Makes the roster that follows from what names are known as now. Endpoints that stay keep
    /// their counts; those that leave live on in the leases of their sessions.
    fn renew(&self) {
        let _turn = self.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.roster.load();
        let endpoints: Vec<Arc<Endpoint>> = self
            .entries
            .iter()
            .enumerate()
            .flat_map(|(index, entry)| {
                entry.endpoints(index, self.settings.resolve, before.endpoints())
            })
            .collect();
        let now = Roster::new(endpoints, self.settings.balance);
        // Taking turns goes on where it was, unless somebody came or went.
        if !now.is_same(&before) {
            self.roster.store(Arc::new(now));
        }
    }
}

/// Logs when an endpoint begins to fail and when it no longer does. A refusal is an answer.
fn note(endpoint: &Endpoint, error: Option<&OpenError>) {
    let is_fault = |error: &OpenError| {
        error.side() == Side::Upstream && !matches!(error, OpenError::Refused(_))
    };
    match error {
        Some(error) if is_fault(error) => {
            if endpoint.note_failing(true) {
                tracing::warn!(endpoint = %endpoint.name, error = error.chain(), "an endpoint fails");
            }
        }
        Some(OpenError::Refused(_)) | None => {
            if endpoint.note_failing(false) {
                tracing::info!(endpoint = %endpoint.name, "an endpoint serves again");
            }
        }
        Some(_) => {}
    }
}

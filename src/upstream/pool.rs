//! The endpoints of one upstream, as they are now, and opening a leg to one of them.

use super::ask::Ask;
use super::dial::{Patience, dial};
use super::endpoint::{Endpoint, Lease};
use super::entry::Entry;
use super::error::{OpenError, PoolError, ResolveError, Side, Stage};
use super::failures::Failures;
use super::greeting::Greeting;
use super::open::{Answer, Opened, open};
use super::rendezvous::Affinity;
use super::requests::{self, Answered, BoxError, Exchanged, Fault, Request, RequestError, Upload};
use super::resolve::{self, Lookup, Name};
use super::retry::Attempts;
use super::roster::Roster;
use crate::config::{HostHeader, ProxyProtocol, Upstream};
use crate::net::{Connection, Stream};
use crate::tls::{ClientTls, Expiry};
use arc_swap::ArcSwap;
use bytes::Bytes;
use hyper::body::Body;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
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
    failures: Failures,
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
        let roster = Roster::new(Vec::new(), &settings.balance);
        let pool = Self {
            settings,
            tls,
            entries,
            roster: ArcSwap::from_pointee(roster),
            renewing: Mutex::new(()),
            failures: Failures::default(),
        };
        pool.renew();
        Ok(pool)
    }

    /// As configured.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// How often getting an answer failed, by a word for why.
    pub fn failures(&self) -> Vec<(&'static str, u64)> {
        self.failures.all()
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

    /// Draws a key for a client that has none, so that new clients spread over the endpoints by load
    /// and weight. The key alone decides from then on.
    pub fn spread<T>(&self, draw: impl FnMut() -> (Affinity, T)) -> (Affinity, T) {
        self.roster.load().spread(draw)
    }

    /// Opens a leg for one client. Ends within `open_timeout` whatever happens. Dropping the future
    /// gives everything back.
    pub async fn open(&self, ask: &Ask) -> Result<Opened, OpenError> {
        let until = Instant::now() + self.settings.open_timeout;
        let mut last = OpenError::NoEndpoint {
            cause: self.resolve_first(until).await?,
        };
        let mut attempts = Attempts::new(self.settings.retries, ask.affinity);
        while let Some(lease) = self.next(&mut attempts) {
            let outcome = self.attempt(&lease, ask, until).await;
            self.note(lease.endpoint(), outcome.as_ref().err());
            match outcome {
                Ok((stream, answer)) => return Ok(answer.on(stream, lease, attempts.made())),
                Err(error) if error.may_retry() && Instant::now() < until => {
                    attempts.failed(&lease);
                    last = error;
                }
                Err(error) => return Err(error),
            }
        }
        Err(self.given_up(last))
    }

    /// Sends an ordinary request. An endpoint that cannot be reached is no reason to give up, as for
    /// handshakes; one that was reached keeps the request, as nobody knows what it has done with it.
    /// Dropping the future, or the body of the answer, ends the connection.
    pub async fn request<B>(&self, request: &Request, body: B) -> Result<Answered<B>, RequestError>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<BoxError>,
    {
        let until = Instant::now() + self.settings.open_timeout;
        let mut last = OpenError::NoEndpoint {
            cause: self.resolve_first(until).await?,
        };
        let mut attempts = Attempts::new(self.settings.retries, request.ask.affinity);
        let mut body = Some(body);
        while let Some(lease) = self.next(&mut attempts) {
            if let Some(connection) = self.waiting(&lease) {
                let mut upload = self.upload(&lease, request, &mut body)?;
                let outcome = requests::exchange(connection, &mut upload, request).await;
                let is_stale = outcome.as_ref().is_err_and(|fault| fault.may_be_stale())
                    // Lost so late, it was not closed before: the endpoint has had the request.
                    && Instant::now() < until;
                if !(is_stale && request.is_repeatable() && upload.is_untouched()) {
                    return self.answered(lease, request, upload, outcome);
                }
                body = upload.into_body();
            }
            match self.reach(lease.endpoint(), &request.ask, until).await {
                Ok(stream) => {
                    let mut upload = self.upload(&lease, request, &mut body)?;
                    let connection = Connection::new(stream);
                    let outcome = requests::exchange(connection, &mut upload, request).await;
                    return self.answered(lease, request, upload, outcome);
                }
                Err(error) => {
                    self.note(lease.endpoint(), Some(&error));
                    if !error.may_retry() || Instant::now() >= until {
                        return Err(error.into());
                    }
                    attempts.failed(&lease);
                    last = error;
                }
            }
        }
        Err(self.given_up(last).into())
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

    /// How long a connection may wait for another request; `None` if it must not carry one, as when
    /// it has been said whose it is.
    fn keep_alive(&self) -> Option<Duration> {
        let is_anyones = self.settings.proxy_protocol == ProxyProtocol::Off;
        self.settings.keep_alive.filter(|_| is_anyones)
    }

    /// A connection to the endpoint that waits for a request.
    fn waiting(&self, lease: &Lease) -> Option<Connection> {
        self.keep_alive()?;
        lease.endpoint().idle.take()
    }

    fn upload<B>(
        &self,
        lease: &Lease,
        request: &Request,
        body: &mut Option<B>,
    ) -> Result<Upload<B>, OpenError>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<BoxError>,
    {
        let host = self.host(lease.endpoint(), &request.ask);
        let head = request.head(host, self.keep_alive().is_some())?;
        Ok(Upload::new(head, request.length, body.take()))
    }

    fn answered<B>(
        &self,
        lease: Lease,
        request: &Request,
        upload: Upload<B>,
        outcome: Result<Exchanged, Fault>,
    ) -> Result<Answered<B>, RequestError>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<BoxError>,
    {
        let endpoint = Arc::clone(lease.endpoint());
        let home = self
            .keep_alive()
            .map(|time| (Arc::clone(&endpoint.idle), time));
        let answered = outcome
            .map(|exchanged| exchanged.answered(request, upload, lease, home))
            .map_err(|fault| fault.at(&endpoint.name));
        match &answered {
            Ok(_) => self.note(&endpoint, None),
            Err(RequestError::Upstream(error)) => self.note(&endpoint, Some(error)),
            Err(_) => {}
        }
        answered
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
        let mut stream = self.reach(endpoint, ask, until).await?;
        let host = self.host(endpoint, ask);
        let until = until.min(Instant::now() + self.settings.upgrade_timeout);
        let answer = open(&mut stream, ask, host, &endpoint.name, until).await?;
        Ok((stream, answer))
    }

    async fn reach(
        &self,
        endpoint: &Endpoint,
        ask: &Ask,
        until: Instant,
    ) -> Result<Stream, OpenError> {
        let patience = Patience {
            connect: self.settings.connect_timeout,
            until,
        };
        let greeting = Greeting::new(self.settings.proxy_protocol, ask.source);
        dial(endpoint, self.tls.as_ref(), greeting, patience).await
    }

    /// The `Host` that the endpoint gets.
    fn host<'a>(&'a self, endpoint: &'a Endpoint, ask: &'a Ask) -> &'a str {
        match &self.settings.host_header {
            HostHeader::Client => &ask.host,
            HostHeader::Endpoint => &endpoint.authority,
            HostHeader::Fixed(name) => name,
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
                    let error = OpenError::Timeout {
                        stage: Stage::Resolve,
                        endpoint: None,
                    };
                    self.failures.count(&error);
                    return Err(error);
                }
            }
        }
        Ok(failure)
    }

    fn names(&self) -> impl Iterator<Item = &Arc<Name>> {
        self.entries.iter().filter_map(|entry| entry.name.as_ref())
    }

    /// Counts a failure, and logs when an endpoint begins to fail and when it no longer does.
    fn note(&self, endpoint: &Endpoint, error: Option<&OpenError>) {
        if let Some(error) = error {
            self.failures.count(error);
        }
        note(endpoint, error);
    }

    /// Nobody is left to ask: failures of endpoints were counted as they came.
    fn given_up(&self, last: OpenError) -> OpenError {
        if let OpenError::NoEndpoint { .. } = last {
            self.failures.count(&last);
        }
        last
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
        let now = Roster::new(endpoints, &self.settings.balance);
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

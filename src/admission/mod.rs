//! May this handshake enter? The checks in their fixed order, cheap before dear, and what comes of
//! them: a permit or a refusal.
//!
//! A refusal is no error but normal life; what the client is told is decided elsewhere.

pub mod auth;
mod identity;

pub use identity::Identity;

use auth::{Check, Method, Source};
use http::header::{HeaderMap, HeaderValue};
use std::sync::Arc;
use std::time::Duration;

/// After so long the queue of passwords has moved on.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The checks of one route.
#[derive(Debug)]
pub struct Admission {
    /// Cheap ones first.
    methods: Vec<Arc<Method>>,
    challenges: Arc<[HeaderValue]>,
    /// All that the methods read, whichever of them admits.
    spent: Arc<[Source]>,
}

/// What a handshake is judged by. Cannot be printed, as there are credentials in it.
#[derive(Clone)]
pub struct Ask<'a> {
    /// As the client sent them.
    pub headers: &'a HeaderMap,
    /// Without the `?`.
    pub query: Option<&'a str>,
}

/// The handshake may enter.
#[derive(Debug)]
pub struct Permit {
    /// Who it is; `None` on an open route.
    pub identity: Option<Identity>,
    spent: Arc<[Source]>,
}

/// The handshake may not enter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No credential, or none that is good.
    Unauthenticated {
        /// One `WWW-Authenticate` for each method of the route.
        challenges: Arc<[HeaderValue]>,
        /// Whether there was one.
        had_credential: bool,
    },
    /// Too many passwords wait to be verified.
    Busy {
        /// When to come again.
        retry_after: Duration,
    },
}

impl Admission {
    /// With no methods the route is open.
    pub fn new(mut methods: Vec<Arc<Method>>) -> Self {
        methods.sort_by_key(|method| method.is_dear());
        Self {
            challenges: methods.iter().map(|one| one.challenge().clone()).collect(),
            spent: methods.iter().flat_map(|one| one.sources()).collect(),
            methods,
        }
    }

    /// Judges one handshake. Cancel-safe: what was begun for it is dropped with it.
    pub async fn admit(&self, ask: &Ask<'_>) -> Result<Permit, Refusal> {
        let identity = self.authenticate(ask).await?;
        Ok(Permit {
            identity,
            spent: Arc::clone(&self.spent),
        })
    }

    /// Any one method admits; what another thinks of the handshake does not matter then.
    async fn authenticate(&self, ask: &Ask<'_>) -> Result<Option<Identity>, Refusal> {
        if self.methods.is_empty() {
            return Ok(None);
        }
        let (mut had_credential, mut is_busy) = (false, false);
        for method in &self.methods {
            match method.check(ask.headers, ask.query).await {
                Check::Admitted(identity) => return Ok(Some(identity)),
                Check::Absent => {}
                Check::Wrong => had_credential = true,
                Check::Busy => is_busy = true,
            }
        }
        if is_busy {
            return Err(Refusal::Busy {
                retry_after: RETRY_AFTER,
            });
        }
        Err(Refusal::Unauthenticated {
            challenges: Arc::clone(&self.challenges),
            had_credential,
        })
    }
}

impl Permit {
    /// Takes the credentials of the route's methods out of what goes to the upstream; everything
    /// else stays as it came, byte for byte.
    pub fn strip(&self, headers: &mut HeaderMap, query: &mut Option<String>) {
        for source in &*self.spent {
            source.take_out(headers, query);
        }
    }
}

impl Refusal {
    /// For logs and metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unauthenticated {
                had_credential: true,
                ..
            } => "bad_credential",
            Self::Unauthenticated { .. } => "no_credential",
            Self::Busy { .. } => "auth_busy",
        }
    }
}

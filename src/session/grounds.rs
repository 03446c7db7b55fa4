//! What a session rests on: what its client has proven, for as long as that is good.

use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What of a client's proofs matters after the handshake.
#[derive(Debug, Default)]
pub struct Grounds {
    /// When the first of them ends.
    pub expiry: Option<Expiry>,
    /// Each of them.
    pub proofs: Box<[Evidence]>,
    /// The certificate that the client showed when it began TLS, whether it was asked for its identity
    /// or not.
    pub certificate: Option<Box<str>>,
    /// What asks again whether they are good; it ends with the session.
    pub(super) watches: Mutex<JoinSet<()>>,
}

/// When a session is to end with what it rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expiry {
    /// By a clock that nobody can set.
    pub at: Instant,
    /// The close code for the client.
    pub code: u16,
}

/// One proof, by the names under which it can be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The key of the method under `[auth]`.
    pub method: Arc<str>,
    /// `method:name`
    pub identity: Box<str>,
    /// What the token or the certificate is called, if it has a name of its own.
    pub token_id: Option<Box<str>>,
}

/// What is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation<'a> {
    /// All that a client, `method:name`, has proven.
    Identity(&'a str),
    /// One token or certificate.
    Token {
        /// The key of the method under `[auth]`.
        method: &'a str,
        /// `jti`, serial number.
        id: &'a str,
    },
    /// A client's certificate, by its id.
    Certificate(&'a str),
    /// One session, by the id of its handshake.
    Session(&'a str),
}

impl Evidence {
    fn is_taken_back_by(&self, revocation: &Revocation<'_>) -> bool {
        match *revocation {
            Revocation::Identity(identity) => *self.identity == *identity,
            Revocation::Token { method, id } => {
                *self.method == *method && self.token_id.as_deref() == Some(id)
            }
            Revocation::Certificate(_) | Revocation::Session(_) => false,
        }
    }
}

impl Grounds {
    /// On `proofs`, that end by `expiry`, and on a certificate.
    pub fn new(
        expiry: Option<Expiry>,
        proofs: Box<[Evidence]>,
        certificate: Option<Box<str>>,
    ) -> Self {
        Self {
            expiry,
            proofs,
            certificate,
            watches: Mutex::default(),
        }
    }

    /// Runs `watch` for as long as the session lives.
    pub(super) fn watch(&self, watch: impl Future<Output = ()> + Send + 'static) {
        let watches = self.watches.lock();
        watches.unwrap_or_else(PoisonError::into_inner).spawn(watch);
    }

    /// Whether one of the proofs is taken back.
    pub(super) fn are_taken_back_by(&self, revocation: &Revocation<'_>) -> bool {
        let is_shown = self.certificate.as_deref().map(Revocation::Certificate);
        is_shown.as_ref() == Some(revocation)
            || self
                .proofs
                .iter()
                .any(|proof| proof.is_taken_back_by(revocation))
    }
}

//! Who is asking? One file a method; here is what they have in common.
//!
//! A method reads its credential from the handshake and answers with an identity or none. What the
//! client is told about it is decided in `admission`, in one place for all methods.

mod api_key;
mod basic;
mod client_cert;
mod cost;
mod decoy;
mod forward;
mod htpasswd;
mod jwks;
mod jwt;
mod lot;
mod marker;
mod password;
mod proof;
mod requirement;
mod revoked;
mod source;
mod ticket;
mod verified;
mod verifier;

pub use cost::PasswordHashError;
pub use forward::{Over, Recheck};
pub use htpasswd::{HtpasswdError, LineError};
pub use jwks::KeysError;
pub use marker::{Marked, Marker, Offer};
pub use password::{HashPasswordError, hash_password};
pub use proof::{Check, Fault, Lifetime, Proof, ServiceAnswer};
pub(super) use requirement::Requirement;
pub use requirement::{Denial, Objection};
pub(super) use source::Source;
pub use ticket::{Issued, Tickets};

use super::{Ask, Identity};
use crate::config::{self, AuthKind, AuthMethod, CredentialSource};
use crate::tls::TlsError;
use api_key::ApiKeys;
use basic::Basic;
use client_cert::ClientCert;
use forward::Forward;
use http::header::{HeaderName, HeaderValue, InvalidHeaderName};
use jwt::Jwt;
use revoked::Revoked;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use verifier::Verifier;

/// All of `[auth.*]`, each built once and shared by the routes that name it.
#[derive(Debug, Default)]
pub struct Methods(BTreeMap<String, Arc<Method>>);

/// One of `[auth.*]`.
#[derive(Debug)]
pub struct Method {
    name: Arc<str>,
    /// For `WWW-Authenticate`, where the method can be asked for in that way.
    challenge: Option<HeaderValue>,
    kind: Kind,
    revoked: Revoked,
}

#[derive(Debug)]
enum Kind {
    ApiKey(ApiKeys),
    Basic(Basic),
    ClientCert(ClientCert),
    Jwt(Box<Jwt>),
    Ticket(Box<Tickets>),
    Forward(Arc<Forward>),
    /// Whoever shows no credential at all.
    Anonymous(Identity),
}

/// Why the methods could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum MethodError {
    /// The password file of a method cannot be used.
    #[error("auth method `{method}`")]
    PasswordFile {
        /// Key under `[auth]`.
        method: String,
        /// Why.
        source: HtpasswdError,
    },
    /// No thread to verify passwords on.
    #[error("no threads for the verification of passwords")]
    Threads(#[source] io::Error),
    /// A header that cannot exist among the sources.
    #[error("auth method `{method}`: a source names no valid header")]
    Header {
        /// Key under `[auth]`.
        method: String,
        /// What is wrong with it.
        source: InvalidHeaderName,
    },
    /// The authentication service of a method cannot be asked.
    #[error("auth method `{method}`")]
    Service {
        /// Key under `[auth]`.
        method: String,
        /// Why.
        source: Box<TlsError>,
    },
    /// The key set of a method cannot be used.
    #[error("auth method `{method}`")]
    Keys {
        /// Key under `[auth]`.
        method: String,
        /// Why.
        source: Box<KeysError>,
    },
    /// The name of a key or of guests would be an identity with control characters.
    #[error("auth method `{method}`: a name holds a control character")]
    KeyName {
        /// Key under `[auth]`.
        method: String,
    },
    /// The system has no random numbers.
    #[error("no random numbers for the keys of tickets")]
    Randomness,
    /// A realm that cannot be sent.
    #[error("auth method `{method}`: the realm holds a control character")]
    Realm {
        /// Key under `[auth]`.
        method: String,
    },
}

impl Methods {
    /// Reads password files and starts the threads that verify passwords, if any are needed; blocks.
    pub fn build(settings: &[Arc<AuthMethod>]) -> Result<Self, MethodError> {
        let mut verifier = None;
        let mut methods = BTreeMap::new();
        for one in settings {
            let method = Method::build(one, &mut verifier)?;
            methods.insert(one.name.clone(), Arc::new(method));
        }
        Ok(Self(methods))
    }

    /// The method of that key under `[auth]`.
    pub fn named(&self, name: &str) -> Option<&Arc<Method>> {
        self.0.get(name)
    }

    /// Where credentials stand among subprotocols, for any of them: no route must take one for what is
    /// offered.
    pub fn markers(&self) -> Vec<Marker> {
        let sources = self.0.values().flat_map(|method| method.sources());
        let mut markers: Vec<Marker> = Vec::new();
        for source in sources {
            if let Source::Subprotocol(marker) = source
                && !markers.contains(&marker)
            {
                markers.push(marker);
            }
        }
        markers
    }

    /// The headers in which methods tell upstreams what they know.
    pub fn header_names(&self) -> impl Iterator<Item = &HeaderName> {
        self.0.values().flat_map(|method| method.header_names())
    }

    /// All of them, for those who follow their files.
    pub fn all(&self) -> Vec<Arc<Method>> {
        self.0.values().cloned().collect()
    }
}

impl Method {
    fn build(
        settings: &AuthMethod,
        verifier: &mut Option<Arc<Verifier>>,
    ) -> Result<Self, MethodError> {
        let name = settings.name.clone();
        let kind = match &settings.kind {
            AuthKind::ApiKey(keys) => Kind::ApiKey(ApiKeys::new(&name, keys)?),
            AuthKind::Basic(basic) => Kind::Basic(load(&name, basic, shared(verifier)?)?),
            AuthKind::ClientCert(settings) => Kind::ClientCert(ClientCert::new(settings)),
            AuthKind::Jwt(jwt) => Kind::Jwt(Box::new(Jwt::new(&name, jwt)?)),
            AuthKind::Ticket(settings) => Kind::Ticket(Box::new(Tickets::new(&name, settings)?)),
            AuthKind::ForwardAuth(settings) => Kind::Forward(Arc::new(forward(&name, settings)?)),
            AuthKind::Anonymous(anonymous) => {
                let identity = Identity::new(name.as_str(), anonymous.identity.as_str());
                Kind::Anonymous(identity.ok_or_else(|| MethodError::KeyName {
                    method: name.clone(),
                })?)
            }
        };
        Self::new(name, kind)
    }

    fn new(name: String, kind: Kind) -> Result<Self, MethodError> {
        let challenge = match &kind {
            Kind::ApiKey(_) => Some(format!("ApiKey realm={}", quoted(&name))),
            Kind::Basic(basic) => Some(basic.challenge()),
            Kind::ClientCert(_) => Some(format!("ClientCertificate realm={}", quoted(&name))),
            Kind::Jwt(jwt) => Some(jwt.challenge()),
            Kind::Ticket(_) => Some(format!("Ticket realm={}", quoted(&name))),
            // The service has challenges of its own.
            Kind::Forward(_) | Kind::Anonymous(_) => None,
        };
        let challenge = challenge.map(HeaderValue::try_from).transpose();
        Ok(Self {
            name: name.as_str().into(),
            challenge: challenge.map_err(|_| MethodError::Realm { method: name })?,
            kind,
            revoked: Revoked::default(),
        })
    }

    /// Its key under `[auth]`.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Never ends: reads the method's files again when they change. What a change brings holds for
    /// the next handshake, and whom it takes away is `departed`; a file with a mistake is logged and
    /// changes nothing.
    pub async fn follow(&self, departed: &Departed) {
        match &self.kind {
            Kind::ApiKey(_) | Kind::ClientCert(_) | Kind::Ticket(_) | Kind::Anonymous(_) => {
                std::future::pending::<()>().await;
            }
            Kind::Jwt(jwt) => jwt.follow().await,
            Kind::Basic(basic) => basic.follow(&self.name, departed).await,
            Kind::Forward(forward) => forward.follow().await,
        }
    }

    /// Fetches what [`Self::follow`] would have fetched by now.
    ///
    /// # Errors
    /// If it cannot be had.
    pub async fn prepare(&self) -> Result<(), KeysError> {
        match &self.kind {
            Kind::Jwt(jwt) => jwt.fetch_keys().await,
            _ => Ok(()),
        }
    }

    /// From now on the token of that id admits nobody. The last 100,000 are remembered, for as long as the
    /// process lives.
    pub fn refuse_token(&self, id: &str) {
        self.revoked.add(id);
    }

    /// Cancel-safe.
    async fn check(&self, ask: &Ask<'_>) -> Check {
        match self.look_at(ask).await {
            Check::Admitted(proof) if self.is_revoked(&proof) => Check::wrong("it was revoked"),
            check => check,
        }
    }

    fn is_revoked(&self, proof: &Proof) -> bool {
        let id = proof.token_id.as_deref();
        id.is_some_and(|id| self.revoked.has(id))
    }

    async fn look_at(&self, ask: &Ask<'_>) -> Check {
        match &self.kind {
            Kind::ApiKey(keys) => keys.check(ask),
            Kind::Basic(basic) => basic.check(&self.name, ask).await,
            Kind::Jwt(jwt) => jwt.check(ask),
            Kind::ClientCert(certificates) => certificates.check(&self.name, ask.certificate),
            Kind::Ticket(tickets) => tickets.check(ask),
            Kind::Forward(forward) => forward.check(ask).await,
            Kind::Anonymous(identity) => Check::admitted(identity.clone()),
        }
    }

    /// What gives tickets, if this is what it does.
    pub fn tickets(&self) -> Option<&Tickets> {
        match &self.kind {
            Kind::Ticket(tickets) => Some(tickets),
            _ => None,
        }
    }

    /// Whether a service judges for it.
    pub fn asks_a_service(&self) -> bool {
        matches!(self.kind, Kind::Forward(_))
    }

    /// The headers in which it looks for credentials.
    pub fn credential_headers(&self) -> Vec<HeaderName> {
        let sources = self.sources().into_iter();
        sources.filter_map(|source| source.header()).collect()
    }

    /// For `WWW-Authenticate`.
    fn challenge(&self) -> Option<&HeaderValue> {
        self.challenge.as_ref()
    }

    /// Where it looks for credentials, which no upstream shall see.
    fn sources(&self) -> Vec<Source> {
        match &self.kind {
            Kind::ApiKey(keys) => keys.sources(),
            Kind::Basic(basic) => basic.sources(),
            Kind::Jwt(jwt) => jwt.sources(),
            Kind::Ticket(tickets) => tickets.sources(),
            // What a service reads is not known, and the upstream may need it too.
            Kind::ClientCert(_) | Kind::Forward(_) | Kind::Anonymous(_) => Vec::new(),
        }
    }

    fn header_names(&self) -> Vec<&HeaderName> {
        match &self.kind {
            Kind::Jwt(jwt) => jwt.header_names().collect(),
            Kind::Forward(forward) => forward.header_names().collect(),
            Kind::ApiKey(_)
            | Kind::Basic(_)
            | Kind::ClientCert(_)
            | Kind::Ticket(_)
            | Kind::Anonymous(_) => Vec::new(),
        }
    }

    /// When it is asked, of several that are: what saying no costs.
    fn rank(&self) -> Rank {
        match &self.kind {
            Kind::ApiKey(_) | Kind::ClientCert(_) | Kind::Jwt(_) | Kind::Ticket(_) => Rank::Cheap,
            Kind::Basic(_) => Rank::Dear,
            Kind::Forward(_) => Rank::Remote,
            Kind::Anonymous(_) => Rank::Stranger,
        }
    }
}

/// Told of each identity that a method vouches for no longer.
pub type Departed = dyn Fn(&Identity) + Send + Sync;

/// From the first that is asked to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// A few microseconds of this thread.
    Cheap,
    /// Milliseconds of another.
    Dear,
    /// The time that a service takes.
    Remote,
    /// Only who has shown nothing to the others.
    Stranger,
}

fn load(
    method: &str,
    settings: &config::Basic,
    verifier: Arc<Verifier>,
) -> Result<Basic, MethodError> {
    Basic::load(settings, verifier).map_err(|source| MethodError::PasswordFile {
        method: method.to_owned(),
        source,
    })
}

fn forward(method: &str, settings: &config::ForwardAuth) -> Result<Forward, MethodError> {
    Forward::new(method, settings).map_err(|source| MethodError::Service {
        method: method.to_owned(),
        source: Box::new(source),
    })
}

/// One pool of threads serves all methods with passwords.
fn shared(verifier: &mut Option<Arc<Verifier>>) -> Result<Arc<Verifier>, MethodError> {
    if let Some(verifier) = verifier {
        return Ok(Arc::clone(verifier));
    }
    let started = Arc::new(Verifier::start().map_err(MethodError::Threads)?);
    Ok(Arc::clone(verifier.insert(started)))
}

fn sources(method: &str, settings: &[CredentialSource]) -> Result<Vec<Source>, MethodError> {
    let source = |one| {
        Source::new(one).map_err(|source| MethodError::Header {
            method: method.to_owned(),
            source,
        })
    };
    settings.iter().map(source).collect()
}

/// RFC 9110 §5.6.4
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

/// A method whose passwords nobody verifies.
#[cfg(test)]
pub(super) fn without_threads(method: &str, settings: &config::Basic) -> Arc<Method> {
    let verifier = Arc::new(Verifier::with_threads(0).unwrap());
    let basic = load(method, settings, verifier).unwrap();
    Arc::new(Method::new(method.to_owned(), Kind::Basic(basic)).unwrap())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(path: std::path::PathBuf, realm: &str) -> Arc<AuthMethod> {
        Arc::new(AuthMethod {
            name: "devices".to_owned(),
            kind: AuthKind::Basic(config::Basic {
                htpasswd: path,
                realm: realm.to_owned(),
            }),
        })
    }

    #[test]
    fn methods_are_built_by_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let methods = Methods::build(&[basic(file.path().to_owned(), "lab")]).unwrap();
        assert_eq!(methods.all().len(), 1);
        assert_eq!(methods.named("devices").unwrap().name().as_ref(), "devices");
        assert!(methods.named("people").is_none());
    }

    #[test]
    fn what_cannot_be_set_up_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let missing = basic(folder.path().join("users"), "lab");
        let error = Methods::build(&[missing]).unwrap_err();
        assert!(matches!(error, MethodError::PasswordFile { .. }), "{error}");

        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Methods::build(&[basic(file.path().to_owned(), "a\nb")]).unwrap_err();
        assert!(matches!(error, MethodError::Realm { .. }), "{error}");
    }

    #[test]
    fn quotes_in_a_realm_are_escaped() {
        assert_eq!(quoted(r#"a "b" \c"#), r#""a \"b\" \\c""#);
    }
}

//! Who is asking? One file a method; here is what they have in common.
//!
//! A method reads its credential from the handshake and answers with an identity or none. What the
//! client is told about it is decided in `admission`, in one place for all methods.

mod api_key;
mod basic;
mod cost;
mod decoy;
mod htpasswd;
mod jwks;
mod password;
mod source;
mod verified;
mod verifier;

pub use cost::PasswordHashError;
pub use htpasswd::{HtpasswdError, LineError};
pub use jwks::KeysError;
pub use password::{HashPasswordError, hash_password};
pub(super) use source::Source;

use super::Identity;
use crate::config::{self, AuthKind, AuthMethod};
use api_key::ApiKeys;
use basic::Basic;
use http::header::{HeaderMap, HeaderValue, InvalidHeaderName};
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
    name: String,
    challenge: HeaderValue,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    ApiKey(ApiKeys),
    Basic(Basic),
}

/// What a method says to a handshake.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Check {
    Admitted(Identity),
    /// There is no credential of this kind.
    Absent,
    /// There is one, and it is not good.
    Wrong,
    /// There is one, and it cannot be looked at now.
    Busy,
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
    /// The name of a key would be an identity with control characters.
    #[error("auth method `{method}`: the name of a key holds a control character")]
    KeyName {
        /// Key under `[auth]`.
        method: String,
    },
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
        };
        Self::new(name, kind)
    }

    fn new(name: String, kind: Kind) -> Result<Self, MethodError> {
        let challenge = match &kind {
            Kind::ApiKey(_) => format!("ApiKey realm={}", quoted(&name)),
            Kind::Basic(basic) => basic.challenge(),
        };
        let challenge = HeaderValue::from_bytes(challenge.as_bytes());
        Ok(Self {
            challenge: challenge.map_err(|_| MethodError::Realm {
                method: name.clone(),
            })?,
            name,
            kind,
        })
    }

    /// Its key under `[auth]`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Never ends: reads the method's files again when they change. What a change brings holds for
    /// the next handshake; a file with a mistake is logged and changes nothing.
    pub async fn follow(&self) {
        match &self.kind {
            Kind::ApiKey(_) => std::future::pending().await,
            Kind::Basic(basic) => basic.follow(&self.name).await,
        }
    }

    /// Cancel-safe.
    pub(super) async fn check(&self, headers: &HeaderMap, query: Option<&str>) -> Check {
        match &self.kind {
            Kind::ApiKey(keys) => keys.check(headers, query),
            Kind::Basic(basic) => basic.check(&self.name, headers).await,
        }
    }

    /// For `WWW-Authenticate`.
    pub(super) fn challenge(&self) -> &HeaderValue {
        &self.challenge
    }

    /// Where it looks for credentials, which no upstream shall see.
    pub(super) fn sources(&self) -> Vec<Source> {
        match &self.kind {
            Kind::ApiKey(keys) => keys.sources(),
            Kind::Basic(basic) => basic.sources(),
        }
    }

    /// Whether saying no is expensive; such methods are asked last.
    pub(super) fn is_dear(&self) -> bool {
        match &self.kind {
            Kind::ApiKey(_) => false,
            Kind::Basic(_) => true,
        }
    }
}

impl Check {
    fn of(identity: Option<Identity>) -> Self {
        identity.map_or(Self::Wrong, Self::Admitted)
    }
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

/// One pool of threads serves all methods with passwords.
fn shared(verifier: &mut Option<Arc<Verifier>>) -> Result<Arc<Verifier>, MethodError> {
    if let Some(verifier) = verifier {
        return Ok(Arc::clone(verifier));
    }
    let started = Arc::new(Verifier::start().map_err(MethodError::Threads)?);
    Ok(Arc::clone(verifier.insert(started)))
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
        assert_eq!(methods.named("devices").unwrap().name(), "devices");
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

//! `[auth.*]`: ways to prove who one is.

use std::path::PathBuf;

/// One of `[auth.*]`.
#[derive(Debug, Clone, PartialEq)]
pub struct AuthMethod {
    /// Its key; the first half of an identity (`name:user`).
    pub name: String,
    /// What it checks.
    pub kind: AuthKind,
}

/// `kind`
#[derive(Debug, Clone, PartialEq)]
pub enum AuthKind {
    /// `basic`
    Basic(Basic),
    /// `api_key`
    ApiKey(ApiKeys),
}

/// `kind = "basic"`: RFC 7617 against a password file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basic {
    /// bcrypt, argon2 and SHA-crypt lines; followed when the file changes.
    pub htpasswd: PathBuf,
    /// Shown by browsers.
    pub realm: String,
}

/// `kind = "api_key"`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeys {
    /// At least one.
    pub keys: Vec<ApiKey>,
    /// Where keys are looked for, in order; at least one.
    pub sources: Vec<CredentialSource>,
}

/// A named key, known by its SHA-256 only.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Who it stands for.
    pub name: String,
    /// SHA-256 of the key (computed at load where the key itself was written).
    pub sha256: [u8; 32],
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKey")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// One of `sources`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialSource {
    /// `header:NAME`, lower case.
    Header(String),
    /// `cookie:NAME`
    Cookie(String),
    /// `query:NAME`
    Query(String),
}

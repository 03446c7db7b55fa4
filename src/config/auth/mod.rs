//! `[auth.*]`: ways to prove who one is. One file a kind; here is how `kind` chooses among them.

mod anonymous;
mod api_key;
mod basic;
mod client_cert;
mod forward;
mod source;

pub use anonymous::Anonymous;
pub(super) use api_key::sha256_of;
pub use api_key::{ApiKey, ApiKeys};
pub use basic::Basic;
pub use client_cert::{CertificateName, ClientCert, NamePattern};
pub use forward::ForwardAuth;
pub use source::CredentialSource;

use super::kind::{Kind, choice};
use super::reader::Table;
use super::section::{Key, Outline, Presence, Section};
use serde_json::{Value, json};

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
    /// `client_cert`
    ClientCert(ClientCert),
    /// `forward_auth`
    ForwardAuth(ForwardAuth),
    /// `anonymous`
    Anonymous(Anonymous),
}

impl AuthMethod {
    /// The headers that it sets in what goes to the upstream, or that tell it who somebody is.
    pub fn header_names(&self) -> Vec<&str> {
        match &self.kind {
            AuthKind::ForwardAuth(service) => service.header_names(),
            _ => Vec::new(),
        }
    }
}

/// The word of each kind.
#[derive(Clone, Copy)]
enum Word {
    Basic,
    ApiKey,
    ClientCert,
    ForwardAuth,
    Anonymous,
}

const KINDS: &[(&str, Word)] = &[
    ("basic", Word::Basic),
    ("api_key", Word::ApiKey),
    ("client_cert", Word::ClientCert),
    ("forward_auth", Word::ForwardAuth),
    ("anonymous", Word::Anonymous),
];

impl Section for AuthMethod {
    const HEADING: &'static str = "`[auth.NAME]`";
    const DOC: &'static [&'static str] = &[
        " A way to prove who one is, under a name for routes. Whoever it admits is known to the",
        " upstream and to the logs as `NAME:user`, so that an `admin` of one method is never the",
        " `admin` of another. `kind` decides which other keys there are.",
    ];
    const EXAMPLE: &'static str = "";

    fn keys() -> Vec<Key> {
        let mut shape = choice(KINDS).shape();
        shape.sections = vec![
            Outline::of::<Basic>(),
            Outline::of::<ApiKeys>(),
            Outline::of::<ClientCert>(),
            Outline::of::<ForwardAuth>(),
            Outline::of::<Anonymous>(),
        ];
        vec![Key {
            name: "kind",
            doc: &[" What the method checks."],
            presence: Presence::Required,
            shape,
        }]
    }

    fn read(table: &Table<'_>) -> Option<Self> {
        let kind = match table.required_first("kind", &choice(KINDS))? {
            Word::Basic => AuthKind::Basic(Basic::read(table)?),
            Word::ApiKey => AuthKind::ApiKey(ApiKeys::read(table)?),
            Word::ClientCert => AuthKind::ClientCert(ClientCert::read(table)?),
            Word::ForwardAuth => AuthKind::ForwardAuth(ForwardAuth::checked(table)?),
            Word::Anonymous => AuthKind::Anonymous(Anonymous::read(table)?),
        };
        let name = table.name().to_owned();
        Some(Self { name, kind })
    }

    fn schema() -> Option<Value> {
        let of_kind = |kind: &str, outline: Outline| {
            let mut schema = outline.schema();
            schema["properties"]["kind"] = json!({ "const": kind });
            if let Some(required) = schema["required"].as_array_mut() {
                required.push(json!("kind"));
            }
            schema
        };
        Some(json!({ "anyOf": [
            of_kind("basic", Outline::of::<Basic>()),
            of_kind("api_key", Outline::of::<ApiKeys>()),
            of_kind("client_cert", Outline::of::<ClientCert>()),
            of_kind("forward_auth", Outline::of::<ForwardAuth>()),
            of_kind("anonymous", Outline::of::<Anonymous>()),
        ]}))
    }
}

//! `[auth.*]`: ways to prove who one is. One file a kind; here is how `kind` chooses among them.

mod anonymous;
mod api_key;
mod basic;
mod claim;
mod client_cert;
mod forward;
mod jwt;
mod public_key;
mod source;
mod ticket;

pub use anonymous::Anonymous;
pub(super) use api_key::sha256_of;
pub use api_key::{ApiKey, ApiKeys};
pub use basic::Basic;
pub use claim::{ClaimRule, ClaimValue};
pub use client_cert::{CertificateName, ClientCert, NamePattern};
pub use forward::ForwardAuth;
pub use jwt::{Jwt, KeySetPlace, TokenKeys};
pub use public_key::{KeyKind, PublicKey};
pub use source::CredentialSource;
pub use ticket::Ticket;

use super::kind::{Kind, choice};
use super::reader::Table;
use super::section::{Key, Outline, Presence, Section};
use jwt::JwtKeys;
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
    /// `jwt`
    Jwt(Box<Jwt>),
    /// `ticket`
    Ticket(Ticket),
    /// `forward_auth`
    ForwardAuth(ForwardAuth),
    /// `anonymous`
    Anonymous(Anonymous),
}

/// The word of each kind.
#[derive(Clone, Copy)]
enum Word {
    Basic,
    ApiKey,
    ClientCert,
    Jwt,
    Ticket,
    ForwardAuth,
    Anonymous,
}

const KINDS: &[(&str, Word)] = &[
    ("basic", Word::Basic),
    ("api_key", Word::ApiKey),
    ("client_cert", Word::ClientCert),
    ("jwt", Word::Jwt),
    ("ticket", Word::Ticket),
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
            Outline::of::<JwtKeys>(),
            Outline::of::<Ticket>(),
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
            Word::Jwt => AuthKind::Jwt(Box::new(Jwt::read(table)?)),
            Word::Ticket => AuthKind::Ticket(Ticket::read(table)?),
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
            of_kind("jwt", Outline::of::<JwtKeys>()),
            of_kind("ticket", Outline::of::<Ticket>()),
            of_kind("forward_auth", Outline::of::<ForwardAuth>()),
            of_kind("anonymous", Outline::of::<Anonymous>()),
        ]}))
    }
}

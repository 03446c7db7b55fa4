//! `kind = "jwt"`: which tokens are good, and what is read from them.

use super::claim::{ClaimRule, claim_rule};
use super::public_key::{KeyKind, PublicKey, public_key};
use super::source::{CredentialSource, source};
use crate::config::Secret;
use crate::config::header::header_name;
use crate::config::kind::{
    Kind, Parsed, Shape, at, boolean, count, duration, existing_file, filled, map, one_or_list,
    parsed, secret, text,
};
use crate::config::problem::Problem;
use crate::config::reader::{At, Node, Table};
use crate::config::section::{Section as _, section};
use crate::config::url::{Url, is_url, url};
use jsonwebtoken::Algorithm;
use std::path::PathBuf;
use std::time::Duration;

section! {
    /// Signed tokens (JWT, RFC 7519), as an identity provider hands them out. Exactly one of `jwks`,
    /// `key` and `secret`.
    pub(in crate::config) struct JwtKeys at "`[auth.NAME]` of kind `jwt`" {
        /// The signatures that are accepted. All must be of the kind of the key; with `jwks`, any but
        /// `HS256`, `HS384` and `HS512`.
        algorithms: Vec<At<Algorithm>> = filled(at(algorithm())), required;
        /// The set of keys that the provider publishes (RFC 7517): its URL, or a file that is followed
        /// when it changes. Of a URL the set is fetched anew from time to time, and when a token names
        /// a key that is not in it; the last good set is used as long as there is no other.
        jwks: Option<At<KeySetPlace>> = at(key_set()), optional;
        /// The roots that the server of `jwks` is verified by, a PEM file. Left out: those of the system.
        ca: Option<At<PathBuf>> = at(existing_file("a PEM file of roots")), optional;
        /// A public key, in PEM.
        key: Option<At<PublicKey>> = at(public_key()), optional;
        /// What `HS256`, `HS384` and `HS512` are computed with, at least 32, 48 and 64 bytes long. Who
        /// knows it can make tokens.
        secret: Option<At<Secret>> = at(secret()), optional;
        /// Who must have issued the token (`iss`); any of them.
        issuer: Option<Vec<String>> = one_or_list(text("an issuer, such as `\"https://id.example.com/\"`")), optional;
        /// Whom the token must be for (`aud`); any of them. Left out: a token that is for somebody is
        /// refused.
        audience: Option<Vec<String>> = one_or_list(text("an audience, such as `\"chat\"`")), optional;
        /// How far the clock of who issues tokens may be off.
        leeway: Duration = duration("0s"), or("30s");
        /// Whether a token that never expires (without `exp`) is refused.
        require_expiry: bool = boolean(), or(true);
        /// The claim that names the user, a string or a number. A dot leads into a claim:
        /// `"user.id"`.
        identity_claim: String = text("a claim, such as `\"sub\"`"), or("sub");
        /// What else the token must say, by claim; who says something else is known, and may not enter.
        require_claims: Vec<(At<String>, ClaimRule)> = map("claim", claim_rule()), or({});
        /// The headers in which the upstream gets claims, by claim: strings, numbers, `true` and
        /// `false`, and lists of these, joined by commas. Clients cannot set them.
        claims_to_headers: Vec<(At<String>, At<String>)> = map("claim", at(header_name())), or({});
        /// Where a token is looked for, in this order: `"header"` (`Authorization: Bearer`),
        /// `"header:NAME"`, `"cookie:NAME"`, `"query:NAME"`, or `"subprotocol:PREFIX"`: an element of
        /// `Sec-WebSocket-Protocol` that begins with `PREFIX` where that ends in a dot, else the
        /// element behind `PREFIX`. Behind a `PREFIX` that begins with `base64url.` the token is
        /// encoded so. What was used is taken out of the request before the upstream sees it.
        sources: Vec<CredentialSource> = filled(source()), or(["header"]);
        /// Whether the session ends when the token expires.
        expire_session: bool = boolean(), or(true);
        /// The close code that the client is told then.
        expire_code: u16 = count(3000..=4999), or(3000);
    }
    example r#"[auth.people]
kind = "jwt"
algorithms = ["ES256", "RS256"]
jwks = "https://id.example.com/.well-known/jwks.json"
issuer = "https://id.example.com/"
audience = "chat"
require_claims = { scope = { contains = "chat" } }
claims_to_headers = { org = "X-Org" }
sources = ["header", "subprotocol:bearer."]
"#
}

/// A method of kind `jwt`.
#[derive(Debug, Clone, PartialEq)]
pub struct Jwt {
    /// At least one; each fits `keys`.
    pub algorithms: Vec<Algorithm>,
    /// What tokens are verified by.
    pub keys: TokenKeys,
    /// Any of them; empty: whoever.
    pub issuers: Vec<String>,
    /// Any of them; empty: tokens for nobody in particular.
    pub audiences: Vec<String>,
    /// Tolerated difference of clocks.
    pub leeway: Duration,
    /// Whether `exp` must be there.
    pub require_expiry: bool,
    /// Path of the claim that names the user.
    pub identity_claim: String,
    /// By the path of the claim.
    pub require_claims: Vec<(String, ClaimRule)>,
    /// Path of the claim and name of the header, lower case.
    pub claims_to_headers: Vec<(String, String)>,
    /// Where tokens are looked for; at least one.
    pub sources: Vec<CredentialSource>,
    /// The close code of a session whose token has expired; `None`: it goes on.
    pub expire_code: Option<u16>,
}

/// What tokens are verified by.
#[derive(Debug, Clone, PartialEq)]
pub enum TokenKeys {
    /// `jwks`
    Set {
        /// Where it is.
        place: KeySetPlace,
        /// What its server is verified by, if not by the roots of the system.
        ca: Option<PathBuf>,
    },
    /// `key`
    Public(PublicKey),
    /// `secret`
    Secret(Secret),
}

/// Where a key set is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySetPlace {
    /// Fetched.
    Url(Url),
    /// Followed.
    File(PathBuf),
}

impl Jwt {
    pub(super) fn read(table: &Table<'_>) -> Option<Self> {
        let keys = JwtKeys::read(table)?;
        check_headers(&keys.claims_to_headers, table);
        let token_keys = keys.token_keys(table)?;
        for algorithm in &keys.algorithms {
            if let Some(problem) = mismatch(algorithm.value, &token_keys) {
                table.log().add(problem.at(&algorithm.place));
            }
        }
        keys.check_secret(table);
        Some(Self {
            algorithms: keys.algorithms.into_iter().map(|one| one.value).collect(),
            keys: token_keys,
            issuers: keys.issuer.unwrap_or_default(),
            audiences: keys.audience.unwrap_or_default(),
            leeway: keys.leeway,
            require_expiry: keys.require_expiry,
            identity_claim: keys.identity_claim,
            require_claims: by_claim(keys.require_claims, |rule| rule),
            claims_to_headers: by_claim(keys.claims_to_headers, |header| header.value),
            sources: keys.sources,
            expire_code: keys.expire_session.then_some(keys.expire_code),
        })
    }
}

impl JwtKeys {
    fn token_keys(&self, table: &Table<'_>) -> Option<TokenKeys> {
        if let (
            Some(ca),
            None
            | Some(At {
                value: KeySetPlace::File(_),
                ..
            }),
        ) = (&self.ca, &self.jwks)
        {
            let problem = Problem::new("`ca` without a `jwks` that is fetched");
            table.log().add(problem.at(&ca.place));
        }
        match (&self.jwks, &self.key, &self.secret) {
            (Some(place), None, None) => Some(TokenKeys::Set {
                place: place.value.clone(),
                ca: self.ca.as_ref().map(|ca| ca.value.clone()),
            }),
            (None, Some(key), None) => Some(TokenKeys::Public(key.value.clone())),
            (None, None, Some(secret)) => Some(TokenKeys::Secret(secret.value.clone())),
            (None, None, None) => {
                table.report(no_key());
                None
            }
            (jwks, key, secret) => {
                let jwks = jwks.as_ref().map(|one| &one.place);
                let key = key.as_ref().map(|one| &one.place);
                let secret = secret.as_ref().map(|one| &one.place);
                let mut places = [jwks, key, secret].into_iter().flatten();
                let problem = Problem::new("more than one of `jwks`, `key` and `secret`");
                if let (Some(first), Some(second)) = (places.next(), places.next()) {
                    let problem = problem.see(first, "the first one");
                    table.log().add(
                        problem
                            .at(second)
                            .help("keep one; a set may hold several keys"),
                    );
                }
                None
            }
        }
    }

    /// A secret shorter than the hash can be guessed from a token (RFC 7518 §3.2).
    fn check_secret(&self, table: &Table<'_>) {
        let Some(secret) = &self.secret else { return };
        let written = secret.value.expose().len();
        let longest = self
            .algorithms
            .iter()
            .filter_map(|one| hash_length(one.value))
            .max();
        if let Some(least) = longest.filter(|least| written < *least) {
            let problem = Problem::new("this secret is too short")
                .label(format!("{written} bytes, expected at least {least}"))
                .help(format!("make one: `openssl rand -base64 {least}`"));
            table.log().add(problem.at(&secret.place));
        }
    }
}

fn no_key() -> Problem {
    Problem::new("nothing to verify tokens by: none of `jwks`, `key` and `secret`")
        .help("add `jwks = \"https://…\"`, the set of keys that the identity provider publishes")
        .help("or `key = { file = \"public.pem\" }`, or for `HS256` `secret = { file = \"…\" }`")
}

/// Why tokens cannot be signed by `algorithm` there.
fn mismatch(algorithm: Algorithm, keys: &TokenKeys) -> Option<Problem> {
    let kind = KeyKind::of(algorithm);
    let name = format!("{algorithm:?}");
    match keys {
        TokenKeys::Set { .. } if kind == Some(KeyKind::Secret) => Some(
            Problem::new(format!("`{name}` is not verified by a set of public keys"))
                .label("everybody who reads the set could make tokens")
                .help("leave it out, or use `secret` in place of `jwks`"),
        ),
        TokenKeys::Set { .. } => None,
        TokenKeys::Public(key) if kind == Some(key.kind) => None,
        TokenKeys::Public(key) => Some(key.kind.mismatch(&name)),
        TokenKeys::Secret(_) if kind == Some(KeyKind::Secret) => None,
        TokenKeys::Secret(_) => Some(KeyKind::Secret.mismatch(&name)),
    }
}

/// In bytes, of algorithms with a secret.
fn hash_length(algorithm: Algorithm) -> Option<usize> {
    match algorithm {
        Algorithm::HS256 => Some(32),
        Algorithm::HS384 => Some(48),
        Algorithm::HS512 => Some(64),
        _ => None,
    }
}

/// Two claims in one header could not be told apart.
fn check_headers(headers: &[(At<String>, At<String>)], table: &Table<'_>) {
    for (index, (_, header)) in headers.iter().enumerate() {
        let mut earlier = headers[..index].iter();
        if let Some((_, first)) = earlier.find(|(_, other)| other.value == header.value) {
            let problem = Problem::new(format!("`{}` is set twice", header.value));
            let problem = problem.see(&first.place, "first set here");
            table.log().add(problem.at(&header.place));
        }
    }
}

fn by_claim<T, U>(entries: Vec<(At<String>, T)>, value: fn(T) -> U) -> Vec<(String, U)> {
    let entry = |(claim, one): (At<String>, T)| (claim.value, value(one));
    entries.into_iter().map(entry).collect()
}

fn algorithm() -> Parsed<Algorithm> {
    parsed(
        "`\"RS256\"`, `\"RS384\"`, `\"RS512\"`, `\"PS256\"`, `\"PS384\"`, `\"PS512\"`, `\"ES256\"`, \
         `\"ES384\"`, `\"EdDSA\"`, `\"HS256\"`, `\"HS384\"` or `\"HS512\"`",
        "^([RPH]S(256|384|512)|ES(256|384)|EdDSA)$",
        |text| {
            text.parse().map_err(|_| {
                let problem = Problem::new(format!("`{text}` is not an algorithm"));
                let is_near = |known: &&&str| known.eq_ignore_ascii_case(text);
                if let Some(near) = ALGORITHMS.iter().find(is_near) {
                    return problem.help(format!("did you mean `{near}`?"));
                }
                match text {
                    "Ed25519" => problem.help("write `EdDSA`"),
                    "none" => problem
                        .label("a token that nobody has signed")
                        .help("leave it out"),
                    _ => problem.suggest(text, &ALGORITHMS, "algorithms"),
                }
            })
        },
    )
}

const ALGORITHMS: [&str; 12] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "HS256",
    "HS384", "HS512",
];

/// A kind: a URL or the path of a file.
fn key_set() -> KeySetKind {
    KeySetKind
}

/// See [`key_set`].
struct KeySetKind;

impl Kind for KeySetKind {
    type Out = KeySetPlace;

    fn read(&self, node: &Node<'_>) -> Option<KeySetPlace> {
        match is_url(&node.text("a URL or a path")?) {
            true => url().read(node).map(KeySetPlace::Url),
            false => existing_file(SET).read(node).map(KeySetPlace::File),
        }
    }

    fn shape(&self) -> Shape {
        let mut shape = existing_file(SET).shape();
        shape.text = format!("{}, or {}", url().shape().text, shape.text);
        shape
    }
}

const SET: &str = "a file with a key set";

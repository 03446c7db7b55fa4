//! `balance`: how an endpoint is chosen.

use super::brought;
use super::kind::{
    Choice, Kind, Parsed, Shape, at, boolean, choice, duration, or_off, parsed, table,
};
use super::problem::Problem;
use super::reader::{At, Node};
use super::section::section;
use std::time::Duration;
use toml::de::DeValue;

/// `balance`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Balance {
    /// In turn, by weight.
    RoundRobin,
    /// Fewest live sessions per weight.
    LeastConnections,
    /// The better of two drawn at random.
    RandomTwo,
    /// The same one for the same key.
    Hash(Affinity),
}

/// What binds a client to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affinity {
    /// What is hashed.
    pub key: HashKey,
    /// The cookie is the gateway's own.
    pub issue: Option<IssuedCookie>,
}

/// `hash`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashKey {
    /// The client's address.
    ClientIp,
    /// The path, without the query.
    Path,
    /// Who the client is.
    Identity,
    /// The value of a header; lower case.
    Header(String),
    /// The value of a cookie.
    Cookie(String),
    /// The value of a query parameter.
    Query(String),
}

/// How the gateway's own cookie is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssuedCookie {
    /// `SameSite`
    pub same_site: SameSite,
    /// `Max-Age`; `None`: until the browser is closed.
    pub max_age: Option<Duration>,
}

/// `same_site`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Also when a link from another site is followed.
    Lax,
    /// Only for the site's own pages.
    Strict,
    /// Also for pages of other sites; browsers take it by https alone.
    None,
}

section! {
    /// The same endpoint for the same key, as long as it is there: on every gateway with the same
    /// endpoints, as nothing but key and endpoints decide. An endpoint that comes or goes moves only
    /// its own share. A client without the key gets the endpoint with the fewest sessions.
    struct HashKeys at "`balance`" {
        /// The key: `"client_ip"`, `"path"`, `"identity"`, `"header:NAME"`, `"cookie:NAME"` or
        /// `"query:NAME"`.
        hash: HashKey = hash_key(), required;
        /// Whether the gateway gives the cookie to clients that come without it: a random value
        /// that tells nothing about endpoints. With `"cookie:NAME"` only.
        issue: At<bool> = at(boolean()), or(false);
        /// With which requests browsers send that cookie. Pages of another site need `"none"`, which
        /// browsers accept by https alone; by http it is `"lax"`. With `"none"` the cookie is
        /// `Partitioned`: other cookies of other sites are refused by more and more browsers.
        same_site: SameSite = choice(&[
            ("lax", SameSite::Lax),
            ("strict", SameSite::Strict),
            ("none", SameSite::None),
        ]), or("lax");
        /// How long browsers keep that cookie. `"off"`: until they are closed.
        max_age: Option<Duration> = or_off(duration("1s")), or("off");
    }
    example r#"[upstreams.io]
endpoints = ["ws://10.0.0.1:3000", "ws://10.0.0.2:3000"]
balance = { hash = "cookie:io_backend", issue = true }
"#
}

/// A kind: a word, or a table of [`HashKeys`].
pub(super) fn balance() -> BalanceKind {
    BalanceKind
}

/// See [`balance`].
pub(super) struct BalanceKind;

/// A way that needs no more than its name.
#[derive(Debug, Clone, Copy)]
enum Plain {
    RoundRobin,
    LeastConnections,
    RandomTwo,
}

fn words() -> Choice<Plain> {
    choice(&[
        ("round_robin", Plain::RoundRobin),
        ("least_connections", Plain::LeastConnections),
        ("random_two", Plain::RandomTwo),
    ])
}

impl Kind for BalanceKind {
    type Out = Balance;

    fn read(&self, node: &Node<'_>) -> Option<Balance> {
        match node.value() {
            DeValue::Table(_) => by_hash(table::<HashKeys>().read(node)?, node),
            _ => Some(match words().read(node)? {
                Plain::RoundRobin => Balance::RoundRobin,
                Plain::LeastConnections => Balance::LeastConnections,
                Plain::RandomTwo => Balance::RandomTwo,
            }),
        }
    }

    fn shape(&self) -> Shape {
        words().shape().or(table::<HashKeys>().shape())
    }
}

fn by_hash(keys: HashKeys, node: &Node<'_>) -> Option<Balance> {
    let is_cookie = matches!(keys.hash, HashKey::Cookie(_));
    if keys.issue.value && !is_cookie {
        let problem = Problem::new("only a cookie can be issued")
            .at(&keys.issue.place)
            .help("name one: `hash = \"cookie:NAME\"`");
        node.source().log.add(problem);
        return None;
    }
    Some(Balance::Hash(Affinity {
        key: keys.hash,
        issue: keys.issue.value.then_some(IssuedCookie {
            same_site: keys.same_site,
            max_age: keys.max_age,
        }),
    }))
}

fn hash_key() -> Parsed<HashKey> {
    parsed(
        "`\"client_ip\"`, `\"path\"`, `\"identity\"`, `\"header:NAME\"`, `\"cookie:NAME\"` or `\"query:NAME\"`",
        "^(client_ip|path|identity|(header|cookie|query):.+)$",
        |text| {
            use HashKey::{Cookie, Header, Query};
            if let Some(brought) = brought::parse(text, [Header, Cookie, Query]) {
                return brought;
            }
            match text.split_once(':').map_or(text, |(kind, _)| kind) {
                kind @ ("client_ip" | "path" | "identity") if kind != text => {
                    Err(Problem::new(format!("`{kind}` takes no name"))
                        .help(format!("write `\"{kind}\"`")))
                }
                "client_ip" => Ok(HashKey::ClientIp),
                "path" => Ok(HashKey::Path),
                "identity" => Ok(HashKey::Identity),
                _ => Err(
                    Problem::new(format!("`{text}` is nothing to hash by")).help(
                        "write `\"client_ip\"`, `\"path\"`, `\"identity\"`, `\"header:NAME\"`, \
                     `\"cookie:NAME\"` or `\"query:NAME\"`",
                    ),
                ),
            }
        },
    )
}

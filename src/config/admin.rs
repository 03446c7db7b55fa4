//! `[health]` and `[admin]`: where those who run the gateway ask how it is.

use super::auth::sha256_of;
use super::conflict::twice;
use super::kind::{Kind, Shape, at, choice, filled, named, salvage, secret, table};
use super::listener::{BindAddress, ListenerKeys, address};
use super::problem::{Log, Problem};
use super::reader::{At, Node};
use super::root::Root;
use super::section::section;

/// `[health]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Where probes are answered.
    pub address: BindAddress,
}

/// `[admin]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Where it is served.
    pub address: BindAddress,
    /// Who may ask; empty: whoever reaches the address, which is local then.
    pub tokens: Vec<AdminToken>,
}

/// One of `tokens`, known by its SHA-256 only.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminToken {
    /// Its key.
    pub name: String,
    /// SHA-256 of the token.
    pub sha256: [u8; 32],
    /// What its holder may do.
    pub may: Vec<AdminRight>,
}

/// An entry of `may`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminRight {
    /// See everything, change nothing.
    Read,
    /// Change what the gateway does.
    Control,
}

/// What `Gateway::addresses` and the log call the address of `[health]`: no listener has this name.
pub const HEALTH: &str = "[health]";
/// The same for `[admin]`.
pub const ADMIN: &str = "[admin]";

section! {
    /// Probes for a load balancer, a container or an orchestrator: `/healthz` says whether the process
    /// works, `/readyz` whether it takes clients. Nothing else is there, and no token is asked for, so
    /// that the address may be open to the whole network. Left out: both are only on `[admin]`.
    pub(super) struct HealthKeys at "`[health]`" {
        /// Where to answer: an IP address and a port, or `"unix:PATH"`.
        pub(super) address: At<BindAddress> = at(address()), required;
    }
    example r#"[health]
address = "0.0.0.0:9181"
"#
}

section! {
    /// Metrics and probes for those who run the gateway: `/metrics` (Prometheus), `/healthz`,
    /// `/readyz`. Left out: there is no such address.
    pub(super) struct AdminKeys at "`[admin]`" {
        /// Where to serve it: an IP address and a port, or `"unix:PATH"`. Without `tokens` only an
        /// address of this machine, such as `"127.0.0.1:9180"` or a unix socket, is accepted.
        pub(super) address: At<BindAddress> = at(address()), required;
        /// Who may ask, each under a name: with `Authorization: Bearer …`. Where there is a token,
        /// local clients need one too. Probes never do.
        pub(super) tokens: Vec<AdminToken> = tokens(), or({});
    }
    example r#"[admin]
address = "0.0.0.0:9180"

[admin.tokens]
prometheus = { secret = { file = "prometheus.token" }, may = ["read"] }
ops = { secret = { file = "ops.token" }, may = ["read", "control"] }
"#
}

section! {
    /// A token and what it is good for.
    struct TokenKeys at "an entry of `tokens`" {
        /// The token itself: long and random, such as `openssl rand -hex 32` prints.
        secret: super::Secret = secret(), required;
        /// `"read"` is for what shows, such as the metrics; `"control"` for what changes something.
        may: Vec<AdminRight> = filled(choice(&[
            ("read", AdminRight::Read),
            ("control", AdminRight::Control),
        ])), required;
    }
}

impl From<HealthKeys> for Health {
    fn from(keys: HealthKeys) -> Self {
        Self {
            address: keys.address.value,
        }
    }
}

impl From<AdminKeys> for Admin {
    fn from(keys: AdminKeys) -> Self {
        Self {
            address: keys.address.value,
            tokens: keys.tokens,
        }
    }
}

impl std::fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminToken")
            .field("name", &self.name)
            .field("may", &self.may)
            .finish_non_exhaustive()
    }
}

fn tokens() -> TokensKind {
    TokensKind
}

struct TokensKind;

impl Kind for TokensKind {
    type Out = Vec<AdminToken>;

    fn read(&self, node: &Node<'_>) -> Option<Vec<AdminToken>> {
        // Whatever is wrong in here, what it quotes may be a token.
        node.hide_strings(&["file", "may"]);
        let entries = named(salvage(table::<TokenKeys>())).read(node)?;
        let token = |(name, keys): (At<String>, Option<TokenKeys>)| {
            let keys = keys?;
            Some(AdminToken {
                name: name.value,
                sha256: sha256_of(keys.secret.expose()),
                may: keys.may,
            })
        };
        entries.into_iter().map(token).collect()
    }

    fn shape(&self) -> Shape {
        named(table::<TokenKeys>()).shape()
    }
}

/// Reports an address that is open to others without a token, and addresses that are taken.
pub(super) fn check(root: &Root, log: &Log) {
    let health = root
        .health
        .iter()
        .flatten()
        .map(|keys| (HEALTH, &keys.address));
    let admin = root
        .admin
        .iter()
        .flatten()
        .map(|keys| (ADMIN, &keys.address));
    let listeners: Vec<&At<ListenerKeys>> = root.listeners.iter().flatten().collect();
    let mut taken: Vec<&At<BindAddress>> = listeners
        .iter()
        .map(|listener| &listener.value.address)
        .collect();
    for (section, address) in health.chain(admin) {
        check_is_free(section, address, &taken, log);
        check_name(section, &listeners, log);
        taken.push(address);
    }
    if let Some(admin) = root.admin.iter().flatten().next() {
        check_tokens(admin, log);
    }
}

fn check_tokens(admin: &AdminKeys, log: &Log) {
    if admin.tokens.is_empty() && !admin.address.value.is_local() {
        let problem = Problem::new("`[admin]` would be open to the network")
            .at(&admin.address.place)
            .label("not an address of this machine alone")
            .help("add a token: `[admin.tokens]` with `ops = { secret = { file = \"ops.token\" }, may = [\"read\"] }`")
            .help("or listen on this machine alone: `\"127.0.0.1:9180\"`, `\"unix:/run/wsgate-admin.sock\"`");
        log.add(problem);
    }
}

fn check_is_free(section: &str, address: &At<BindAddress>, taken: &[&At<BindAddress>], log: &Log) {
    let is_free_port = matches!(&address.value, BindAddress::Tcp(address) if address.port() == 0);
    let first = taken.iter().find(|taken| taken.value == address.value);
    if let Some(first) = first.filter(|_| !is_free_port) {
        let title = format!("the address `{}` of `{section}` is taken", address.value);
        log.add(twice(title, &first.place, &address.place));
    }
}

fn check_name(section: &str, listeners: &[&At<ListenerKeys>], log: &Log) {
    let names = listeners.iter().filter_map(|keys| keys.value.name.as_ref());
    for name in names.filter(|name| name.value == section) {
        let problem = Problem::new(format!("`{section}` is not a name for a listener"));
        let help = format!("choose another: logs call the address of `{section}` so");
        log.add(problem.at(&name.place).help(help));
    }
}

//! `kind = "ticket"`

use super::source::{CredentialSource, source};
use crate::config::Secret;
use crate::config::kind::{Kind, Shape, duration, filled, parsed, secret};
use crate::config::problem::Problem;
use crate::config::reader::Node;
use crate::config::section::section;
use std::time::Duration;

section! {
    /// Tickets for browsers, whose pages cannot set headers of a WebSocket handshake: a `POST` to
    /// `path`, proven by any other method of the route, is answered with a short-lived ticket for one
    /// handshake, which the page puts into the URL. It is good for that route, from pages of the same
    /// origin, once on this gateway. A route lists it in `auth`, beside those other methods.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Ticket at "`[auth.NAME]` of kind `ticket`" {
        /// Where tickets are asked for: `POST /ticket?path=/chat` is for a session at `/chat` of the same
        /// host. The parameter may be left out where only one route takes tickets and no `forward_auth`
        /// judges; the ticket is then good for all paths of that route. Ordinary requests to this path
        /// reach no upstream.
        pub path: String = path(), required;
        /// For how long a ticket is good, at most five minutes. It ends with a whole second of the clock.
        pub ttl: Duration = ttl(), or("30s");
        /// Where the handshake carries it: `"query:NAME"`, `"cookie:NAME"`, `"header:NAME"` or
        /// `"subprotocol:PREFIX"`. It is taken out before the upstream sees it.
        pub sources: Vec<CredentialSource> = filled(source()), or(["query:ticket"]);
        /// What tickets are sealed with, at least 32 characters, for several gateways that are to take
        /// each other's. Each of them takes a ticket once. Left out: a secret of this process alone.
        pub secret: Option<Secret> = long_secret(), optional;
    }
    example r#"[auth.tickets]
kind = "ticket"
path = "/ticket"
ttl = "1m"
"#
}

fn path() -> impl Kind<Out = String> {
    parsed("a path", "^/", |text| {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?#%\\*;".contains(&byte);
        let is_path = text.starts_with('/') && text.bytes().all(is_plain) && !text.contains("//");
        match is_path
            && !text
                .split('/')
                .any(|segment| [".", ".."].contains(&segment))
        {
            true => Ok(text.to_owned()),
            false => Err(Problem::new(format!("`{text}` is no path for tickets"))
                .help("write an absolute path without escapes, such as `\"/ticket\"`")),
        }
    })
}

/// A ticket that waits for longer might outlive what was taken back in the meantime.
const TTL_MAX: Duration = Duration::from_secs(5 * 60);

fn ttl() -> Ttl {
    Ttl
}

struct Ttl;

impl Kind for Ttl {
    type Out = Duration;

    fn read(&self, node: &Node<'_>) -> Option<Duration> {
        let ttl = duration("1s").read(node)?;
        match ttl > TTL_MAX {
            false => Some(ttl),
            true => node.refuse(
                Problem::new("a ticket must not wait so long")
                    .help("write at most `\"5m\"`: a page asks for a ticket when it needs one"),
            ),
        }
    }

    fn shape(&self) -> Shape {
        duration("1s").shape()
    }
}

/// Shorter ones can be guessed by who has a ticket.
const SECRET_MIN: usize = 32;

fn long_secret() -> LongSecret {
    LongSecret
}

struct LongSecret;

impl Kind for LongSecret {
    type Out = Secret;

    fn read(&self, node: &Node<'_>) -> Option<Secret> {
        let secret = secret().read(node)?;
        let written = secret.expose().len();
        match written < SECRET_MIN {
            false => Some(secret),
            true => node.refuse(
                Problem::new("this secret is too short")
                    .label(format!("{written} bytes, expected at least {SECRET_MIN}"))
                    .help(format!("make one: `openssl rand -base64 {SECRET_MIN}`")),
            ),
        }
    }

    fn shape(&self) -> Shape {
        secret().shape()
    }
}

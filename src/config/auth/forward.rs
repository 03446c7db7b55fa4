//! `kind = "forward_auth"`

use crate::config::Scheme;
use crate::config::header::header_name;
use crate::config::kind::{boolean, count, duration, existing_file, list, or_off};
use crate::config::problem::Problem;
use crate::config::reader::Table;
use crate::config::section::{Section, section};
use crate::config::url::{Url, url};
use std::path::PathBuf;
use std::time::Duration;

section! {
    /// A service decides, as with nginx's `auth_request` and Traefik's `ForwardAuth`: it gets a GET with
    /// the client's headers (cookies and `Authorization` among them) and with what was asked for in
    /// `X-Forwarded-Method`, `-Proto`, `-Host`, `-Uri` and `-For`, `X-Original-Method`, `X-Original-URI`,
    /// `X-Original-URL` and `X-Real-IP`. An answer of 2xx admits; 401, 403 and redirects go to the client
    /// with their body; whatever else comes, or nothing, admits nobody (503). It is asked last, and only if
    /// no other method of the route admits.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct ForwardAuth at "`[auth.NAME]` of kind `forward_auth`" {
        /// What is asked.
        pub url: Url = url(), required;
        /// The roots that the service is verified by where `url` is `https://`, PEM; followed when the
        /// file changes. Left out: those of the system.
        pub ca: Option<PathBuf> = existing_file("PEM certificates"), optional;
        /// Headers of an answer of 2xx that the upstream gets. Clients cannot set them.
        pub copy_headers: Vec<String> = list(header_name()), or([]);
        /// The header of an answer of 2xx that names the user. An answer without it admits nobody. Left
        /// out: whoever is admitted is `NAME:anonymous`, all of them the same to limits by identity.
        pub identity_header: Option<String> = header_name(), optional;
        /// For the whole answer; beyond it nobody is admitted.
        pub timeout: Duration = duration("10ms"), or("2s");
        /// For how long an answer (2xx, 401 and 403) is good for a request that is equal in all that the
        /// service sees of it. `Cache-Control` of the answer makes it shorter, or forbids it. At most an
        /// hour.
        pub cache: Option<Duration> = or_off(duration("100ms")), or("off");
        /// How often the service is asked again about a live session, with the headers of its handshake. A
        /// session that it no longer admits, or admits as somebody else, is closed with `expire_code`; so
        /// is one about which it could not be asked twice as long.
        pub recheck: Option<Duration> = or_off(duration("1s")), or("off");
        /// Whether a session ends when the `Cache-Control: max-age` of the answer that admitted it is over.
        /// With `recheck` the service is asked again before.
        pub expire_session: bool = boolean(), or(true);
        /// The close code that the client is told then.
        pub expire_code: u16 = count(3000..=4999), or(3000);
    }
    example r#"[auth.portal]
kind = "forward_auth"
url = "http://127.0.0.1:4180/oauth2/auth"
copy_headers = ["X-Auth-Request-User", "X-Auth-Request-Email"]
identity_header = "X-Auth-Request-User"
cache = "10s"
recheck = "5m"
"#
}

impl ForwardAuth {
    /// Reads it, and what its keys say together.
    pub(super) fn checked(table: &Table<'_>) -> Option<Self> {
        let service = Self::read(table)?;
        if service.ca.is_some() && service.url.scheme == Scheme::Http {
            let problem = Problem::new("`ca` has no meaning without TLS");
            let problem = problem.help("write `https://` in `url`, or leave `ca` out");
            table.blame("ca", problem);
        }
        Some(service)
    }
}

//! The request as its client sees it, for a service that judges it elsewhere.

use crate::http::{Authority, Scheme, Target};
use http::Method;
use std::net::IpAddr;

/// What is asked for, and by whom.
#[derive(Debug, Clone, Copy)]
pub struct Original<'a> {
    /// GET for a handshake.
    pub method: &'a Method,
    /// Where to.
    pub target: &'a Target,
    /// The host that the client asked for, where a trusted proxy has asked for another.
    pub authority: Option<&'a Authority>,
    /// How the client came.
    pub scheme: Scheme,
    /// The client first, then the proxies up to the gateway's own peer; empty on a unix socket.
    pub chain: &'a [IpAddr],
    /// The gateway's name for this request.
    pub request_id: &'a str,
}

impl Original<'_> {
    /// Host, with the port that the client wrote.
    pub(super) fn host(&self) -> String {
        match self.authority {
            Some(authority) => authority.to_string(),
            None => self.target.authority(),
        }
    }

    /// Path and query.
    pub(super) fn uri(&self) -> String {
        match &self.target.query {
            Some(query) => format!("{}?{query}", self.target.path),
            None => self.target.path.clone(),
        }
    }
}

#[cfg(test)]
impl Original<'static> {
    /// One that no test asks about.
    pub(super) fn of_a_test() -> Self {
        static TARGET: std::sync::LazyLock<Target> = std::sync::LazyLock::new(|| Target {
            host: "chat.example.com".to_owned(),
            port: None,
            path: "/chat".to_owned(),
            query: Some("room=1".to_owned()),
        });
        Self {
            method: &Method::GET,
            target: &TARGET,
            authority: None,
            scheme: Scheme::Https,
            chain: &[],
            request_id: "r1",
        }
    }
}

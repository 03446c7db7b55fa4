//! What a handshake is judged by, and what it is for.

use super::auth::Marked;
use super::original::Original;
use crate::http::Origin;
use crate::tls::ClientCertificate;
use http::Method;
use http::header::HeaderMap;
use std::net::IpAddr;

/// What a handshake is judged by. Cannot be printed, as there are credentials in it.
#[derive(Clone)]
pub struct Ask<'a> {
    /// The route's name.
    pub route: &'a str,
    /// As the client sent them.
    pub headers: &'a HeaderMap,
    /// Without the `?`.
    pub query: Option<&'a str>,
    /// What stood among the subprotocols, and was taken out.
    pub credentials: &'a [Marked],
    /// The origin that the request was sent to, to be compared with that of the page that asks;
    /// `None` if no page does, or if its host is not one that the gateway answers for.
    pub own_origin: Option<Origin>,
    /// The certificate that it showed when it began TLS.
    pub certificate: Option<&'a ClientCertificate>,
    /// Whose limits count; `None` on a unix socket.
    pub client: Option<IpAddr>,
    /// What it is for.
    pub purpose: Purpose,
    /// What a service that is asked about it is told.
    pub original: Original<'a>,
}

/// What a request is for, as far as pages of other origins are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To become a session.
    Session,
    /// To get a ticket, by which another request becomes one.
    Ticket,
    /// To read: what any page may do, as browsers keep the answer from it.
    Reading,
    /// To change something.
    Writing,
}

impl Purpose {
    /// Of an ordinary request (RFC 9110 §9.2.1).
    pub fn of(method: &Method) -> Self {
        match method.is_safe() {
            true => Self::Reading,
            false => Self::Writing,
        }
    }
}

#[cfg(test)]
impl<'a> Ask<'a> {
    /// Of a program that asks for a session with these.
    pub(crate) fn of(headers: &'a HeaderMap, query: Option<&'a str>) -> Self {
        Self {
            route: "",
            headers,
            query,
            credentials: &[],
            own_origin: None,
            certificate: None,
            client: None,
            purpose: Purpose::Session,
            original: Original::of_a_test(),
        }
    }
}

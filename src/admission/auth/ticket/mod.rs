//! `kind = "ticket"`: what a browser's page carries in a URL instead of a credential that it could not
//! put into a handshake. `seal` makes it unreadable and unforgeable, `used` lets it be used once.
//!
//! A ticket stands for what another method has found out: the session it opens has that identity, rests
//! on that proof, and ends when that proof does.

mod seal;
mod used;

use super::MethodError;
use super::proof::{Check, Fault, Lifetime, Proof};
use super::source::Source;
use crate::admission::{Ask, Identity, Purpose};
use crate::config;
use http::header::{HeaderName, HeaderValue, ORIGIN};
use seal::Seal;
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;
use used::{Full, Used};

/// A longer one is none.
const TICKET_BYTES_MAX: usize = 8 * 1024;

/// One `[auth.*]` of this kind.
#[derive(Debug)]
pub struct Tickets {
    path: String,
    ttl: Duration,
    sources: Vec<Source>,
    seal: Seal,
    used: Used,
}

/// What is sealed.
#[derive(Debug, Serialize, Deserialize)]
struct Content {
    route: String,
    /// Where on the route, if the page has said it.
    path: Option<String>,
    origin: Option<String>,
    /// Microseconds since 1970, as what was taken back before does not count: nobody asks for a ticket and has
    /// it within one.
    issued: u64,
    /// Seconds since 1970, as several gateways may have to agree on it.
    until: u64,
    method: String,
    name: String,
    token_id: Option<String>,
    /// When the session ends, in milliseconds since 1970, and its close code.
    ends: Option<(u64, u16)>,
    headers: Vec<(String, Vec<u8>)>,
}

/// A ticket, and for how long it is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// For the URL: it needs no escapes.
    pub ticket: String,
    /// How long it may wait to be used.
    pub ttl: Duration,
}

impl Tickets {
    pub(super) fn new(method: &str, settings: &config::Ticket) -> Result<Self, MethodError> {
        let secret = settings.secret.as_ref().map(|secret| secret.expose());
        let seal = Seal::new(method, secret).map_err(|_| MethodError::Randomness)?;
        Ok(Self {
            path: settings.path.clone(),
            ttl: settings.ttl,
            sources: super::sources(method, &settings.sources)?,
            seal,
            used: Used::default(),
        })
    }

    /// Where they are asked for.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn sources(&self) -> Vec<Source> {
        self.sources.clone()
    }

    /// For a handshake on `ask`'s route, at `path` if that is known, by a page of the same origin. `None` if
    /// what was proven has ended by now or is too much for a ticket, or the system has no random numbers.
    pub fn issue(&self, ask: &Ask<'_>, path: Option<&str>, proof: &Proof) -> Option<Issued> {
        let (now, clock) = (now(), Instant::now());
        // A session that a ticket opens is not asked about again.
        let unasked = proof.recheck.as_ref().map(|recheck| recheck.unasked());
        let left = match proof.lifetime.into_iter().chain(unasked).min() {
            Some(lifetime) => Some((lifetime.ends.checked_duration_since(clock)?, lifetime.code)),
            None => None,
        };
        let content = Content {
            route: ask.route.to_owned(),
            path: path.map(str::to_owned),
            origin: origin(ask),
            issued: microseconds(since_1970()),
            until: now + self.ttl.as_secs(),
            method: proof.identity.method().to_string(),
            name: proof.identity.name().to_owned(),
            token_id: proof.token_id.as_deref().map(str::to_owned),
            ends: left.map(|(left, code)| (milliseconds(since_1970() + left), code)),
            headers: proof
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
                .collect(),
        };
        let content = serde_json::to_vec(&content).ok()?;
        let ticket = self.seal.close(&content).ok()?;
        (ticket.len() <= TICKET_BYTES_MAX).then_some(Issued {
            ticket,
            ttl: self.ttl,
        })
    }

    pub(super) fn check(&self, ask: &Ask<'_>) -> Check {
        if ask.purpose == Purpose::Ticket {
            // A ticket that buys another would never end.
            return Check::Absent;
        }
        let mut shown = self.sources.iter().filter_map(|source| source.read(ask));
        match shown.find(|ticket| !ticket.is_empty()) {
            Some(ticket) => self.redeem(ask, &ticket).unwrap_or_else(|check| check),
            None => Check::Absent,
        }
    }

    /// Nothing is used up by a handshake for which the ticket was not meant.
    fn redeem(&self, ask: &Ask<'_>, ticket: &[u8]) -> Result<Check, Check> {
        let unknown = || Check::wrong("it is no ticket of this gateway");
        if ticket.len() > TICKET_BYTES_MAX {
            return Err(unknown());
        }
        let opened = self.seal.open(ticket).ok_or_else(unknown)?;
        let content: Content = serde_json::from_slice(&opened.content).map_err(|_| unknown())?;
        let now = now();
        if content.until <= now {
            return Err(Check::wrong("the ticket has expired"));
        }
        if content.route != ask.route {
            return Err(Check::wrong("the ticket is for another route"));
        }
        let path = &ask.original.target.path;
        if content.path.as_ref().is_some_and(|meant| meant != path) {
            return Err(Check::wrong("the ticket is for another path"));
        }
        if content.origin != origin(ask) {
            return Err(Check::wrong("the ticket is for pages of another origin"));
        }
        let proof = content.proof().ok_or_else(unknown)?;
        let patience = Instant::now() + Duration::from_secs(content.until - now);
        match self.used.take(opened.number, patience) {
            Ok(true) => Ok(Check::Admitted(Box::new(proof))),
            Ok(false) => Err(Check::wrong("the ticket was used before")),
            Err(Full) => Err(Check::Unavailable(Fault::of("too many tickets are in use"))),
        }
    }
}

impl Content {
    fn proof(&self) -> Option<Proof> {
        let header = |(name, value): &(String, Vec<u8>)| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            Some((name, HeaderValue::from_bytes(value).ok()?))
        };
        let issued = Duration::from_micros(self.issued);
        Some(Proof {
            identity: Identity::new(self.method.as_str(), self.name.as_str())?,
            lifetime: self.ends.map(|(ends, code)| Lifetime {
                ends: Instant::now() + Duration::from_millis(ends).saturating_sub(since_1970()),
                code,
            }),
            token_id: self.token_id.as_deref().map(Into::into),
            headers: self.headers.iter().map(header).collect::<Option<_>>()?,
            since: Instant::now().checked_sub(since_1970().saturating_sub(issued)),
            recheck: None,
        })
    }
}

/// The page's, as it says it; a program has none.
fn origin(ask: &Ask<'_>) -> Option<String> {
    let origin = ask.headers.get(ORIGIN)?;
    Some(String::from_utf8_lossy(origin.as_bytes()).into_owned())
}

/// Several gateways that take each other's tickets have this clock in common, and no other.
fn since_1970() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default()
}

fn microseconds(time: Duration) -> u64 {
    time.as_micros().try_into().unwrap_or(u64::MAX)
}

fn milliseconds(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}

/// In whole seconds.
fn now() -> u64 {
    since_1970().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    fn tickets(secret: Option<&str>, ttl: u64) -> Tickets {
        let settings = config::Ticket {
            path: "/ticket".to_owned(),
            ttl: Duration::from_secs(ttl),
            sources: vec![config::CredentialSource::Query("ticket".to_owned())],
            secret: secret.map(config::Secret::new),
        };
        Tickets::new("tickets", &settings).unwrap()
    }

    fn headers(origin: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        headers
    }

    fn proof() -> Proof {
        Proof {
            lifetime: Some(Lifetime {
                ends: Instant::now() + Duration::from_secs(60),
                code: 4001,
            }),
            token_id: Some("7".into()),
            headers: vec![("x-org".parse().unwrap(), "acme".parse().unwrap())],
            ..Proof::of(Identity::new("people", "ann").unwrap())
        }
    }

    const PAGE: Option<&str> = Some("https://app.example");

    fn ask<'a>(headers: &'a HeaderMap, route: &'a str, purpose: Purpose) -> Ask<'a> {
        Ask {
            route,
            purpose,
            ..Ask::of(headers, None)
        }
    }

    fn issue(tickets: &Tickets) -> String {
        let headers = headers(PAGE);
        let ask = ask(&headers, "chat", Purpose::Ticket);
        tickets.issue(&ask, None, &proof()).unwrap().ticket
    }

    fn redeem(tickets: &Tickets, ticket: &str, route: &str, origin: Option<&str>) -> Check {
        let (headers, query) = (headers(origin), format!("a=1&ticket={ticket}"));
        let ask = Ask {
            query: Some(&query),
            ..ask(&headers, route, Purpose::Session)
        };
        tickets.check(&ask)
    }

    #[tokio::test(start_paused = true)]
    async fn a_ticket_stands_for_what_was_proven_and_only_once() {
        let tickets = tickets(None, 30);
        let ticket = issue(&tickets);
        let Check::Admitted(found) = redeem(&tickets, &ticket, "chat", PAGE) else {
            panic!("not admitted");
        };
        assert_eq!(found.identity, proof().identity);
        assert_eq!(found.token_id, proof().token_id);
        assert_eq!(found.headers, proof().headers);
        let lifetime = found.lifetime.unwrap();
        assert_eq!(lifetime.code, 4001);
        // The wall clock goes on while that of the test stands still.
        let left = lifetime.ends.duration_since(Instant::now()).as_secs_f64();
        assert!((59.0..=60.0).contains(&left), "{left}");
        let again = redeem(&tickets, &ticket, "chat", PAGE);
        assert_eq!(again, Check::wrong("the ticket was used before"));
    }

    #[tokio::test]
    async fn a_ticket_is_for_its_route_and_origin_and_is_not_used_up_elsewhere() {
        let tickets = tickets(None, 30);
        let ticket = issue(&tickets);
        for (route, origin) in [
            ("mail", PAGE),
            ("chat", Some("https://evil.example")),
            ("chat", None),
        ] {
            let check = redeem(&tickets, &ticket, route, origin);
            assert!(matches!(check, Check::Wrong(_)), "{route} {origin:?}");
        }
        let check = redeem(&tickets, &ticket, "chat", PAGE);
        assert!(matches!(check, Check::Admitted(_)), "{check:?}");
    }

    #[tokio::test]
    async fn an_expired_or_a_foreign_ticket_is_wrong() {
        let expired = tickets(None, 0);
        let ticket = issue(&expired);
        let check = redeem(&expired, &ticket, "chat", PAGE);
        assert_eq!(check, Check::wrong("the ticket has expired"));
        let other = tickets(None, 30);
        let check = redeem(&other, &ticket, "chat", PAGE);
        assert_eq!(check, Check::wrong("it is no ticket of this gateway"));
        for garbage in ["x", "%00", &"A".repeat(10_000)] {
            let check = redeem(&other, garbage, "chat", PAGE);
            assert!(matches!(check, Check::Wrong(_)), "{check:?}");
        }
        assert_eq!(redeem(&other, "", "chat", PAGE), Check::Absent);
    }

    #[tokio::test]
    async fn gateways_with_one_secret_take_each_others_tickets() {
        let secret = Some("0123456789abcdef0123456789abcdef");
        let (first, second) = (tickets(secret, 30), tickets(secret, 30));
        let ticket = issue(&first);
        let check = redeem(&second, &ticket, "chat", PAGE);
        assert!(matches!(check, Check::Admitted(_)), "{check:?}");
    }

    #[tokio::test]
    async fn a_ticket_buys_no_other() {
        let tickets = tickets(None, 30);
        let ticket = issue(&tickets);
        let (headers, query) = (headers(PAGE), format!("ticket={ticket}"));
        let ask = Ask {
            query: Some(&query),
            ..ask(&headers, "chat", Purpose::Ticket)
        };
        assert_eq!(tickets.check(&ask), Check::Absent);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_ended_gives_no_ticket() {
        let tickets = tickets(None, 30);
        let (headers, proof) = (headers(None), proof());
        tokio::time::advance(Duration::from_secs(61)).await;
        let ask = ask(&headers, "chat", Purpose::Ticket);
        assert_eq!(tickets.issue(&ask, None, &proof), None);
    }

    #[tokio::test]
    async fn a_ticket_for_a_path_is_for_that_path() {
        let tickets = tickets(None, 30);
        let headers = headers(PAGE);
        let asked = ask(&headers, "chat", Purpose::Ticket);
        // Where all questions of tests go.
        let here = asked.original.target.path.clone();
        for (path, is_admitted) in [(&*here, true), ("/elsewhere", false)] {
            let issued = tickets.issue(&asked, Some(path), &proof()).unwrap();
            let check = redeem(&tickets, &issued.ticket, "chat", PAGE);
            assert_eq!(
                matches!(check, Check::Admitted(_)),
                is_admitted,
                "{check:?}"
            );
        }
    }

    #[tokio::test]
    async fn what_is_too_much_for_a_ticket_gives_none() {
        let tickets = tickets(None, 30);
        let headers = headers(PAGE);
        let asked = ask(&headers, "chat", Purpose::Ticket);
        let mut proof = proof();
        let long = "x".repeat(TICKET_BYTES_MAX).parse().unwrap();
        proof.headers.push(("x-long".parse().unwrap(), long));
        assert_eq!(tickets.issue(&asked, None, &proof), None);
    }
}

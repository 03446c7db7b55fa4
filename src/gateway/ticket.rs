//! Where pages ask for tickets (`kind = "ticket"`): the checks of the route that a ticket is for, and
//! the ticket. Its own rule of CORS goes with it, as pages of other origins come here first.

use super::failure::Failure;
use super::request::{Answer, Story};
use super::service::Service;
use crate::admission::auth::{Method, Tickets};
use crate::admission::{self, CorsRule, Purpose};
use crate::config::{Cors, PathPattern, Route};
use crate::http::{Target, check_path, query};
use crate::route::NoRoute;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// How long browsers remember what pages may ask for.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(10 * 60);

/// What gives out the tickets of a route.
#[derive(Debug)]
pub(super) struct TicketDesk {
    method: Arc<Method>,
    cors: Arc<CorsRule>,
    /// What is asked about where nobody says for what the ticket is.
    default_path: String,
    /// Whether a service judges, which may tell paths apart.
    is_judged_by_path: bool,
}

/// What a ticket is wanted for.
struct Place {
    service: Arc<Service>,
    target: Target,
    /// Whether the page has said the path.
    is_named: bool,
}

impl Place {
    fn named(&self) -> Option<&str> {
        self.is_named.then_some(&self.target.path)
    }
}

impl TicketDesk {
    /// If one of the route's `methods` gives tickets. What the others read in headers, pages may send.
    pub(super) fn new(route: &Route, methods: &[Arc<Method>]) -> Option<Self> {
        let method = methods.iter().find(|method| method.tickets().is_some())?;
        let mut headers: Vec<HeaderName> = methods
            .iter()
            .flat_map(|method| method.credential_headers())
            .collect();
        headers.extend([AUTHORIZATION, CONTENT_TYPE]);
        headers.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        headers.dedup();
        Some(Self {
            method: Arc::clone(method),
            cors: Arc::new(CorsRule::new(&Cors {
                methods: vec![http::Method::POST],
                headers,
                expose_headers: Vec::new(),
                credentials: true,
                max_age: Some(PREFLIGHT_MAX_AGE),
            })),
            default_path: match route.paths.first() {
                Some(PathPattern::Exact(path)) => path.clone(),
                Some(PathPattern::Prefix(path)) if !path.is_empty() => path.clone(),
                _ => "/".to_owned(),
            },
            is_judged_by_path: methods.iter().any(|method| method.asks_a_service()),
        })
    }

    fn tickets(&self) -> Option<&Tickets> {
        self.method.tickets()
    }

    /// Where they are asked for.
    pub(super) fn path(&self) -> Option<&str> {
        self.tickets().map(Tickets::path)
    }
}

/// Answers a request at a path of tickets.
pub(super) async fn serve(
    story: &mut Story<'_>,
    parts: &Parts,
    target: &Target,
) -> Result<Answer, Failure> {
    let place = wanted(story, target)?;
    let service = &place.service;
    story.serve_by(service);
    let Some(desk) = &service.tickets else {
        return Err(Failure::Route(NoRoute::Path));
    };
    service.network.check(story.client.address)?;
    if let Some(answer) = story.cors(service, Some(&desk.cors), parts, target) {
        return answer;
    }
    if parts.method != http::Method::POST {
        return Err(Failure::NotPost);
    }
    let asked = story.ask(parts, target, Purpose::Ticket);
    let ask = admission::Ask {
        route: &service.name,
        // A service that is asked judges the handshake to come.
        original: admission::Original {
            method: &http::Method::GET,
            target: &place.target,
            ..asked.original
        },
        ..asked
    };
    let permit = service.admission.admit(&ask).await?;
    let issued = permit
        .proofs
        .first()
        .and_then(|proof| desk.tickets()?.issue(&ask, place.named(), proof));
    let issued = issued.ok_or(Failure::NoTicket)?;
    story.count(StatusCode::OK, "ticket");
    let body = json!({ "ticket": issued.ticket, "expires_in": issued.ttl.as_secs() });
    let mut answer = Response::new(Bytes::from(format!("{body}\n")).into());
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

/// The route for which a ticket is asked, and where on it: that of `path` and `subprotocol` in the query, or
/// the only one that gives tickets here.
fn wanted(story: &Story<'_>, target: &Target) -> Result<Place, Failure> {
    let exchange = story.exchange;
    let routes = &exchange.site.listener(exchange.listener).routes;
    let gives = |service: &Service| {
        let desk = service.tickets.as_ref();
        desk.and_then(TicketDesk::path) == Some(target.path.as_str())
    };
    let parameter = |name| {
        let value = query::read(target.query.as_deref()?, name)?;
        Some(String::from_utf8_lossy(&value).into_owned())
    };
    let named = parameter("path");
    let is_named = named.is_some();
    let (path, offer) = match named {
        Some(path) => (path, parameter("subprotocol").into_iter().collect()),
        None => {
            let mut giving = exchange.site.services().filter(|service| gives(service));
            let (Some(only), None) = (giving.next(), giving.next()) else {
                return Err(Failure::TicketForWhat);
            };
            let desk = only.tickets.as_ref();
            if desk.is_some_and(|desk| desk.is_judged_by_path) {
                return Err(Failure::TicketForWhat);
            }
            let path = desk.map_or("/", |desk| &desk.default_path);
            (path.to_owned(), only.subprotocols.clone())
        }
    };
    check_path(&path).map_err(|error| Failure::Target(error.into()))?;
    let found = routes.find(&target.host, &path, &offer)?;
    if !gives(found) {
        return Err(Failure::Route(NoRoute::Path));
    }
    let without = |query: String, name| query::without(&query, name);
    let query = target.query.clone();
    let place = Target {
        path,
        query: query
            .and_then(|query| without(query, "path"))
            .and_then(|query| without(query, "subprotocol")),
        ..target.clone()
    };
    Ok(Place {
        service: found.clone(),
        target: place,
        is_named,
    })
}

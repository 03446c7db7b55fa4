//! What would become of a handshake: the story of one that nobody has sent, told by the code that serves,
//! up to the moment in which the upstream would be dialled.

use super::connection::Exchange;
use super::failure::Failure;
use super::request::{Admitted, Story};
use super::{Gate, Site, Workers, tunnel};
use crate::admission::auth::Proof;
use crate::admission::{Identity, Witness};
use crate::causes;
use crate::config::{Scheme, Settings};
use crate::http::{Ask, Target};
use crate::telemetry::AccessLog;
use crate::tls::ClientCertificate;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use thiserror::Error;

/// A handshake that is asked about.
#[derive(Debug)]
pub struct Question {
    /// `wss://host/path?query`, as a client would open it.
    pub url: Uri,
    /// The listener it comes to; `None`: the first of the URL's scheme, of its port if there is one.
    pub listener: Option<String>,
    /// The client's address.
    pub client: IpAddr,
    /// Beside those of every handshake.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What it shows when it begins TLS.
    pub certificate: Option<ClientCertificate>,
    /// `method:name`, as if it had proven that.
    pub identity: Option<String>,
}

/// Why a question has no answer.
#[derive(Debug, Error)]
pub enum QuestionError {
    /// The URL has no host, or its scheme is none of WebSocket's.
    #[error("`{0}` is no WebSocket URL: write `ws://host/path` or `wss://host/path`")]
    Url(Uri),
    /// No listener has that name.
    #[error("there is no listener `{0}`")]
    Listener(String),
    /// No listener at all.
    #[error("there is no listener")]
    NoListener,
    /// What is no `method:name`.
    #[error("`{0}` is no identity: write `method:name`, with a method of `[auth]`")]
    Identity(String),
    /// The system has given no epoll instance.
    #[error("the explanation could not be set up")]
    Setup(#[source] io::Error),
}

/// What would become of a handshake.
#[derive(Debug)]
pub struct Explanation {
    /// The listener it comes to.
    pub listener: String,
    /// Every check, in its order.
    pub steps: Vec<Step>,
    /// What comes of them.
    pub verdict: Verdict,
}

/// One check.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// What is checked.
    pub check: String,
    /// Whether it leads further.
    pub is_passed: bool,
    /// By what, or why not.
    pub detail: String,
}

/// What comes of all checks.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The upstream would be asked.
    Admitted {
        /// Its name.
        upstream: String,
        /// What it would be asked, line by line.
        request: Vec<String>,
    },
    /// The client would be told no.
    Refused {
        /// The HTTP status.
        status: u16,
        /// As in logs and metrics.
        reason: &'static str,
        /// As in the log.
        detail: String,
    },
}

/// Writes down what it sees.
#[derive(Default)]
struct Notes(Vec<Step>);

impl Notes {
    fn note(&mut self, check: &str, is_passed: bool, detail: String) {
        self.0.push(Step {
            check: check.to_owned(),
            is_passed,
            detail,
        });
    }
}

impl Witness for Notes {
    fn passed(&mut self, check: &str, how: impl FnOnce() -> String) {
        self.note(check, true, how());
    }

    fn objected(&mut self, check: &str, why: impl FnOnce() -> String) {
        self.note(check, false, why());
    }
}

/// Tells what `settings`, of which `site` was made, would do. Nothing is dialled but what methods ask to
/// judge a credential.
pub async fn explain(
    settings: &Settings,
    site: Arc<Site>,
    question: &Question,
) -> Result<Explanation, QuestionError> {
    let index = listener(settings, question)?;
    let workers = Workers::here().map_err(QuestionError::Setup)?;
    let known = question.identity.as_deref().map(known).transpose()?;
    let gate = Gate::new(site, workers, &settings.server, AccessLog::new(false));
    let exchange = Exchange::imagined(
        Arc::new(gate),
        index,
        question.client,
        question
            .url
            .host()
            .filter(|_| settings.listeners[index].tls.is_some()),
        question.certificate.clone(),
    );
    let mut parts = parts(question)?;
    let mut notes = Notes::default();
    if known.is_none() {
        for (method, error) in exchange.site.prepare().await {
            notes.objected("keys", || format!("{method}: {}", causes::in_line(&error)));
        }
    }
    let judged = judge(&exchange, &mut parts, known, &mut notes).await;
    Ok(Explanation {
        listener: settings.listeners[index].name.clone(),
        steps: notes.0,
        verdict: judged.unwrap_or_else(|failure| Verdict::Refused {
            status: failure.status().as_u16(),
            reason: failure.label(),
            detail: failure.detail(),
        }),
    })
}

async fn judge(
    exchange: &Exchange,
    parts: &mut Parts,
    known: Option<Proof>,
    notes: &mut Notes,
) -> Result<Verdict, Failure> {
    let mut story = Story::begin(exchange);
    let (ask, target) = story.arrive(parts)?;
    let handshake = match ask {
        Ask::WebSocket(handshake) => handshake,
        Ask::Other(error) => return Err(error.into()),
        Ask::Plain => return Err(Failure::PlainRequest),
    };
    notes.passed("handshake", || {
        format!("for `{}{}`", target.host, target.path)
    });
    let admitted = story.admit(parts, &target, handshake, known, notes).await?;
    Ok(asked(&story, &admitted, parts, &target))
}

fn asked(story: &Story<'_>, admitted: &Admitted, parts: &mut Parts, target: &Target) -> Verdict {
    let (_, ask) = tunnel::asked_for(story, admitted, parts, target);
    let mut request = vec![
        format!("GET {} HTTP/1.1", ask.path_and_query),
        format!("Host: {}", ask.host),
    ];
    if !ask.subprotocols.is_empty() {
        let offer = ask.subprotocols.join(", ");
        request.push(format!("Sec-WebSocket-Protocol: {offer}"));
    }
    let others = ask.headers.iter().filter(|(name, _)| *name != header::HOST);
    let lines = others.map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        format!("{name}: {value}")
    });
    request.extend(lines);
    Verdict::Admitted {
        upstream: admitted.service.upstream.to_string(),
        request,
    }
}

fn known(identity: &str) -> Result<Proof, QuestionError> {
    let parsed = identity
        .split_once(':')
        .filter(|(_, name)| !name.is_empty());
    let parsed = parsed.and_then(|(method, name)| Identity::new(method, name));
    let parsed = parsed.ok_or_else(|| QuestionError::Identity(identity.to_owned()))?;
    Ok(Proof::of(parsed))
}

/// Where a client of that URL would come to.
fn listener(settings: &Settings, question: &Question) -> Result<usize, QuestionError> {
    let listeners = || settings.listeners.iter().enumerate();
    if let Some(name) = &question.listener {
        let mut named = listeners().filter(|(_, one)| one.name == *name);
        let (index, _) = named
            .next()
            .ok_or_else(|| QuestionError::Listener(name.clone()))?;
        return Ok(index);
    }
    let scheme = match question.url.scheme_str() {
        Some("wss" | "https") => Scheme::Https,
        _ => Scheme::Http,
    };
    let port = question.url.port_u16();
    let fitting = |(_, one): &(usize, &crate::config::Listener)| {
        let is_port = port.is_some() && one.address.port() == port;
        (one.public_scheme == scheme, is_port)
    };
    // Of equals the last would win, and it is the first that counts.
    let found = listeners().rev().max_by_key(fitting);
    found
        .map(|(index, _)| index)
        .ok_or(QuestionError::NoListener)
}

/// The head that a client would send.
fn parts(question: &Question) -> Result<Parts, QuestionError> {
    let no_url = || QuestionError::Url(question.url.clone());
    let scheme = question.url.scheme_str().unwrap_or_default();
    let authority = question.url.authority().ok_or_else(no_url)?;
    if !["ws", "wss", "http", "https"].contains(&scheme) {
        return Err(no_url());
    }
    let path = question
        .url
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let host = authority.as_str().rsplit('@').next().unwrap_or_default();
    let mut request = Request::get(path)
        .header(header::HOST, host)
        .header(header::UPGRADE, "websocket")
        .header(header::CONNECTION, "Upgrade")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==")
        .body(())
        .map_err(|_| no_url())?;
    let headers: &mut HeaderMap = request.headers_mut();
    for (name, value) in &question.headers {
        headers.append(name.clone(), value.clone());
    }
    Ok(request.into_parts().0)
}

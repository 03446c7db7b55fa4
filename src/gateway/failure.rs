//! Every way in which a request can fail, and the one place that says what the client is told.

use crate::admission::auth::ServiceAnswer;
use crate::admission::{CorsRefusal, NetworkRefusal, OverLimit, Refusal};
use crate::causes;
use crate::config::LimitKey;
use crate::http::{HandshakeError, HeadError, TargetError, refusal};
use crate::route::NoRoute;
use crate::upstream::{BoxError, OpenError, Refused, RequestError, Side};
use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, LOCATION, RETRY_AFTER, UPGRADE, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use std::time::Duration;

/// Why a request did not become a session.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The head breaks HTTP's own rules or is too large.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The head did not come in time.
    #[error("the request head took too long")]
    HeadTooSlow,
    /// Host or path are not usable.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The certificate that the client was shown is not for the host that it asks for.
    #[error("this host is not served on this connection")]
    Misdirected,
    /// This listener sends those who come by http on to https.
    #[error("this is served by https")]
    ByHttps(HeaderValue),
    /// It asks for an upgrade, but not rightly.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// Nobody serves this host, path and subprotocol.
    #[error(transparent)]
    Route(#[from] NoRoute),
    /// An ordinary request where only WebSocket is served.
    #[error("this is a WebSocket endpoint")]
    PlainRequest,
    /// A ticket that is not asked for by POST.
    #[error("tickets are asked for by POST")]
    NotPost,
    /// Several routes give tickets here.
    #[error("say for which path the ticket is to be: `?path=/…`")]
    TicketForWhat,
    /// What was proven has ended in the meantime, or there are no random numbers.
    #[error("no ticket can be given now")]
    NoTicket,
    /// A method that no ordinary request may have here.
    #[error("the method {0} is not served")]
    Method(Method),
    /// A browser asks whether a page may do what pages may not.
    #[error(transparent)]
    Preflight(#[from] CorsRefusal),
    /// The body of an ordinary request broke off or is malformed.
    #[error("the body of the request broke off")]
    Body(#[source] BoxError),
    /// The body of an ordinary request stood still.
    #[error("the body of the request took too long")]
    BodyTooSlow,
    /// Whoever sent an ordinary request does not wait for the answer.
    #[error("the client has hung up")]
    ClientGone,
    /// The client's address may not enter.
    #[error(transparent)]
    Network(#[from] NetworkRefusal),
    /// Admission said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No endpoint took the session.
    #[error(transparent)]
    Upstream(#[from] OpenError),
    /// As many handshakes are in flight as may be.
    #[error("too many handshakes are in flight")]
    TooManyHandshakes,
    /// The process is ending.
    #[error("the gateway is going away")]
    Draining,
}

/// When to come back where nobody can say better.
const RETRY_SOON: Duration = Duration::from_secs(5);

/// What may be asked for where ordinary requests are passed on, as far as it has a usual name.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

const VERSION: HeaderName = HeaderName::from_static("sec-websocket-version");

impl Failure {
    /// What the client gets: the upstream's own refusal as it is, else a status, a short text that
    /// gives nothing away about what stands behind the gateway, and the request id.
    pub(super) fn answer(self, request_id: &str) -> Response<Bytes> {
        if let Self::Upstream(OpenError::Refused(refused)) = self {
            return passed_on(*refused);
        }
        if let Self::Refused(Refusal::Answered(denial)) = &self
            && let Some(answer) = denial.answer()
        {
            return of_the_service(answer);
        }
        let status = self.status();
        let mut answer = refusal(status, &self.text(), request_id);
        let headers = answer.headers_mut();
        match self {
            Self::Handshake(HandshakeError::Version) => {
                headers.insert(VERSION, HeaderValue::from_static("13"));
            }
            Self::Handshake(HandshakeError::Method(_) | HandshakeError::Connect)
            | Self::Head(HeadError::Connect) => {
                headers.insert(ALLOW, HeaderValue::from_static("GET"));
            }
            Self::NotPost => {
                headers.insert(ALLOW, HeaderValue::from_static("POST"));
            }
            Self::Method(_) => {
                headers.insert(ALLOW, HeaderValue::from_static(METHODS));
            }
            Self::ByHttps(location) => {
                headers.insert(LOCATION, location);
            }
            Self::PlainRequest => {
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(CONNECTION, HeaderValue::from_static("Upgrade, close"));
            }
            Self::Refused(Refusal::Unauthenticated { challenges, .. }) => {
                for challenge in challenges.iter() {
                    headers.append(WWW_AUTHENTICATE, challenge.clone());
                }
            }
            Self::Refused(
                Refusal::Unavailable { retry_after, .. }
                | Refusal::OverLimit(OverLimit { retry_after, .. }),
            ) => {
                headers.insert(RETRY_AFTER, whole_seconds(retry_after).into());
            }
            _ if status == StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, RETRY_SOON.as_secs().into());
            }
            _ => {}
        }
        answer
    }

    /// The HTTP status.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Head(error) => error.status(),
            Self::HeadTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Target(_) => StatusCode::BAD_REQUEST,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::ByHttps(_) => StatusCode::PERMANENT_REDIRECT,
            Self::Handshake(error) => match error {
                HandshakeError::Connect | HandshakeError::Method(_) => {
                    StatusCode::METHOD_NOT_ALLOWED
                }
                HandshakeError::Version => StatusCode::UPGRADE_REQUIRED,
                _ => StatusCode::BAD_REQUEST,
            },
            Self::Route(NoRoute::Host | NoRoute::Path) => StatusCode::NOT_FOUND,
            Self::Route(NoRoute::Subprotocol) => StatusCode::BAD_REQUEST,
            Self::PlainRequest => StatusCode::UPGRADE_REQUIRED,
            Self::Method(_) | Self::NotPost => StatusCode::METHOD_NOT_ALLOWED,
            Self::TicketForWhat => StatusCode::BAD_REQUEST,
            Self::NoTicket => StatusCode::SERVICE_UNAVAILABLE,
            Self::Preflight(_) => StatusCode::FORBIDDEN,
            Self::Body(_) => StatusCode::BAD_REQUEST,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            // Nobody reads it but the operator.
            Self::ClientGone => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
            Self::Network(_) => StatusCode::FORBIDDEN,
            Self::Refused(refusal) => match refusal {
                Refusal::Origin(_) => StatusCode::FORBIDDEN,
                Refusal::Unauthenticated { .. } => StatusCode::UNAUTHORIZED,
                Refusal::NotAllowed(_) => StatusCode::FORBIDDEN,
                Refusal::Answered(denial) => denial
                    .answer()
                    .map_or(StatusCode::FORBIDDEN, |answer| answer.status),
                Refusal::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
                // All clients together are too many: that is no fault of this one.
                Refusal::OverLimit(OverLimit {
                    per: LimitKey::Route,
                    ..
                }) => StatusCode::SERVICE_UNAVAILABLE,
                Refusal::OverLimit(_) => StatusCode::TOO_MANY_REQUESTS,
            },
            Self::Upstream(error) => upstream_status(error),
            Self::TooManyHandshakes | Self::Draining => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// One word for logs and metrics.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Head(_) => "bad_head",
            Self::HeadTooSlow => "head_timeout",
            Self::Target(_) => "bad_target",
            Self::Misdirected => "misdirected",
            Self::ByHttps(_) => "redirect_https",
            Self::Handshake(_) => "bad_handshake",
            Self::Route(NoRoute::Subprotocol) => "no_subprotocol",
            Self::Route(_) => "no_route",
            Self::PlainRequest => "plain_request",
            Self::Method(_) | Self::NotPost => "bad_method",
            Self::TicketForWhat => "ticket_for_what",
            Self::NoTicket => "no_ticket",
            Self::Preflight(_) => "preflight_refused",
            Self::Body(_) => "bad_body",
            Self::BodyTooSlow => "body_timeout",
            Self::ClientGone => "client_gone",
            Self::Network(_) => "address_refused",
            Self::Refused(refusal) => refusal.label(),
            Self::Upstream(error) => error.label(),
            Self::TooManyHandshakes => "too_many_handshakes",
            Self::Draining => "draining",
        }
    }

    /// The whole chain of causes, for the operator.
    pub(super) fn detail(&self) -> String {
        causes::in_line(self)
    }

    /// What a client may know. Of an upstream that is no more than the status says.
    fn text(&self) -> String {
        match self {
            Self::Upstream(_) => match self.status() {
                StatusCode::GATEWAY_TIMEOUT => "the upstream took too long".to_owned(),
                StatusCode::SERVICE_UNAVAILABLE => "no upstream is available".to_owned(),
                _ => "the upstream failed".to_owned(),
            },
            Self::Head(_) | Self::Handshake(_) | Self::Target(_) => self.detail(),
            _ => self.to_string(),
        }
    }
}

/// No earlier than said, and not at once.
fn whole_seconds(wait: Duration) -> u64 {
    let begun = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(begun).max(1)
}

fn upstream_status(error: &OpenError) -> StatusCode {
    match error {
        OpenError::NoEndpoint { .. } => StatusCode::SERVICE_UNAVAILABLE,
        OpenError::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
        OpenError::Refused(refused) => refused.status,
        _ if error.side() == Side::Gateway => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_GATEWAY,
    }
}

/// The upstream's own answer. The connection ends with it: what a client sent behind a handshake
/// that was refused is never read as anything.
fn passed_on(refused: Refused) -> Response<Bytes> {
    let mut answer = Response::new(refused.body);
    *answer.status_mut() = refused.status;
    *answer.headers_mut() = refused.headers;
    answer
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// What a service that was asked about the client has to tell it: where to log in, most often.
fn of_the_service(answer: &ServiceAnswer) -> Response<Bytes> {
    let mut told = Response::new(answer.body.clone());
    *told.status_mut() = answer.status;
    *told.headers_mut() = answer.headers.clone();
    told
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Upstream(error) => Self::Upstream(error),
            RequestError::Body(cause) => Self::Body(cause),
            RequestError::BodyTooSlow => Self::BodyTooSlow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::Limit;

    fn over_limit(per: LimitKey) -> Failure {
        let over = OverLimit {
            limit: Limit::HandshakeRate,
            per,
            retry_after: Duration::from_millis(1200),
        };
        Refusal::OverLimit(over).into()
    }

    #[test]
    fn who_is_over_a_limit_is_told_the_second_in_which_there_is_room() {
        let answer = over_limit(LimitKey::ClientIp).answer("r1");
        assert_eq!(answer.headers()[RETRY_AFTER], "2");
        for (wait, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (60_000, 60)] {
            assert_eq!(whole_seconds(Duration::from_millis(wait)), seconds);
        }
    }

    #[test]
    fn each_failure_has_its_status() {
        let table: Vec<(Failure, u16)> = vec![
            (HeadError::TwoLengths.into(), 400),
            (HeadError::TooLarge(1).into(), 431),
            (HeadError::Connect.into(), 405),
            (Failure::HeadTooSlow, 408),
            (TargetError::NoHost.into(), 400),
            (Failure::Misdirected, 421),
            (
                Failure::ByHttps(HeaderValue::from_static("https://a.example/")),
                308,
            ),
            (HandshakeError::Key.into(), 400),
            (HandshakeError::Version.into(), 426),
            (HandshakeError::Method(Method::POST).into(), 405),
            (NoRoute::Host.into(), 404),
            (NoRoute::Path.into(), 404),
            (NoRoute::Subprotocol.into(), 400),
            (Failure::PlainRequest, 426),
            (
                Refusal::Unavailable {
                    retry_after: RETRY_SOON,
                    denial: Box::default(),
                }
                .into(),
                503,
            ),
            (OpenError::NoEndpoint { cause: None }.into(), 503),
            (over_limit(LimitKey::ClientIp), 429),
            (over_limit(LimitKey::Identity), 429),
            (over_limit(LimitKey::Route), 503),
            (Failure::TooManyHandshakes, 503),
            (Failure::Draining, 503),
        ];
        for (failure, status) in table {
            let words = failure.detail();
            let answer = failure.answer("r1");
            assert_eq!(answer.status(), status, "{words}");
            assert_eq!(
                answer.headers().contains_key(RETRY_AFTER),
                [429, 503].contains(&status),
                "{words}"
            );
        }
    }
}

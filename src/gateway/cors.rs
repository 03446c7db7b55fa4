//! `[routes.cors]` at work: preflights are answered here, and all answers of the route say whose
//! pages may read them, the gateway's own refusals too.

use super::failure::Failure;
use super::passing::Ledger;
use super::request::{Answer, Story};
use super::service::Service;
use crate::admission::{self, CorsRule, Purpose};
use crate::http::Target;
use bytes::Bytes;
use http::header::ORIGIN;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use std::sync::Arc;

/// What an answer will say.
#[derive(Debug, Clone)]
pub(super) struct Marking {
    rule: Arc<CorsRule>,
    /// Of an admitted page.
    origin: Option<HeaderValue>,
    is_preflight: bool,
}

impl Marking {
    /// For a request to which `rule` applies.
    pub(super) fn of(
        story: &Story<'_>,
        service: &Service,
        rule: &Arc<CorsRule>,
        parts: &Parts,
        target: &Target,
    ) -> Self {
        let ask = story.ask(parts, target, Purpose::of(&parts.method));
        let is_admitted = service.admission.check_origin(&ask).is_ok();
        Self {
            rule: Arc::clone(rule),
            origin: parts.headers.get(ORIGIN).filter(|_| is_admitted).cloned(),
            is_preflight: admission::is_preflight(&parts.method, &parts.headers),
        }
    }

    /// Marks what is answered in the end.
    pub(super) fn apply(&self, answer: &mut HeaderMap) {
        self.rule
            .mark(self.origin.as_ref(), self.is_preflight, answer);
    }

    /// The answer to a preflight; `None` if this is none.
    pub(super) fn preflight(
        &mut self,
        story: &Story<'_>,
        service: &Service,
        parts: &Parts,
        target: &Target,
    ) -> Option<Result<Answer, Failure>> {
        if !self.is_preflight {
            return None;
        }
        let ask = story.ask(parts, target, Purpose::of(&parts.method));
        if let Err(refusal) = service.admission.check_origin(&ask) {
            return Some(Err(Failure::Refused(refusal.into())));
        }
        Some(match self.rule.preflight(&parts.headers) {
            Ok(headers) => {
                let (method, status) = (parts.method.clone(), StatusCode::NO_CONTENT);
                drop(Ledger::new(story, service, method, target, status));
                let mut answer = Response::new(Bytes::new().into());
                *answer.status_mut() = status;
                *answer.headers_mut() = headers;
                Ok(answer)
            }
            Err(refusal) => {
                // A page that may not learns nothing more.
                self.origin = None;
                Err(Failure::Preflight(refusal))
            }
        })
    }
}

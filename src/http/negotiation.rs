//! What is offered to an upstream, and whether its answer stays within the offer (RFC 6455 §4.1).

use super::deflate::{DeflateAnswer, DeflateOffer};
use super::extension::{extensions, parse_line};
use super::token::{elements, has_token};
use super::{Handshake, accept_key};
use http::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL,
    UPGRADE,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use thiserror::Error;

/// What an upstream was asked.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// `Sec-WebSocket-Key` of this attempt.
    pub key: &'a str,
    /// Subprotocols that were offered.
    pub subprotocols: &'a [String],
    /// `Sec-WebSocket-Extensions` as it was sent, from [`offer_for_upstream`].
    pub deflate: Option<&'a HeaderValue>,
}

/// What an upstream agreed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// One of those offered, or none.
    pub subprotocol: Option<String>,
    /// `Sec-WebSocket-Extensions` for the client, if compression was agreed on.
    pub deflate: Option<HeaderValue>,
}

/// Why a 101 of an upstream is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NegotiationError {
    /// Not 101 at all.
    #[error("the answer is {0}, not 101")]
    Status(StatusCode),
    /// It switched to something that was not asked for.
    #[error("the answer's Upgrade is not `websocket` alone")]
    Upgrade,
    /// `Connection` does not name Upgrade.
    #[error("the answer's Connection does not name Upgrade")]
    Connection,
    /// Missing, repeated, or that of another key: what answered did not read the handshake.
    #[error("the answer's Sec-WebSocket-Accept is missing or wrong")]
    Accept,
    /// Repeated, or none of those offered.
    #[error("the answer chose the subprotocol `{0}`, which was not offered")]
    Subprotocol(String),
    /// Malformed, repeated, none that was offered, or parameters outside the offer.
    #[error("the answer chose the extensions `{0}`, which were not offered")]
    Extensions(String),
}

/// The offer of permessage-deflate to pass on: what the client offered, as far as it was valid.
pub fn offer_for_upstream(handshake: &Handshake) -> Option<HeaderValue> {
    let offers: Vec<String> = handshake.deflate.iter().map(ToString::to_string).collect();
    if offers.is_empty() {
        return None;
    }
    HeaderValue::try_from(offers.join(", ")).ok()
}

/// Checks the head of an upstream's answer whole.
pub fn check_answer(
    asked: &Asked<'_>,
    status: StatusCode,
    answer: &HeaderMap,
) -> Result<Agreed, NegotiationError> {
    if status != StatusCode::SWITCHING_PROTOCOLS {
        return Err(NegotiationError::Status(status));
    }
    check_upgrade(answer)?;
    check_accept(asked.key, answer)?;
    Ok(Agreed {
        subprotocol: check_subprotocol(asked.subprotocols, answer)?,
        deflate: check_extensions(asked.deflate, answer)?,
    })
}

/// The subprotocol that an upstream chose: one of those offered, or none.
pub fn check_subprotocol(
    offered: &[String],
    answer: &HeaderMap,
) -> Result<Option<String>, NegotiationError> {
    let mut lines = answer.get_all(SEC_WEBSOCKET_PROTOCOL).into_iter();
    let Some(line) = lines.next() else {
        return Ok(None);
    };
    let chosen = offered
        .iter()
        .find(|token| token.as_bytes() == line.as_bytes());
    match chosen {
        Some(chosen) if lines.next().is_none() => Ok(Some(chosen.clone())),
        _ => Err(NegotiationError::Subprotocol(shown(
            answer,
            &SEC_WEBSOCKET_PROTOCOL,
        ))),
    }
}

/// The extensions that an upstream chose, for the client: permessage-deflate within what was
/// `offered`, or none.
pub fn check_extensions(
    offered: Option<&HeaderValue>,
    answer: &HeaderMap,
) -> Result<Option<HeaderValue>, NegotiationError> {
    let foreign = || NegotiationError::Extensions(shown(answer, &SEC_WEBSOCKET_EXTENSIONS));
    let chosen = extensions(answer).map_err(|_| foreign())?;
    let [chosen] = chosen.as_slice() else {
        return if chosen.is_empty() {
            Ok(None)
        } else {
            Err(foreign())
        };
    };
    let chosen = DeflateAnswer::of(chosen).ok_or_else(foreign)?;
    if !offers(offered).iter().any(|offer| chosen.accepts(offer)) {
        return Err(foreign());
    }
    Ok(HeaderValue::try_from(chosen.to_string()).ok())
}

/// What [`offer_for_upstream`] wrote, read again.
fn offers(offered: Option<&HeaderValue>) -> Vec<DeflateOffer> {
    let mut found = Vec::new();
    let line = offered
        .and_then(|line| line.to_str().ok())
        .unwrap_or_default();
    match parse_line(line, &mut found) {
        Ok(()) => found.iter().filter_map(DeflateOffer::of).collect(),
        Err(_) => Vec::new(),
    }
}

fn check_upgrade(answer: &HeaderMap) -> Result<(), NegotiationError> {
    let mut protocols = elements(answer, &UPGRADE);
    let is_websocket = |protocol: &[u8]| protocol.eq_ignore_ascii_case(b"websocket");
    if !protocols.next().is_some_and(is_websocket) || protocols.next().is_some() {
        return Err(NegotiationError::Upgrade);
    }
    if !has_token(answer, &CONNECTION, "upgrade") {
        return Err(NegotiationError::Connection);
    }
    Ok(())
}

fn check_accept(key: &str, answer: &HeaderMap) -> Result<(), NegotiationError> {
    let mut lines = answer.get_all(SEC_WEBSOCKET_ACCEPT).into_iter();
    match (lines.next(), lines.next()) {
        (Some(line), None) if line.as_bytes() == accept_key(key).as_bytes() => Ok(()),
        _ => Err(NegotiationError::Accept),
    }
}

/// All values of a header in one line, for an error.
fn shown(headers: &HeaderMap, name: &HeaderName) -> String {
    let lines = headers.get_all(name).into_iter();
    let lines = lines.map(|line| String::from_utf8_lossy(line.as_bytes()));
    lines.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn answer(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    /// Checks a good answer whose lines are replaced by those in `lines` of the same name; an empty
    /// value takes the line out.
    fn check(
        status: u16,
        deflate: Option<&'static str>,
        lines: &[(&'static str, &str)],
    ) -> Result<Agreed, NegotiationError> {
        let good = [
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-accept", ACCEPT),
        ];
        let is_replaced = |name: &str| lines.iter().any(|(other, _)| *other == name);
        let all = good
            .iter()
            .filter(|(name, _)| !is_replaced(name))
            .chain(lines);
        let kept: Vec<_> = all
            .filter(|(_, value)| !value.is_empty())
            .copied()
            .collect();
        let subprotocols = ["chat.v2".to_owned(), "chat.v1".to_owned()];
        let deflate = deflate.map(HeaderValue::from_static);
        let asked = Asked {
            key: KEY,
            subprotocols: &subprotocols,
            deflate: deflate.as_ref(),
        };
        check_answer(
            &asked,
            StatusCode::from_u16(status).unwrap(),
            &answer(&kept),
        )
    }

    #[test]
    fn honest_answers_are_agreed_to() {
        for (offer, lines, subprotocol, deflate) in [
            (None, &[][..], None, None),
            (
                None,
                &[
                    ("upgrade", "WebSocket"),
                    ("connection", "keep-alive, upgrade"),
                ],
                None,
                None,
            ),
            (
                None,
                &[("sec-websocket-protocol", "chat.v1")],
                Some("chat.v1"),
                None,
            ),
            (Some("permessage-deflate"), &[], None, None),
            (
                Some("permessage-deflate; client_max_window_bits, permessage-deflate"),
                &[(
                    "sec-websocket-extensions",
                    "permessage-deflate;client_max_window_bits=\"12\"",
                )],
                None,
                Some("permessage-deflate; client_max_window_bits=12"),
            ),
            (
                Some("permessage-deflate; server_max_window_bits=9, permessage-deflate"),
                &[("sec-websocket-extensions", "permessage-deflate")],
                None,
                Some("permessage-deflate"),
            ),
        ] {
            let agreed = check(101, offer, lines).unwrap();
            assert_eq!(agreed.subprotocol.as_deref(), subprotocol, "{lines:?}");
            assert_eq!(
                agreed.deflate,
                deflate.map(HeaderValue::from_static),
                "{lines:?}"
            );
        }
    }

    #[test]
    fn answers_to_another_question_are_refused() {
        use NegotiationError::*;
        let subprotocol = |text: &str| Subprotocol(text.to_owned());
        for (status, lines, expected) in [
            (200, &[][..], Status(StatusCode::OK)),
            (426, &[], Status(StatusCode::UPGRADE_REQUIRED)),
            (101, &[("upgrade", "")], Upgrade),
            (101, &[("upgrade", "h2c")], Upgrade),
            (101, &[("upgrade", "websocket, h2c")], Upgrade),
            (
                101,
                &[("upgrade", "websocket"), ("upgrade", "websocket")],
                Upgrade,
            ),
            (101, &[("connection", "")], Connection),
            (101, &[("connection", "close")], Connection),
            (101, &[("sec-websocket-accept", "")], Accept),
            (
                101,
                &[("sec-websocket-accept", "S3pPLMBiTxaQ9kYGzzhZRbK+xOo=")],
                Accept,
            ),
            (101, &[("sec-websocket-accept", KEY)], Accept),
            (
                101,
                &[
                    ("sec-websocket-accept", ACCEPT),
                    ("sec-websocket-accept", ACCEPT),
                ],
                Accept,
            ),
            (
                101,
                &[("sec-websocket-protocol", "chat.v3")],
                subprotocol("chat.v3"),
            ),
            (
                101,
                &[("sec-websocket-protocol", "CHAT.v1")],
                subprotocol("CHAT.v1"),
            ),
            (
                101,
                &[("sec-websocket-protocol", "chat.v2, chat.v1")],
                subprotocol("chat.v2, chat.v1"),
            ),
            (
                101,
                &[
                    ("sec-websocket-protocol", "chat.v2"),
                    ("sec-websocket-protocol", "chat.v2"),
                ],
                subprotocol("chat.v2, chat.v2"),
            ),
        ] {
            assert_eq!(
                check(status, None, lines),
                Err(expected),
                "{status} {lines:?}"
            );
        }
    }

    #[test]
    fn extensions_outside_the_offer_are_refused() {
        const PLAIN: &str = "permessage-deflate";
        for (offer, chosen) in [
            (None, PLAIN),
            (Some(PLAIN), "permessage-deflate; client_max_window_bits=9"),
            (
                Some("permessage-deflate; server_no_context_takeover"),
                PLAIN,
            ),
            (
                Some("permessage-deflate; server_max_window_bits=9"),
                "permessage-deflate; server_max_window_bits=10",
            ),
            (
                Some("permessage-deflate; client_max_window_bits"),
                "permessage-deflate; client_max_window_bits",
            ),
            (Some(PLAIN), "permessage-deflate, permessage-deflate"),
            (Some(PLAIN), "permessage-deflate; foo"),
            (Some(PLAIN), "x-webkit-deflate-frame"),
            (Some(PLAIN), "permessage-deflate;"),
        ] {
            let expected = NegotiationError::Extensions(chosen.to_owned());
            let found = check(101, offer, &[("sec-websocket-extensions", chosen)]);
            assert_eq!(found, Err(expected), "{offer:?}");
        }
    }

    #[test]
    fn only_valid_offers_reach_the_upstream() {
        let mut handshake = Handshake {
            key: KEY.to_owned(),
            subprotocols: Vec::new(),
            deflate: Vec::new(),
        };
        assert_eq!(offer_for_upstream(&handshake), None);
        let narrow = DeflateOffer {
            server_max_window_bits: Some(10),
            ..DeflateOffer::default()
        };
        handshake.deflate = vec![narrow, DeflateOffer::default()];
        let expected = "permessage-deflate; server_max_window_bits=10, permessage-deflate";
        assert_eq!(
            offer_for_upstream(&handshake),
            Some(HeaderValue::from_static(expected))
        );
    }

    proptest! {
        #[test]
        fn no_answer_panics(
            name in proptest::sample::select(vec![
                "upgrade", "connection", "sec-websocket-accept", "sec-websocket-protocol", "sec-websocket-extensions",
            ]),
            value in proptest::collection::vec(prop_oneof![Just(9), 32..=126_u8, 128..=255_u8], 0..60),
        ) {
            let mut headers = answer(&[("upgrade", "websocket"), ("connection", "upgrade"), ("sec-websocket-accept", ACCEPT)]);
            headers.insert(name, HeaderValue::from_bytes(&value).unwrap());
            let offer = HeaderValue::from_static("permessage-deflate; client_max_window_bits");
            let asked = Asked { key: KEY, subprotocols: &[], deflate: Some(&offer) };
            let _ = check_answer(&asked, StatusCode::SWITCHING_PROTOCOLS, &headers);
        }
    }
}

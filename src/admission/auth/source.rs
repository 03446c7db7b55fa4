//! Where a method finds its credential in a handshake, and how that credential is taken out again
//! before the request goes on (RFC 9110 §11.6.2 for `Authorization`).
//!
//! Only what the method reads is taken out: an `Authorization` of another scheme, other cookies
//! and other parameters belong to the upstream.

use super::marker::Marker;
use crate::admission::Ask;
use crate::config::CredentialSource;
use crate::http::{cookie, query};
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, InvalidHeaderName};
use std::borrow::Cow;

/// A place for a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::admission) enum Source {
    /// `Authorization: Basic …`
    Basic,
    /// `Authorization: Bearer …`, or a bare value that names no scheme.
    Bearer,
    /// The whole value of a header.
    Header(HeaderName),
    /// A cookie.
    Cookie(String),
    /// A parameter of the query.
    Query(String),
    /// Among the subprotocols.
    Subprotocol(Marker),
}

impl Source {
    /// From the settings.
    pub(super) fn new(source: &CredentialSource) -> Result<Self, InvalidHeaderName> {
        Ok(match source {
            CredentialSource::Header(name) => match HeaderName::from_bytes(name.as_bytes())? {
                AUTHORIZATION => Self::Bearer,
                name => Self::Header(name),
            },
            CredentialSource::Cookie(name) => Self::Cookie(name.clone()),
            CredentialSource::Query(name) => Self::Query(name.clone()),
            CredentialSource::Subprotocol(prefix) => Self::Subprotocol(Marker::new(prefix)),
        })
    }

    /// The header that it is in, if it is in one.
    pub(super) fn header(&self) -> Option<HeaderName> {
        match self {
            Self::Basic | Self::Bearer => Some(AUTHORIZATION),
            Self::Header(name) => Some(name.clone()),
            Self::Cookie(_) | Self::Query(_) | Self::Subprotocol(_) => None,
        }
    }

    /// The first credential there.
    pub(in crate::admission) fn read<'a>(&self, ask: &Ask<'a>) -> Option<Cow<'a, [u8]>> {
        let headers = ask.headers;
        match self {
            Self::Basic => authorization(headers, basic).map(Cow::Borrowed),
            Self::Bearer => authorization(headers, bearer).map(Cow::Borrowed),
            Self::Header(name) => headers.get(name).map(|value| value.as_bytes().into()),
            Self::Cookie(name) => cookie::read(headers, name).map(Cow::Borrowed),
            Self::Query(name) => query::read(ask.query?, name),
            Self::Subprotocol(marker) => marker.read(ask.credentials).map(Cow::Borrowed),
        }
    }

    /// Takes every credential there out.
    pub(in crate::admission) fn take_out(
        &self,
        headers: &mut HeaderMap,
        query: &mut Option<String>,
    ) {
        match self {
            Self::Basic => keep_authorization(headers, |value| basic(value).is_none()),
            Self::Bearer => keep_authorization(headers, |value| bearer(value).is_none()),
            Self::Header(name) => {
                headers.remove(name);
            }
            Self::Cookie(name) => cookie::take_out(headers, name),
            Self::Query(name) => {
                *query = query.take().and_then(|query| query::without(&query, name));
            }
            // Taken out before anything was matched.
            Self::Subprotocol(_) => {}
        }
    }
}

type Scheme = fn(&[u8]) -> Option<&[u8]>;

fn authorization(headers: &HeaderMap, scheme: Scheme) -> Option<&[u8]> {
    let values = headers.get_all(AUTHORIZATION).iter();
    values.map(HeaderValue::as_bytes).find_map(scheme)
}

fn keep_authorization(headers: &mut HeaderMap, is_foreign: impl Fn(&[u8]) -> bool) {
    let values = headers.get_all(AUTHORIZATION).iter();
    let kept: Vec<HeaderValue> = values
        .filter(|value| is_foreign(value.as_bytes()))
        .cloned()
        .collect();
    headers.remove(AUTHORIZATION);
    for value in kept {
        headers.append(AUTHORIZATION, value);
    }
}

fn basic(value: &[u8]) -> Option<&[u8]> {
    after_scheme(value, b"basic")
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    after_scheme(value, b"bearer").or_else(|| (!value.contains(&b' ')).then_some(value))
}

fn after_scheme<'a>(value: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (name, rest) = value.split_at_checked(scheme.len())?;
    let is_scheme = name.eq_ignore_ascii_case(scheme) && rest.first() == Some(&b' ');
    is_scheme.then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authorizations(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_scheme_decides_who_reads_authorization() {
        for (value, by_basic, by_bearer) in [
            ("Basic Zm9v", Some("Zm9v"), None),
            ("bAsIc   Zm9v ", Some("Zm9v"), None),
            ("Bearer Zm9v", None, Some("Zm9v")),
            ("Zm9v", None, Some("Zm9v")),
            ("Digest a=b, c=d", None, None),
            ("Basically not", None, None),
        ] {
            let headers = authorizations(&[value]);
            let read = |source: Source| source.read(&Ask::of(&headers, None)).map(Cow::into_owned);
            let expected = |text: Option<&str>| text.map(|text| text.as_bytes().to_vec());
            assert_eq!(read(Source::Basic), expected(by_basic), "{value}");
            assert_eq!(read(Source::Bearer), expected(by_bearer), "{value}");
        }
    }

    #[test]
    fn an_authorization_of_another_scheme_stays() {
        let mut headers = authorizations(&["Basic Zm9v", "Bearer x", "Digest a=b, c=d", "basic x"]);
        Source::Basic.take_out(&mut headers, &mut None);
        assert_eq!(headers, authorizations(&["Bearer x", "Digest a=b, c=d"]));
        Source::Bearer.take_out(&mut headers, &mut None);
        assert_eq!(headers, authorizations(&["Digest a=b, c=d"]));
    }

    #[test]
    fn every_place_is_read_and_emptied_alone() {
        for (source, value) in [
            (CredentialSource::Header("x-api-key".into()), "H"),
            (CredentialSource::Cookie("key".into()), "C"),
            (CredentialSource::Query("key".into()), "Q"),
        ] {
            let source = Source::new(&source).unwrap();
            let mut headers = HeaderMap::new();
            headers.append("x-api-key", "H".parse().unwrap());
            headers.append("cookie", "key=C".parse().unwrap());
            let mut query = Some("key=Q".to_owned());
            let read = |headers: &HeaderMap, query: &Option<String>| {
                let read = source.read(&Ask::of(headers, query.as_deref()));
                read.map(Cow::into_owned)
            };
            assert_eq!(read(&headers, &query).unwrap(), value.as_bytes());

            source.take_out(&mut headers, &mut query);
            assert_eq!(read(&headers, &query), None);
            assert_eq!(headers.len() + usize::from(query.is_some()), 2);
        }
    }
}

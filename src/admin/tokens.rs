//! Who may ask on `[admin]`: bearer tokens (RFC 6750 §2.1), known by their SHA-256 only.

use crate::config::{Admin, AdminRight, AdminToken};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use http::HeaderMap;
use http::header::AUTHORIZATION;

/// The tokens of `[admin]`. Without any, whoever reaches the address may do everything: the
/// configuration has made sure that the address is local then.
#[derive(Debug)]
pub struct Tokens(Vec<AdminToken>);

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Granted,
    /// No token, or none that is known.
    Unknown,
    /// Known, but good for something else.
    Forbidden,
}

impl Tokens {
    /// Those of the configuration.
    pub fn new(settings: &Admin) -> Self {
        Self(settings.tokens.clone())
    }

    /// Whether nobody needs one.
    pub(super) fn is_open(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the bearer of these headers has this right. Every token is compared, each in constant
    /// time: how long it takes tells nothing.
    pub(super) fn check(&self, headers: &HeaderMap, right: AdminRight) -> Verdict {
        if self.is_open() {
            return Verdict::Granted;
        }
        let Some(token) = bearer(headers) else {
            return Verdict::Unknown;
        };
        let sum = digest::digest(&digest::SHA256, token);
        let is_known =
            |known: &AdminToken| verify_slices_are_equal(&known.sha256, sum.as_ref()).is_ok();
        let known = self
            .0
            .iter()
            .fold(None, |found, token| match is_known(token) {
                true => Some(token),
                false => found,
            });
        match known {
            None => Verdict::Unknown,
            Some(known) if known.may.contains(&right) => Verdict::Granted,
            Some(_) => Verdict::Forbidden,
        }
    }
}

/// The one token of a request. Two `Authorization` headers are none.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    let (scheme, token) = value.as_bytes().split_at_checked(b"Bearer ".len())?;
    let is_bearer = scheme.eq_ignore_ascii_case(b"Bearer ");
    Some(token.trim_ascii()).filter(|token| is_bearer && !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn token(name: &str, secret: &str, may: &[AdminRight]) -> AdminToken {
        let sum = digest::digest(&digest::SHA256, secret.as_bytes());
        AdminToken {
            name: name.to_owned(),
            sha256: sum.as_ref().try_into().unwrap(),
            may: may.to_vec(),
        }
    }

    fn tokens() -> Tokens {
        Tokens(vec![
            token("prometheus", "pro", &[AdminRight::Read]),
            token("ops", "ops", &[AdminRight::Read, AdminRight::Control]),
            token("robot", "rob", &[AdminRight::Control]),
        ])
    }

    fn headers(values: &[&str]) -> HeaderMap {
        let name = |value: &&str| (AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        values.iter().map(name).collect()
    }

    #[test]
    fn a_token_is_good_for_what_it_may() {
        let table: &[(&[&str], AdminRight, Verdict)] = &[
            (&["Bearer pro"], AdminRight::Read, Verdict::Granted),
            (&["bearer  pro "], AdminRight::Read, Verdict::Granted),
            (&["Bearer pro"], AdminRight::Control, Verdict::Forbidden),
            (&["Bearer ops"], AdminRight::Control, Verdict::Granted),
            (&["Bearer rob"], AdminRight::Read, Verdict::Forbidden),
            (&["Bearer prometheus"], AdminRight::Read, Verdict::Unknown),
            (&["Bearer "], AdminRight::Read, Verdict::Unknown),
            (&["Bearer"], AdminRight::Read, Verdict::Unknown),
            (&["Bearerpro"], AdminRight::Read, Verdict::Unknown),
            (&["Basic pro"], AdminRight::Read, Verdict::Unknown),
            (&["Basic cHJvOg=="], AdminRight::Read, Verdict::Unknown),
            (
                &["Bearer pro", "Bearer pro"],
                AdminRight::Read,
                Verdict::Unknown,
            ),
            (&[], AdminRight::Read, Verdict::Unknown),
        ];
        for (values, right, verdict) in table {
            let found = tokens().check(&headers(values), *right);
            assert_eq!(found, *verdict, "{values:?} {right:?}");
        }
    }

    #[test]
    fn without_tokens_everybody_who_gets_there_may() {
        let verdict = Tokens(Vec::new()).check(&HeaderMap::new(), AdminRight::Control);
        assert_eq!(verdict, Verdict::Granted);
    }

    #[test]
    fn neither_tokens_nor_their_sums_are_shown() {
        let shown = format!("{:?}", tokens());
        assert!(
            shown.contains("prometheus") && !shown.contains("sha256"),
            "{shown}"
        );
    }
}

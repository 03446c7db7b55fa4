//! May a page of this origin open a WebSocket here? Browsers send cookies and passwords along to
//! whoever a page names, so the gateway must ask whose page it is (cross-site WebSocket hijacking).
//!
//! Origins compare as scheme, host and port, never as text. Who sends none is no browser, unless
//! Fetch Metadata says otherwise.

use super::{Ask, Purpose};
use crate::config::{self, OriginPattern, OriginPolicy};
use crate::http::{Origin, OriginError, Scheme};
use http::HeaderMap;
use thiserror::Error;

/// `origins` and `require_origin` of a route, compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginRule {
    admitted: Admitted,
    require: bool,
}

/// Whose pages are admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Admitted {
    /// Those of the route's own origin.
    Own,
    /// Those of these origins.
    Listed {
        any: bool,
        null: bool,
        exact: Vec<Origin>,
        wildcard: Vec<Wildcard>,
    },
}

/// Exactly one label before the suffix.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wildcard {
    scheme: Scheme,
    suffix: String,
    port: u16,
}

/// Why a handshake is refused for its origin.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OriginRefusal {
    /// It cannot be told whose page it is.
    #[error(transparent)]
    Unclear(#[from] OriginError),
    /// `require_origin`, and there is none.
    #[error("there is no Origin")]
    Missing,
    /// No Origin, but the browser says that another site's page asks.
    #[error("there is no Origin, but Sec-Fetch-Site tells of another site")]
    CrossSite,
    /// Not among those of the route.
    #[error("the origin `{0}` is not admitted")]
    NotListed(Origin),
    /// Not the route's own, which is all that it admits.
    #[error("the origin `{0}` is not that of the gateway itself")]
    NotOwn(Origin),
}

impl OriginRule {
    /// Compiles the settings of a route.
    pub fn new(policy: &OriginPolicy) -> Self {
        let admitted = match &policy.origins {
            Some(patterns) => Admitted::listed(patterns),
            None => Admitted::Own,
        };
        Self {
            admitted,
            require: policy.require,
        }
    }

    /// By what a request has passed.
    pub(super) fn passed(&self, ask: &Ask<'_>) -> &'static str {
        match (&self.admitted, Origin::of(ask.headers)) {
            (_, Ok(None) | Err(_)) => "no page asks, as there is no Origin",
            (Admitted::Own, _) => "the page is of the route's own host",
            (Admitted::Listed { any: true, .. }, _) => "pages of every origin may",
            (Admitted::Listed { .. }, _) => "the page's origin is listed",
        }
    }

    /// Judges what a request says of its origin.
    pub fn check(&self, ask: &Ask<'_>) -> Result<(), OriginRefusal> {
        match Origin::of(ask.headers)? {
            Some(origin) => self.check_origin(origin, ask.own_origin.as_ref()),
            None => self.check_missing(ask),
        }
    }

    fn check_origin(&self, origin: Origin, own: Option<&Origin>) -> Result<(), OriginRefusal> {
        match &self.admitted {
            Admitted::Own if own == Some(&origin) => Ok(()),
            Admitted::Own => Err(OriginRefusal::NotOwn(origin)),
            listed if listed.lists(&origin) => Ok(()),
            Admitted::Listed { .. } => Err(OriginRefusal::NotListed(origin)),
        }
    }

    /// Browsers tell the origin of whatever wants to change something; of what only reads they do
    /// not, so a link from elsewhere must pass.
    fn check_missing(&self, ask: &Ask<'_>) -> Result<(), OriginRefusal> {
        if ask.purpose == Purpose::Reading {
            return Ok(());
        }
        if self.require && matches!(ask.purpose, Purpose::Session | Purpose::Ticket) {
            return Err(OriginRefusal::Missing);
        }
        let is_open = matches!(self.admitted, Admitted::Listed { any: true, .. });
        if !is_open && is_cross_site(ask.headers) {
            return Err(OriginRefusal::CrossSite);
        }
        Ok(())
    }
}

impl OriginRefusal {
    /// For logs and metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unclear(_) => "origin_unclear",
            Self::Missing => "origin_missing",
            Self::CrossSite => "origin_cross_site",
            Self::NotListed(_) | Self::NotOwn(_) => "origin_refused",
        }
    }
}

impl Admitted {
    fn listed(patterns: &[OriginPattern]) -> Self {
        let (mut any, mut null) = (false, false);
        let (mut exact, mut wildcard) = (Vec::new(), Vec::new());
        for pattern in patterns {
            match pattern {
                OriginPattern::Any => any = true,
                OriginPattern::Null => null = true,
                OriginPattern::Exact { scheme, host, port } => exact.push(Origin::Tuple {
                    scheme: compiled(*scheme),
                    host: host.clone(),
                    port: *port,
                }),
                OriginPattern::Wildcard {
                    scheme,
                    suffix,
                    port,
                } => wildcard.push(Wildcard {
                    scheme: compiled(*scheme),
                    suffix: suffix.clone(),
                    port: *port,
                }),
            }
        }
        Self::Listed {
            any,
            null,
            exact,
            wildcard,
        }
    }

    /// `"*"` is every page that has an origin; one without (`null`) can be made by any page, in a
    /// sandboxed frame, so it must be named.
    fn lists(&self, origin: &Origin) -> bool {
        let Self::Listed {
            any,
            null,
            exact,
            wildcard,
        } = self
        else {
            return false;
        };
        match origin {
            Origin::Null => *null,
            _ if *any => true,
            Origin::Tuple { scheme, host, port } => {
                exact.contains(origin)
                    || wildcard.iter().any(|one| one.covers(*scheme, host, *port))
            }
            Origin::Other(_) => false,
        }
    }
}

impl Wildcard {
    fn covers(&self, scheme: Scheme, host: &str, port: u16) -> bool {
        self.scheme == scheme
            && self.port == port
            && host
                .split_once('.')
                .is_some_and(|(label, suffix)| !label.is_empty() && suffix == self.suffix)
    }
}

/// Whether a browser says that a page of another origin asks. Browsers that send this header send
/// an Origin too, so something has taken that out on the way.
fn is_cross_site(headers: &HeaderMap) -> bool {
    let is_foreign = |value: &[u8]| {
        [&b"cross-site"[..], b"same-site"]
            .iter()
            .any(|site| value.eq_ignore_ascii_case(site))
    };
    headers
        .get_all("sec-fetch-site")
        .into_iter()
        .any(|value| is_foreign(value.as_bytes()))
}

fn compiled(scheme: config::Scheme) -> Scheme {
    match scheme {
        config::Scheme::Http => Scheme::Http,
        config::Scheme::Https => Scheme::Https,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rule for origins as they are written in a configuration; `None`: no list.
    fn rule(origins: Option<&[&str]>, require: bool) -> OriginRule {
        let origins = origins.map(|list| list.iter().map(|text| pattern(text)).collect());
        OriginRule::new(&OriginPolicy { origins, require })
    }

    fn pattern(text: &str) -> OriginPattern {
        let (scheme, rest) = match text {
            "*" => return OriginPattern::Any,
            "null" => return OriginPattern::Null,
            _ => text.split_once("://").unwrap(),
        };
        let (scheme, port) = match scheme {
            "http" => (config::Scheme::Http, 80),
            _ => (config::Scheme::Https, 443),
        };
        let (host, port) = match rest.split_once(':') {
            Some((host, digits)) => (host, digits.parse().unwrap()),
            None => (rest, port),
        };
        match host.strip_prefix("*.") {
            Some(suffix) => OriginPattern::Wildcard {
                scheme,
                suffix: suffix.to_owned(),
                port,
            },
            None => OriginPattern::Exact {
                scheme,
                host: host.to_owned(),
                port,
            },
        }
    }

    /// Checks the `Origin` lines of a request that was sent to `own`; the label of a refusal.
    fn check(
        rule: &OriginRule,
        lines: &[&str],
        own: Option<&str>,
        fetch_site: Option<&str>,
    ) -> Result<(), &'static str> {
        check_for(rule, lines, own, fetch_site, Purpose::Session)
    }

    fn check_for(
        rule: &OriginRule,
        lines: &[&str],
        own: Option<&str>,
        fetch_site: Option<&str>,
        purpose: Purpose,
    ) -> Result<(), &'static str> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("origin", line.parse().unwrap());
        }
        if let Some(site) = fetch_site {
            headers.append("sec-fetch-site", site.parse().unwrap());
        }
        let own = own.map(|text| Origin::parse(text).unwrap());
        let ask = Ask {
            own_origin: own,
            purpose,
            ..Ask::of(&headers, None)
        };
        rule.check(&ask).map_err(|refusal| refusal.label())
    }

    const REFUSED: Result<(), &str> = Err("origin_refused");
    const UNCLEAR: Result<(), &str> = Err("origin_unclear");

    #[test]
    fn without_a_list_only_the_own_origin_is_admitted() {
        let rule = rule(None, false);
        let own = Some("https://chat.example.com");
        for (origin, own, expected) in [
            ("https://chat.example.com", own, Ok(())),
            ("HTTPS://Chat.Example.com.:443", own, Ok(())),
            (
                "https://chat.example.com",
                Some("https://chat.example.com:443"),
                Ok(()),
            ),
            (
                "http://localhost:8080",
                Some("http://localhost:8080"),
                Ok(()),
            ),
            ("http://[::1]:8080", Some("http://[::1]:8080"), Ok(())),
            ("http://chat.example.com", own, REFUSED),
            ("https://chat.example.com:8443", own, REFUSED),
            ("https://chat.example.com.evil.com", own, REFUSED),
            ("https://evilchat.example.com", own, REFUSED),
            ("https://example.com", own, REFUSED),
            ("https://evil.com", own, REFUSED),
            ("null", own, REFUSED),
            ("file://", own, REFUSED),
            ("https://chat.example.com/", own, UNCLEAR),
            ("", own, UNCLEAR),
            // The page of a host that the gateway does not answer for: DNS rebinding.
            ("http://rebound.evil.com", None, REFUSED),
        ] {
            assert_eq!(
                check(&rule, &[origin], own, None),
                expected,
                "{origin} {own:?}"
            );
        }
    }

    #[test]
    fn an_origin_that_must_be_there_need_not_be_for_ordinary_requests() {
        use Purpose::*;
        let own = Some("https://chat.example.com");
        let (missing, cross_site) = (Err("origin_missing"), Err("origin_cross_site"));
        for (purpose, lines, site, expected) in [
            (Session, &[][..], None, missing),
            (Reading, &[], None, Ok(())),
            (Writing, &[], None, Ok(())),
            // A link on another page is no attack; what changes something may be one.
            (Reading, &[], Some("cross-site"), Ok(())),
            (Writing, &[], Some("cross-site"), cross_site),
            (Writing, &[], Some("same-origin"), Ok(())),
            (Reading, &["https://evil.com"], None, REFUSED),
            (Writing, &["https://evil.com"], None, REFUSED),
            (Writing, &["https://chat.example.com"], None, Ok(())),
        ] {
            let found = check_for(&rule(None, true), lines, own, site, purpose);
            assert_eq!(found, expected, "{purpose:?} {lines:?} {site:?}");
        }
    }

    #[test]
    fn a_list_admits_what_it_names_and_nothing_like_it() {
        let rule = rule(
            Some(&[
                "https://good.example",
                "http://dev.example:3000",
                "https://*.apps.example",
            ]),
            false,
        );
        for (origin, expected) in [
            ("https://good.example", Ok(())),
            ("https://GOOD.example.:443", Ok(())),
            ("http://dev.example:3000", Ok(())),
            ("https://one.apps.example", Ok(())),
            ("http://good.example", REFUSED),
            ("https://good.example:8443", REFUSED),
            ("https://good.example.evil.com", REFUSED),
            ("https://evilgood.example", REFUSED),
            ("https://www.good.example", REFUSED),
            ("http://dev.example", REFUSED),
            ("https://apps.example", REFUSED),
            ("https://one.two.apps.example", REFUSED),
            ("https://evilapps.example", REFUSED),
            ("http://one.apps.example", REFUSED),
            ("https://one.apps.example:444", REFUSED),
            ("https://one.apps.example.evil.com", REFUSED),
            ("null", REFUSED),
            ("chrome-extension://abc", REFUSED),
            ("https://good.example, https://evil.com", UNCLEAR),
            ("https://good.example@evil.com", UNCLEAR),
            ("https://good.example\\.evil.com", UNCLEAR),
        ] {
            assert_eq!(check(&rule, &[origin], None, None), expected, "{origin}");
        }
        let listed = check(
            &rule,
            &["https://own.example"],
            Some("https://own.example"),
            None,
        );
        assert_eq!(listed, REFUSED, "a list takes the place of the own origin");
    }

    #[test]
    fn null_must_be_named() {
        for (list, expected) in [
            (&["*"][..], REFUSED),
            (&["*", "null"], Ok(())),
            (&["null"], Ok(())),
            (&["https://a.example"], REFUSED),
        ] {
            let rule = rule(Some(list), false);
            assert_eq!(check(&rule, &["null"], None, None), expected, "{list:?}");
        }
    }

    #[test]
    fn an_open_route_admits_every_page_that_says_one_origin() {
        let rule = rule(Some(&["*"]), false);
        for (lines, expected) in [
            (&["https://evil.com"][..], Ok(())),
            (&["chrome-extension://abc"], Ok(())),
            (&["https://a.example", "https://a.example"], UNCLEAR),
            (&["x"], UNCLEAR),
        ] {
            assert_eq!(check(&rule, lines, None, None), expected, "{lines:?}");
        }
    }

    #[test]
    fn an_empty_list_admits_no_page() {
        let rule = rule(Some(&[]), false);
        let own = "https://a.example";
        assert_eq!(check(&rule, &[own], Some(own), None), REFUSED);
        assert_eq!(check(&rule, &[], None, None), Ok(()));
    }

    #[test]
    fn a_missing_origin_passes_only_where_no_browser_asks() {
        const CROSS: Result<(), &str> = Err("origin_cross_site");
        const MISSING: Result<(), &str> = Err("origin_missing");
        for (list, require, site, expected) in [
            (None, false, None, Ok(())),
            (None, false, Some("none"), Ok(())),
            (None, false, Some("same-origin"), Ok(())),
            (None, false, Some("cross-site"), CROSS),
            (None, false, Some("Cross-Site"), CROSS),
            (None, false, Some("same-site"), CROSS),
            (None, true, None, MISSING),
            (None, true, Some("same-origin"), MISSING),
            (Some(&["https://a.example"][..]), false, None, Ok(())),
            (
                Some(&["https://a.example"]),
                false,
                Some("cross-site"),
                CROSS,
            ),
            (Some(&["*"]), false, Some("cross-site"), Ok(())),
            (Some(&["*"]), true, None, MISSING),
        ] {
            let rule = rule(list, require);
            let found = check(&rule, &[], Some("https://a.example"), site);
            assert_eq!(found, expected, "{list:?} {require} {site:?}");
        }
    }
}

//! What a service is told of a request: what the client said end to end, less what it forged, plus
//! what nginx's `auth_request`, Traefik and oauth2-proxy call the request's own method, host and path.

use crate::admission::{Ask, Original};
use crate::config;
use crate::http::{Forwarded, Reserved, keep_end_to_end};
use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderName, HeaderValue};

const X_FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const X_ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
const X_ORIGINAL_URI: HeaderName = HeaderName::from_static("x-original-uri");
const X_ORIGINAL_URL: HeaderName = HeaderName::from_static("x-original-url");

/// What services take for the gateway's word, beside the forwarded headers. By the last one oauth2-proxy
/// leads to somewhere after a login.
const OURS: [&str; 4] = [
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-auth-request-redirect",
];

/// What is asked about the page must not become what is asked about the client.
const CONDITIONS: [HeaderName; 5] = [
    IF_MATCH,
    IF_NONE_MATCH,
    IF_MODIFIED_SINCE,
    IF_UNMODIFIED_SINCE,
    IF_RANGE,
];

/// How a service is told.
#[derive(Debug)]
pub(super) struct Telling {
    /// What no client may say to it.
    reserved: Reserved,
}

impl Telling {
    pub(super) fn new(settings: &config::ForwardAuth) -> Self {
        // A service that echoes such a header would have the client name itself.
        let answers = settings
            .copy_headers
            .iter()
            .chain(&settings.identity_header);
        let answers = answers.map(String::as_str);
        Self {
            reserved: Reserved::new(answers.chain(OURS)),
        }
    }

    /// The headers of the question about `ask`.
    pub(super) fn headers(&self, ask: &Ask<'_>) -> HeaderMap {
        let original = &ask.original;
        let mut headers = ask.headers.clone();
        keep_end_to_end(&mut headers);
        self.reserved.strip(&mut headers);
        for name in CONDITIONS {
            headers.remove(name);
        }
        let host = original.host();
        Forwarded {
            chain: original.chain,
            scheme: original.scheme,
            host: &host,
            prefix: None,
            request_id: original.request_id,
        }
        .apply(&mut headers);
        tell_request(original, &host, &mut headers);
        headers
    }
}

fn tell_request(original: &Original<'_>, host: &str, headers: &mut HeaderMap) {
    let method = original.method.as_str();
    let uri = original.uri();
    let url = format!("{}://{host}{uri}", original.scheme.as_str());
    for (name, value) in [
        (X_FORWARDED_METHOD, method),
        (X_ORIGINAL_METHOD, method),
        (X_FORWARDED_URI, &uri),
        (X_ORIGINAL_URI, &uri),
        (X_ORIGINAL_URL, &url),
    ] {
        // What a request line may hold, a header may.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::settings;
    use super::*;
    use crate::http::{Authority, Scheme, Target};
    use http::Method;
    use std::net::IpAddr;

    fn told(lines: &[(&str, &str)], authority: Option<&Authority>) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let target = Target {
            host: "chat.example.com".to_owned(),
            port: Some(8443),
            path: "/chat/a%20b".to_owned(),
            query: Some("room=1&token=x".to_owned()),
        };
        let chain: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
        let ask = Ask {
            original: Original {
                method: &Method::GET,
                target: &target,
                authority,
                scheme: Scheme::Https,
                chain: &chain,
                request_id: "r1",
            },
            ..Ask::of(&headers, None)
        };
        let told = Telling::new(&settings(80)).headers(&ask);
        let pairs = told
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        let mut pairs: Vec<_> = pairs.collect();
        pairs.sort();
        pairs
    }

    const GIVEN: [(&str, &str); 10] = [
        ("x-forwarded-for", "192.0.2.1, 10.0.0.2"),
        ("x-forwarded-host", "chat.example.com:8443"),
        ("x-forwarded-method", "GET"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-uri", "/chat/a%20b?room=1&token=x"),
        ("x-original-method", "GET"),
        ("x-original-uri", "/chat/a%20b?room=1&token=x"),
        (
            "x-original-url",
            "https://chat.example.com:8443/chat/a%20b?room=1&token=x",
        ),
        ("x-real-ip", "192.0.2.1"),
        ("x-request-id", "r1"),
    ];

    fn with_given(others: &[(&str, &str)]) -> Vec<(String, String)> {
        let all = GIVEN.iter().chain(others);
        let mut all: Vec<_> = all
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        all.sort();
        all
    }

    #[test]
    fn a_service_is_told_the_request_under_all_usual_names() {
        assert_eq!(told(&[], None), with_given(&[]));
    }

    #[test]
    fn what_the_client_said_end_to_end_is_passed_on() {
        let others = [
            ("accept-language", "de"),
            ("authorization", "Bearer x"),
            ("cookie", "_oauth2_proxy=1; b=2"),
            ("cookie", "c=3"),
            ("origin", "https://app.example.com"),
            ("user-agent", "Mozilla/5.0"),
        ];
        let hop = [
            ("connection", "upgrade, x-hop"),
            ("upgrade", "websocket"),
            ("x-hop", "1"),
            ("sec-websocket-key", "AAAA"),
            ("sec-websocket-protocol", "bearer, TOKEN"),
            ("sec-websocket-version", "13"),
            ("if-none-match", "*"),
        ];
        let sent: Vec<_> = others.iter().chain(&hop).copied().collect();
        assert_eq!(told(&sent, None), with_given(&others));
    }

    #[test]
    fn no_client_speaks_in_the_gateways_or_the_services_name() {
        let forged: Vec<_> = [
            "x-forwarded-uri",
            "X_Forwarded_Method",
            "x-original-url",
            "x_original_uri",
            "x.original.method",
            "x-real-ip",
            "x-auth-request-user",
            "X_Auth_Request_User",
            "x-auth-request-email",
            "x-auth-request-redirect",
        ]
        .map(|name| (name, "forged"))
        .into();
        assert_eq!(told(&forged, None), with_given(&[]));
    }

    #[test]
    fn behind_a_proxy_the_clients_own_host_is_told() {
        let authority = Authority::parse("www.example.com").unwrap();
        let told = told(&[], Some(&authority));
        let value = |name: &str| &told.iter().find(|(told, _)| told == name).unwrap().1;
        assert_eq!(value("x-forwarded-host"), "www.example.com");
        assert!(value("x-original-url").starts_with("https://www.example.com/chat/"));
    }
}

//! The page of the built-in upstream: a WebSocket client in the browser.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, header};

const PAGE: &str = include_str!("page.html");

/// The page is one file, so that its own style and script are all that may run, and it may connect
/// to any WebSocket, since that is what it is for.
const POLICY: &str = "default-src 'none'; script-src 'self' 'unsafe-inline'; \
     style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self' ws: wss:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (header::CACHE_CONTROL, "no-cache"),
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// What a plain GET on a route of `builtin:echo` gets.
pub fn page() -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(PAGE.as_bytes()));
    for (name, value) in HEADERS {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_html_that_may_open_websockets() {
        let response = page();
        let headers = response.headers();
        assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("connect-src 'self' ws: wss:"));
        let page = std::str::from_utf8(response.body()).unwrap();
        assert!(page.starts_with("<!doctype html>"));
        assert!(page.contains("new WebSocket("));
    }
}

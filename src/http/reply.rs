//! What a refused client reads: the only builder of error bodies.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;

/// An answer of `status` with a short plain `text` that names what is wrong, and the request id by
/// which the log tells more. The connection ends with it: what a client sends behind a refused
/// handshake is never read as anything. Headers such as `Retry-After` are added by the caller.
pub fn refusal(status: StatusCode, text: &str, request_id: &str) -> Response<Full<Bytes>> {
    let body = format!("{text}\nrequest id: {request_id}\n");
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(X_REQUEST_ID, id);
    }
    response
}

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn a_refusal_names_what_is_wrong_and_where_to_ask() {
        let response = refusal(StatusCode::NOT_FOUND, "no route for this path", "r1");
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(response.headers().get("x-request-id").unwrap(), "r1");
        assert_eq!(response.headers().get("connection").unwrap(), "close");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "no route for this path\nrequest id: r1\n");
    }
}

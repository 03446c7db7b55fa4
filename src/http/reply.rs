//! What a refused client reads: the only builder of error bodies.

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response, StatusCode};

/// An answer of `status` with a short plain `text` that names what is wrong, and the request id by
/// which the log tells more. The connection ends with it: what a client sends behind a refused
/// handshake is never read as anything. Headers such as `Retry-After` are added by the caller.
pub fn refusal(status: StatusCode, text: &str, request_id: &str) -> Response<Bytes> {
    let body = format!("{text}\nrequest id: {request_id}\n");
    let mut response = Response::new(Bytes::from(body));
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

/// A refusal as it goes over the wire, for where no HTTP parser is left to write it.
pub fn to_bytes(response: Response<Bytes>) -> Bytes {
    let (head, body) = response.into_parts();
    let mut bytes = BytesMut::new();
    bytes.put_slice(b"HTTP/1.1 ");
    bytes.put_slice(head.status.as_str().as_bytes());
    bytes.put_slice(b" ");
    bytes.put_slice(
        head.status
            .canonical_reason()
            .unwrap_or_default()
            .as_bytes(),
    );
    bytes.put_slice(b"\r\n");
    for (name, value) in &head.headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            bytes.put_slice(part);
        }
    }
    bytes.put_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.put_slice(&body);
    bytes.freeze()
}

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_what_is_wrong_and_where_to_ask() {
        let response = refusal(StatusCode::NOT_FOUND, "no route for this path", "r1");
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(response.headers().get("x-request-id").unwrap(), "r1");
        assert_eq!(response.headers().get("connection").unwrap(), "close");
        assert_eq!(response.body(), "no route for this path\nrequest id: r1\n");
    }

    #[test]
    fn a_refusal_can_be_written_without_a_parser() {
        let mut response = Response::new(Bytes::from_static(b"no\n"));
        *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
        assert_eq!(
            to_bytes(response),
            "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 3\r\n\r\nno\n"
        );
    }
}

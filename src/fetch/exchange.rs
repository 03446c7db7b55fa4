//! One request and the whole answer to it over one connection (RFC 9112 §3, §6).

use super::Fetched;
use super::error::FetchError;
use crate::config::{Scheme, Url};
use crate::http::{AnswerBody, AnswerHead, AnswerScan, Chunks};
use crate::net::Connection;
use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, Method, header};
use std::future::poll_fn;
use tokio::io::AsyncWriteExt;

/// Bytes of an answer's head at most.
const HEAD_LIMIT: usize = 16 * 1024;
/// Interim answers (1xx) at most.
const INTERIM_LIMIT: usize = 8;

/// What concerns the connection, or frames a body that there is none of.
const NOT_SENT: [HeaderName; 10] = [
    header::HOST,
    header::CONNECTION,
    header::UPGRADE,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::EXPECT,
    header::RANGE,
    // Nothing here decompresses, so that a body may be compressed for nobody.
    header::ACCEPT_ENCODING,
];

/// The bytes of a GET. Names and values cannot hold what ends a line; the URL has been checked.
pub(super) fn head(url: &Url, headers: &HeaderMap) -> Vec<u8> {
    let start = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nAccept-Encoding: identity\r\n",
        url.path_and_query,
        authority(url)
    );
    let mut head = start.into_bytes();
    for (name, value) in headers {
        if !NOT_SENT.contains(name) {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                head.extend_from_slice(part);
            }
        }
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// What `Host` says: the port stands there unless it is the scheme's own.
fn authority(url: &Url) -> String {
    match (url.scheme, url.port) {
        (Scheme::Http, 80) | (Scheme::Https, 443) => url.host.clone(),
        (_, port) => format!("{}:{port}", url.host),
    }
}

/// Sends `head` and reads the answer; whether the connection can carry another one behind it.
pub(super) async fn exchange(
    connection: &mut Connection,
    head: &[u8],
    body_limit: usize,
) -> Result<(Fetched, bool), FetchError> {
    let lost = |error| FetchError::Lost {
        source: Some(error),
    };
    connection.stream.write_all(head).await.map_err(lost)?;
    connection.stream.flush().await.map_err(lost)?;
    let head = read_head(connection).await?;
    let body = read_body(connection, head.body, body_limit).await?;
    // What nobody has asked for must not become the answer to the next request.
    let persists = head.persists && connection.unread.is_empty();
    let AnswerHead {
        status, headers, ..
    } = head;
    let fetched = Fetched {
        status,
        headers,
        body,
    };
    Ok((fetched, persists))
}

/// The head of the final answer.
async fn read_head(connection: &mut Connection) -> Result<AnswerHead, FetchError> {
    for interim in 0..=INTERIM_LIMIT {
        let mut scan = AnswerScan::new(HEAD_LIMIT);
        let head = loop {
            if let Some(head) = scan.scan(&connection.unread, &Method::GET)? {
                break head;
            }
            let has_begun = interim > 0 || !connection.unread.is_empty();
            if !fill(connection, has_begun).await? {
                return Err(ended(has_begun, None));
            }
        };
        connection.unread.advance(head.len);
        if !head.status.is_informational() {
            return Ok(head);
        }
    }
    Err(FetchError::Interim(INTERIM_LIMIT))
}

async fn read_body(
    connection: &mut Connection,
    body: AnswerBody,
    limit: usize,
) -> Result<Bytes, FetchError> {
    match body {
        AnswerBody::None => Ok(Bytes::new()),
        AnswerBody::Length(length) => read_length(connection, length, limit).await,
        AnswerBody::Chunked => read_chunks(connection, limit).await,
        AnswerBody::UntilEnd => {
            while fill(connection, true).await? {
                check(connection.unread.len(), limit)?;
            }
            check(connection.unread.len(), limit)?;
            Ok(connection.unread.split().freeze())
        }
    }
}

async fn read_length(
    connection: &mut Connection,
    length: u64,
    limit: usize,
) -> Result<Bytes, FetchError> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    check(length, limit)?;
    while connection.unread.len() < length {
        more(connection).await?;
    }
    Ok(connection.unread.split_to(length).freeze())
}

async fn read_chunks(connection: &mut Connection, limit: usize) -> Result<Bytes, FetchError> {
    let mut chunks = Chunks::new();
    let mut body = BytesMut::new();
    loop {
        let framing = chunks.framing(&connection.unread);
        connection.unread.advance(framing);
        if chunks.is_done() {
            return Ok(body.freeze());
        }
        if let Some(fault) = chunks.fault() {
            return Err(fault.into());
        }
        let data = chunks.data(&connection.unread);
        check(body.len() + data, limit)?;
        body.extend_from_slice(&connection.unread[..data]);
        connection.unread.advance(data);
        if connection.unread.is_empty() {
            more(connection).await?;
        }
    }
}

fn check(length: usize, limit: usize) -> Result<(), FetchError> {
    match length > limit {
        true => Err(FetchError::TooLarge { limit }),
        false => Ok(()),
    }
}

/// Reads more of an answer that has not ended.
async fn more(connection: &mut Connection) -> Result<(), FetchError> {
    match fill(connection, true).await? {
        true => Ok(()),
        false => Err(ended(true, None)),
    }
}

/// Reads more; whether there was any.
async fn fill(connection: &mut Connection, has_begun: bool) -> Result<bool, FetchError> {
    let filled = poll_fn(|cx| connection.poll_fill(cx)).await;
    match filled {
        Ok(count) => Ok(count > 0),
        Err(error) => Err(ended(has_begun, Some(error))),
    }
}

fn ended(has_begun: bool, source: Option<std::io::Error>) -> FetchError {
    match has_begun {
        true => FetchError::CutShort { source },
        false => FetchError::Lost { source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Stream;
    use http::HeaderValue;
    use proptest::prelude::*;
    use tokio::io::duplex;

    const LIMIT: usize = 64;

    /// What is made of an answer that comes in pieces, and whether the connection is good for more.
    fn answered(pieces: &[&[u8]]) -> Result<(u16, Vec<u8>, bool), &'static str> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (ours, mut theirs) = duplex(64 * 1024);
            let mut connection = Connection::new(Stream::Memory(Box::new(ours)));
            let service = async {
                for piece in pieces {
                    theirs.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
                drop(theirs);
            };
            let (asked, ()) = tokio::join!(exchange(&mut connection, b"GET", LIMIT), service);
            asked
                .map(|(fetched, persists)| {
                    (fetched.status.as_u16(), fetched.body.to_vec(), persists)
                })
                .map_err(|error| error.label())
        })
    }

    /// What is said, and what is made of it: status, body, and whether the connection is good for more.
    type Case = (
        &'static str,
        Result<(u16, &'static str, bool), &'static str>,
    );

    fn table() -> Vec<Case> {
        vec![
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
                Ok((200, "hi", true)),
            ),
            ("HTTP/1.1 204 No Content\r\n\r\n", Ok((204, "", true))),
            (
                "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n",
                Ok((302, "", true)),
            ),
            (
                "HTTP/1.1 200 OK\r\n\r\nall of it",
                Ok((200, "all of it", false)),
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n4;x=y\r\n you\r\n0\r\nT: x\r\n\r\n",
                Ok((200, "hi you", true)),
            ),
            (
                "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 401 No\r\nConnection: close\r\nContent-Length: 1\r\n\r\n.",
                Ok((401, ".", false)),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\n\r\n",
                Ok((200, "hi", false)),
            ),
            ("", Err("lost")),
            ("HTTP/1.1 200 OK\r\nContent-Le", Err("cut_short")),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi",
                Err("cut_short"),
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
                Err("cut_short"),
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhi\r\n",
                Err("broken_answer"),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
                Err("broken_answer"),
            ),
            (
                "HTTP/1.1 101 Switching Protocols\r\n\r\n",
                Err("broken_answer"),
            ),
            ("SSH-2.0-OpenSSH_9\r\n", Err("broken_answer")),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n",
                Err("too_large"),
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n41\r\n",
                Err("cut_short"),
            ),
        ]
    }

    fn owned(
        expected: Result<(u16, &str, bool), &'static str>,
    ) -> Result<(u16, Vec<u8>, bool), &'static str> {
        expected.map(|(status, body, persists)| (status, body.as_bytes().to_vec(), persists))
    }

    #[test]
    fn answers_end_where_they_say_and_nowhere_else() {
        for (text, expected) in table() {
            assert_eq!(answered(&[text.as_bytes()]), owned(expected), "{text:?}");
        }
    }

    #[test]
    fn endless_answers_are_read_no_further_than_their_limit() {
        let body = "x".repeat(LIMIT + 1);
        let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(INTERIM_LIMIT + 1);
        for (text, expected) in [
            (format!("HTTP/1.1 200 OK\r\n\r\n{body}"), "too_large"),
            (
                format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n41\r\n{body}"),
                "too_large",
            ),
            (
                format!(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}",
                    "1\r\nx\r\n".repeat(LIMIT + 1)
                ),
                "too_large",
            ),
            (
                format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(HEAD_LIMIT)),
                "broken_answer",
            ),
            (
                format!("HTTP/1.1 200 OK\r\n{}", "X: y\r\n".repeat(101) + "\r\n"),
                "broken_answer",
            ),
            (interim, "broken_answer"),
        ] {
            let start = &text[..60.min(text.len())];
            assert_eq!(answered(&[text.as_bytes()]), Err(expected), "{start:?}");
        }
    }

    proptest! {
        #[test]
        fn an_answer_is_the_same_however_it_is_cut(
            which in 0..table().len(),
            cuts in proptest::collection::vec(0_usize..120, 0..6),
        ) {
            let (text, expected) = table().swap_remove(which);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.sort_unstable();
            let mut rest = text.as_bytes();
            let mut pieces = Vec::new();
            for cut in cuts {
                let (piece, behind) = rest.split_at(cut - (text.len() - rest.len()));
                pieces.push(piece);
                rest = behind;
            }
            pieces.push(rest);
            prop_assume!(!text.contains("hiHTTP"));
            prop_assert_eq!(answered(&pieces), owned(expected));
        }
    }

    #[test]
    fn a_request_is_framed_by_us_alone() {
        let url = |port| Url {
            scheme: Scheme::Http,
            host: "[::1]".to_owned(),
            port,
            path_and_query: "/check?x=1".to_owned(),
        };
        assert_eq!(authority(&url(80)), "[::1]");
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "evil"),
            ("cookie", "a=1"),
            ("content-length", "7"),
            ("transfer-encoding", "chunked"),
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("accept-encoding", "br"),
            ("x-b", "\u{e9}"),
        ] {
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let head = String::from_utf8(head(&url(4180), &headers)).unwrap();
        assert_eq!(
            head,
            "GET /check?x=1 HTTP/1.1\r\nHost: [::1]:4180\r\nAccept-Encoding: identity\r\ncookie: a=1\r\nx-b: \u{e9}\r\n\r\n"
        );
    }
}

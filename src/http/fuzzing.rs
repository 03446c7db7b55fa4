//! What the fuzz targets and the property tests call: each takes any bytes and panics if a rule of
//! this module is broken. The first byte chooses how the rest is read.

pub use super::client::fuzzing::client_headers;

use super::{
    AnswerBody, AnswerError, AnswerHead, AnswerScan, Body, Chunks, Head, HeadError, HeadScan,
    MAX_HEADERS,
};
use http::Method;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};

/// Bytes of a head at most; small, so that the limit is met.
const LIMIT: usize = 512;

/// The head of a request means the same however it is cut; one that passes has one reading, and a
/// parser of somebody else's reads the same.
pub fn request_head(bytes: &[u8]) {
    let Some((&choice, text)) = bytes.split_first() else {
        return;
    };
    let whole = HeadScan::new(LIMIT).scan(text);
    assert_eq!(cut_head(text, usize::from(choice) + 1), whole);
    if let Ok(Some(head)) = whole {
        assert!(head.len <= LIMIT);
        is_the_same_request(&head, &text[..head.len]);
    }
}

fn cut_head(text: &[u8], size: usize) -> Result<Option<Head>, HeadError> {
    let mut scan = HeadScan::new(LIMIT);
    let mut end = 0;
    while end < text.len() {
        end = text.len().min(end + size);
        match scan.scan(&text[..end]) {
            Ok(None) => {}
            found => return found,
        }
    }
    Ok(None)
}

fn is_the_same_request(head: &Head, bytes: &[u8]) {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut other = httparse::Request::new(&mut headers);
    assert_eq!(other.parse(bytes), Ok(httparse::Status::Complete(head.len)));
    assert!(other.method.is_some_and(|method| method != "CONNECT"));
    let values = |name: &str| -> Vec<&[u8]> {
        let lines = other.headers.iter();
        let named = lines.filter(|header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| header.value).collect()
    };
    let (lengths, codings) = (values("content-length"), values("transfer-encoding"));
    assert_eq!(head.upgrade, !values("upgrade").is_empty());
    match (head.body, &lengths[..], &codings[..]) {
        (Body::None, [], []) => {}
        (Body::None, [length], []) => assert!(length.iter().all(|&digit| digit == b'0')),
        (Body::Length(said), [length], []) => {
            let length = str::from_utf8(length)
                .ok()
                .and_then(|text| text.parse().ok());
            assert_eq!(length, Some(said));
        }
        (Body::Chunked, [], [coding]) => assert!(coding.eq_ignore_ascii_case(b"chunked")),
        other => panic!("two readings: {other:?}"),
    }
}

/// An answer means the same however it is cut; one that passes has one reading, and a parser of
/// somebody else's reads the same.
pub fn answer(bytes: &[u8]) {
    let Some((&choice, text)) = bytes.split_first() else {
        return;
    };
    let method = match choice & 1 {
        0 => Method::GET,
        _ => Method::HEAD,
    };
    let whole = AnswerScan::new(LIMIT).scan(text, &method);
    assert_eq!(
        piecewise(text, usize::from(choice >> 1) + 1, &method),
        whole
    );
    if let Ok(Some(head)) = whole {
        has_one_reading(&head, &method);
        is_read_alike(&head, &text[..head.len]);
    }
}

fn piecewise(text: &[u8], size: usize, method: &Method) -> Result<Option<AnswerHead>, AnswerError> {
    let mut scan = AnswerScan::new(LIMIT);
    let mut end = 0;
    while end < text.len() {
        end = text.len().min(end + size);
        match scan.scan(&text[..end], method) {
            Ok(None) => {}
            found => return found,
        }
    }
    Ok(None)
}

fn has_one_reading(head: &AnswerHead, method: &Method) {
    let lengths = head.headers.get_all(CONTENT_LENGTH).iter().count();
    let codings = head.headers.get_all(TRANSFER_ENCODING).iter().count();
    assert!(lengths + codings <= 1);
    assert!(head.len <= LIMIT && head.status.as_u16() != 101);
    assert!(!(head.persists && head.body == AnswerBody::UntilEnd));
    let has_none = *method == Method::HEAD || matches!(head.status.as_u16(), 100..200 | 204 | 304);
    assert!(!has_none || head.body == AnswerBody::None);
}

fn is_read_alike(head: &AnswerHead, bytes: &[u8]) {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut other = httparse::Response::new(&mut headers);
    assert_eq!(other.parse(bytes), Ok(httparse::Status::Complete(head.len)));
    assert_eq!(other.code, Some(head.status.as_u16()));
    assert_eq!(other.headers.len(), head.headers.len());
    for header in &*other.headers {
        let mut ours = head.headers.get_all(header.name).iter();
        assert!(ours.any(|value| value.as_bytes() == header.value));
    }
}

/// A body in chunks means the same however it is cut, ends where it ends, and holds what a simpler
/// reading finds in it.
pub fn chunks(bytes: &[u8]) {
    let Some((&size, text)) = bytes.split_first() else {
        return;
    };
    let mut chunks = Chunks::new();
    let (mut body, mut len) = (Vec::new(), 0);
    for piece in text.chunks(usize::from(size) + 1) {
        len += take(&mut chunks, piece, &mut body);
    }
    let mut whole = Chunks::new();
    assert_eq!((whole.pass(text), &whole), (len, &chunks));
    if whole.is_done() {
        assert_eq!(simply(&text[..len]), Some(body));
    }
    if whole.is_done() || whole.fault().is_some() {
        assert_eq!(chunks.pass(b"0\r\n\r\n"), 0);
    }
}

/// Takes what it can of `piece`.
fn take(chunks: &mut Chunks, piece: &[u8], body: &mut Vec<u8>) -> usize {
    let mut at = 0;
    loop {
        let before = at;
        at += chunks.framing(&piece[at..]);
        let data = chunks.data(&piece[at..]);
        body.extend_from_slice(&piece[at..at + data]);
        at += data;
        if at == before {
            return at;
        }
    }
}

/// The body of a whole message, read line by line.
fn simply(mut text: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = text.windows(2).position(|two| two == b"\r\n")?;
        let (line, rest) = (&text[..end], &text[end + 2..]);
        let digits = line.split(|byte| b"; \t".contains(byte)).next()?;
        let size = usize::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
        if size == 0 {
            return (rest == b"\r\n" || rest.ends_with(b"\r\n\r\n")).then_some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        text = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

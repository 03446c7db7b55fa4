//! What the fuzz targets call: each takes any bytes and panics if a rule of this module is broken.

use super::{CloseBody, Header, Utf8Check};

/// A header that parses is the encoding of what it means.
pub fn header(bytes: &[u8]) {
    if let Ok(Some(header)) = Header::parse(bytes) {
        assert_eq!(&*header.encode(), &bytes[..header.header_len]);
    }
}

/// The body of a Close frame is read or refused.
pub fn close(bytes: &[u8]) {
    if let Ok(body) = CloseBody::parse(bytes) {
        assert!(body.reason.len() + 2 <= bytes.len() || bytes.is_empty());
    }
}

/// The first byte says how the rest is split; the verdict is that of the standard library.
pub fn utf8(bytes: &[u8]) {
    let Some((&split, text)) = bytes.split_first() else {
        return;
    };
    let mut check = Utf8Check::default();
    let pieces = text.chunks(usize::from(split) + 1);
    let valid = pieces
        .map(|piece| check.push(piece))
        .all(|verdict| verdict.is_ok())
        && check.finish().is_ok();
    assert_eq!(valid, std::str::from_utf8(text).is_ok());
}

//! A TLS ClientHello by hand (RFC 5246 §7.4.1.2): of versions that no library speaks any more, for
//! names that no library sends.

/// An alert before any encryption: level and description.
pub type Alert = [u8; 2];

/// Fatal alerts (RFC 8446 §6).
pub const PROTOCOL_VERSION: Alert = [2, 70];
pub const UNRECOGNIZED_NAME: Alert = [2, 112];

/// A hello whose newest version is `minor`: 0 is SSL 3.0, 1 is TLS 1.0, 3 is TLS 1.2. It asks for
/// `name`, whatever bytes that is.
pub fn client_hello(minor: u8, name: &[u8]) -> Vec<u8> {
    let suites: &[u16] = &[0xc02b, 0xc02f, 0xc009, 0xc013, 0x002f];
    let suites: Vec<u8> = suites
        .iter()
        .flat_map(|suite| suite.to_be_bytes())
        .collect();
    let extensions = [
        extension(0, &vector(&[&[0][..], &vector(name)].concat())),
        // Groups, point formats, signatures, extended master secret.
        extension(10, &vector(&[0, 29, 0, 23])),
        extension(11, &[1, 0]),
        extension(13, &vector(&[4, 3, 8, 4, 4, 1, 2, 1])),
        extension(23, &[]),
    ]
    .concat();
    let body = [
        &[3, minor][..],
        &[7; 32],
        &[0],
        &vector(&suites),
        &[1, 0],
        &vector(&extensions),
    ]
    .concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let message = [&[1][..], &length[1..], &body].concat();
    record(22, 1.min(minor), &message)
}

/// The alert in `bytes`, which must be nothing else.
pub fn alert(bytes: &[u8]) -> Alert {
    match bytes {
        [21, 3, _, 0, 2, level, description] => [*level, *description],
        _ => panic!("no alert: {}", bytes.escape_ascii()),
    }
}

fn record(kind: u8, minor: u8, payload: &[u8]) -> Vec<u8> {
    [&[kind, 3, minor][..], &vector(payload)].concat()
}

fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &vector(data)].concat()
}

/// Behind its length in two bytes.
fn vector(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    [&length.to_be_bytes()[..], data].concat()
}

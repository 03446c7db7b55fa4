//! What the fuzz target and the property tests call.

use super::header::{Progress, Version, decode};

/// Any bytes. However many of them are there, a verdict that is given once stays; and what was told
/// can be told on.
pub fn proxy_header(bytes: &[u8]) {
    let whole = decode(bytes);
    let judged = match &whole {
        Ok(Progress::Whole { len, .. }) => *len,
        _ => bytes.len(),
    };
    assert!(judged <= bytes.len());
    for end in 0..judged {
        match (decode(&bytes[..end]), &whole) {
            (Ok(Progress::Part { least }), _) => assert!(least.is_none_or(|least| least > end)),
            (Err(part), Err(whole)) => assert_eq!(part.to_string(), whole.to_string()),
            (part, whole) => panic!("{part:?} at {end} of {whole:?}"),
        }
    }
    let Ok(Progress::Whole { proxied, .. }) = whole else {
        return;
    };
    for version in [Version::V1, Version::V2] {
        let header = version.encode(proxied.endpoints);
        match decode(&header) {
            Ok(Progress::Whole { len, proxied: told }) => {
                assert_eq!((len, told.endpoints), (header.len(), proxied.endpoints));
            }
            other => panic!("{other:?}"),
        }
    }
}

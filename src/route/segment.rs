//! Segments of a path, and when two are the same: parameters behind `;` don't count, and neither
//! does it whether a character is percent-encoded, because the server behind takes both alike.

use std::cmp::Ordering;

/// Segments of `path` from its first slash on: `/a/b` has two, `/a/` has `a` and an empty one, `/`
/// has one that is empty, and the empty path has none.
pub(super) fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/')
        .map(|path| path.split('/'))
        .into_iter()
        .flatten()
}

/// `segment` as it is compared; allocates nothing.
pub(super) fn decoded(segment: &str) -> impl Iterator<Item = u8> {
    let mut rest = name(segment).as_bytes();
    std::iter::from_fn(move || {
        let (&byte, behind) = rest.split_first()?;
        let (byte, behind) = match byte {
            b'%' => escape(behind).unwrap_or((byte, behind)),
            _ => (byte, behind),
        };
        rest = behind;
        Some(byte)
    })
}

/// Compares the `known` bytes of a decoded segment with a segment of a request.
pub(super) fn compare(known: &[u8], segment: &str) -> Ordering {
    if segment.contains('%') {
        known.iter().copied().cmp(decoded(segment))
    } else {
        known.cmp(name(segment).as_bytes())
    }
}

/// Without `;params`.
fn name(segment: &str) -> &str {
    segment.split(';').next().unwrap_or_default()
}

/// The byte of an escape whose `%` was read, and what comes behind its digits.
fn escape(digits: &[u8]) -> Option<(u8, &[u8])> {
    let (&[high, low], behind) = digits.split_first_chunk()?;
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
    Some((byte, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cut_at_slashes() {
        for (path, expected) in [
            ("", &[][..]),
            ("/", &[""]),
            ("/a", &["a"]),
            ("/a/", &["a", ""]),
            ("/a/b;v=1/c", &["a", "b;v=1", "c"]),
        ] {
            assert_eq!(segments(path).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn spellings_of_a_segment_are_equal() {
        for (one, other, expected) in [
            ("chat", "chat", true),
            ("chat", "ch%61t", true),
            ("chat", "chat;v=1;w", true),
            ("café", "caf%C3%A9", true),
            ("caf%c3%a9", "caf%C3%A9", true),
            ("chat", "Chat", false),
            ("chat", "chatter", false),
            ("chat", "cha", false),
            ("", ";x", true),
            ("a%", "a%", true),
            ("a%2", "a%2", true),
        ] {
            let known: Vec<u8> = decoded(one).collect();
            let found = compare(&known, other) == Ordering::Equal;
            assert_eq!(found, expected, "{one} {other}");
        }
    }
}

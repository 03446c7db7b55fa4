//! Tokens and comma-separated lists (RFC 9110 §5.6), as bytes: header values need not be text.

use http::HeaderMap;
use http::header::HeaderName;

/// Whether `byte` may stand in a token.
pub(super) fn is_tchar(byte: u8) -> bool {
    TCHARS[byte as usize]
}

const TCHARS: [bool; 256] = {
    let signs = b"!#$%&'*+-.^_`|~";
    let mut allowed = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        allowed[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut sign = 0;
    while sign < signs.len() {
        allowed[signs[sign] as usize] = true;
        sign += 1;
    }
    allowed
};

/// Whether all of `bytes` is one token.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_tchar(byte))
}

/// Elements of the list `name` over all its lines in order, without the white space around them.
/// Empty elements are given too; a header that is absent has none.
pub(super) fn elements<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    headers
        .get_all(name)
        .into_iter()
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b','))
        .map(trim)
}

/// Whether the list `name` has `token`, in any case.
pub(super) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    elements(headers, name).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
}

/// Without leading and trailing optional white space, which is spaces and tabs alone.
pub(super) fn trim(bytes: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let start = bytes.iter().position(is_text).unwrap_or(bytes.len());
    let end = bytes
        .iter()
        .rposition(is_text)
        .map_or(start, |last| last + 1);
    &bytes[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::CONNECTION;

    fn connection(lines: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for &line in lines {
            headers.append(CONNECTION, line.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_list_may_span_lines_and_cases() {
        for (lines, expected) in [
            (&["Upgrade"][..], true),
            (&["keep-alive, Upgrade"], true),
            (&["keep-alive", "UPGRADE"], true),
            (&["keep-alive ,\tuPgRaDe , x"], true),
            (&["close"], false),
            (&["upgraded", "up grade", ""], false),
            (&[], false),
        ] {
            let found = has_token(&connection(lines), &CONNECTION, "upgrade");
            assert_eq!(found, expected, "{lines:?}");
        }
    }

    #[test]
    fn empty_elements_are_seen() {
        let headers = connection(&[", a,", ""]);
        let found: Vec<&[u8]> = elements(&headers, &CONNECTION).collect();
        assert_eq!(found, [&b""[..], b"a", b"", b""]);
    }

    #[test]
    fn white_space_alone_trims_to_nothing() {
        assert_eq!(trim(b" \t "), b"");
        assert_eq!(trim(b"\t a b "), b"a b");
    }
}

//! Lists read from the right (RFC 9110 §5.6.1): over all lines of a header, the last entry first.

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

/// Entries between commas; `None` for one that is no text. What a client wrote before those of the
/// proxies, in the same line or not, does not make them unreadable.
pub(super) fn entries<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = Option<&'a str>> + use<'a> {
    split(headers, name, |line| {
        line.iter().rposition(|&byte| byte == b',')
    })
}

/// The same where entries may hold quoted strings, and these may hold commas.
pub(super) fn elements<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = Option<&'a str>> + use<'a> {
    split(headers, name, last_bare_comma)
}

fn split<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    last_comma: fn(&[u8]) -> Option<usize>,
) -> impl Iterator<Item = Option<&'a str>> + use<'a> {
    let lines: Vec<&HeaderValue> = headers.get_all(name).iter().collect();
    lines.into_iter().rev().flat_map(move |line| {
        let mut rest = Some(line.as_bytes());
        std::iter::from_fn(move || {
            let line = rest.take()?;
            let mut entry = line;
            if let Some(at) = last_comma(line) {
                rest = Some(&line[..at]);
                entry = &line[at + 1..];
            }
            Some(text(entry))
        })
    })
}

/// Without the blanks around it, if it is ASCII.
fn text(entry: &[u8]) -> Option<&str> {
    let text = str::from_utf8(entry).ok().filter(|text| text.is_ascii())?;
    Some(text.trim_matches([' ', '\t']))
}

/// The last comma outside of quotes. From the right, since what a proxy appended is well formed,
/// whatever quotes a client has opened before it.
fn last_bare_comma(bytes: &[u8]) -> Option<usize> {
    let mut is_quoted = false;
    for (at, &byte) in bytes.iter().enumerate().rev() {
        match byte {
            b'"' if !is_quoted => is_quoted = true,
            b'"' if !is_escaped(&bytes[..at]) => is_quoted = false,
            b',' if !is_quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// Whether a backslash that counts stands right behind `before`.
fn is_escaped(before: &[u8]) -> bool {
    let backslashes = before.iter().rev().take_while(|&&byte| byte == b'\\');
    backslashes.count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::FORWARDED;

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            let value = HeaderValue::from_bytes(line.as_bytes()).unwrap();
            headers.append(FORWARDED, value);
        }
        headers
    }

    #[test]
    fn the_last_entry_of_the_last_line_comes_first() {
        let headers = headers(&["a, b", "", "c ,\td"]);
        let found: Vec<_> = entries(&headers, &FORWARDED).collect();
        let expected = ["d", "c", "", "b", "a"].map(Some);
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_no_text_is_no_entry_and_hides_no_other() {
        let headers = headers(&["a", "\u{e9}, b", "c, \u{e9}"]);
        for found in [
            entries(&headers, &FORWARDED).collect::<Vec<_>>(),
            elements(&headers, &FORWARDED).collect(),
        ] {
            assert_eq!(found, [None, Some("c"), Some("b"), None, Some("a")]);
        }
    }

    #[test]
    fn commas_in_quotes_part_nothing() {
        for (line, expected) in [
            ("a, b", &["b", "a"][..]),
            ("\"a, b\", c", &["c", "\"a, b\""]),
            ("x=\"a, b\"", &["x=\"a, b\""]),
            (r#""a\", b", c"#, &["c", r#""a\", b""#]),
            (r#""a\\", c"#, &["c", r#""a\\""#]),
            // Opened by a client, and never closed.
            ("\", a", &["a", "\""]),
            ("x=\", a;y=\"z\"", &["a;y=\"z\"", "x=\""]),
            ("\"a, \", b", &["b", "\"a, \""]),
        ] {
            let headers = headers(&[line]);
            let found: Vec<_> = elements(&headers, &FORWARDED).flatten().collect();
            assert_eq!(found, expected, "{line}");
        }
    }
}

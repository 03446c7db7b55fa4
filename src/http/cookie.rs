//! One cookie of a request: read it, or take it out and leave every other byte as it was
//! (RFC 6265 §5.4; several `Cookie` lines are one list, as HTTP/2 splits them).

use http::header::{COOKIE, HeaderMap, HeaderValue};

/// The value of the first cookie of that name, without the quotes that may stand around it.
pub fn read<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .find_map(|pair| value_of(pair, name))
}

/// Takes every cookie of that name out; a line with nothing else in it goes too.
pub fn take_out(headers: &mut HeaderMap, name: &str) {
    if read(headers, name).is_none() {
        return;
    }
    let lines: Vec<HeaderValue> = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| without(line.as_bytes(), name))
        .collect();
    headers.remove(COOKIE);
    for line in lines {
        headers.append(COOKIE, line);
    }
}

fn without(line: &[u8], name: &str) -> Option<HeaderValue> {
    let pairs = line.split(|byte| *byte == b';');
    let kept: Vec<&[u8]> = pairs
        .filter(|pair| value_of(pair, name).is_none())
        .collect();
    let rest = kept.join(&b';');
    // What follows a cookie that stood first begins with the space between them.
    let rest = if value_of(line.split(|byte| *byte == b';').next()?, name).is_some() {
        rest.trim_ascii_start()
    } else {
        &rest
    };
    if rest.is_empty() {
        return None;
    }
    HeaderValue::from_bytes(rest).ok()
}

fn value_of<'h>(pair: &'h [u8], name: &str) -> Option<&'h [u8]> {
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    if pair[..equals].trim_ascii() != name.as_bytes() {
        return None;
    }
    let value = pair[equals + 1..].trim_ascii();
    let unquoted = value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""));
    Some(unquoted.unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        headers
    }

    fn lines(headers: &HeaderMap) -> Vec<&[u8]> {
        let lines = headers.get_all(COOKIE).iter();
        lines.map(HeaderValue::as_bytes).collect()
    }

    #[test]
    fn a_cookie_is_read() {
        for (lines, value) in [
            (&["key=S"][..], Some("S")),
            (&["a=1; key=S; b=2"], Some("S")),
            (&["a=1;key = S"], Some("S")),
            (&["a=1", "b=2; key=S"], Some("S")),
            (&["key=\"S\""], Some("S")),
            (&["key=a=b=="], Some("a=b==")),
            (&["key="], Some("")),
            (&["key"], None),
            (&["KEY=S; key2=S; a=key=S"], None),
            (&[], None),
        ] {
            let headers = cookies(lines);
            let read = read(&headers, "key");
            assert_eq!(read, value.map(str::as_bytes), "{lines:?}");
        }
    }

    #[test]
    fn only_that_cookie_is_taken_out() {
        for (before, after) in [
            (&["a=1; key=SECRET; b=2"][..], &["a=1; b=2"][..]),
            (&["key=SECRET; b=2;  c=\"x y\""], &["b=2;  c=\"x y\""]),
            (&["a=1; key=SECRET"], &["a=1"]),
            (&["a=1;key=SECRET;b=2"], &["a=1;b=2"]),
            (&["a=1", "key=SECRET", "b=zoë"], &["a=1", "b=zoë"]),
            (&["key=ONE; a=1; key=TWO", "key=THREE; b"], &["a=1", "b"]),
            (&["key=SECRET; "], &[]),
            (&["key=SECRET"], &[]),
            (&["  a=1 ; keys=2;; "], &["  a=1 ; keys=2;; "]),
        ] {
            let mut headers = cookies(before);
            take_out(&mut headers, "key");
            let after: Vec<&[u8]> = after.iter().map(|line| line.as_bytes()).collect();
            assert_eq!(lines(&headers), after, "{before:?}");
        }
    }
}

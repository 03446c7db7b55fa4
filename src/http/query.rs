//! One parameter of a query string: read it, or take it out and leave every other byte as it was.
//!
//! Names are compared as forms decode them (`%6bey` and `key` are one name), because that is how
//! the server behind would find them. In values `+` stays itself: keys are often Base64, and
//! clients that encode by the book write `%2B` for it.

use std::borrow::Cow;

/// The decoded value of the first parameter of that name.
pub fn read<'q>(query: &'q str, name: &str) -> Option<Cow<'q, [u8]>> {
    let parameter = query.split('&').find(|one| has_name(one, name))?;
    let value = parameter.split_once('=').map_or("", |(_, value)| value);
    Some(percent_decode(value.as_bytes()))
}

/// The query without any parameter of that name; `None` if nothing else was in it.
pub fn without(query: &str, name: &str) -> Option<String> {
    let rest: Vec<&str> = query
        .split('&')
        .filter(|one| !has_name(one, name))
        .collect();
    (!rest.is_empty()).then(|| rest.join("&"))
}

fn has_name(parameter: &str, name: &str) -> bool {
    let written = parameter
        .split_once('=')
        .map_or(parameter, |(name, _)| name)
        .replace('+', " ");
    *percent_decode(written.as_bytes()) == *name.as_bytes()
}

/// RFC 3986 §2.1; a `%` that starts no octet stands for itself.
fn percent_decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        match octet(rest) {
            Some(byte) => {
                decoded.push(byte);
                rest = &rest[3..];
            }
            None => {
                decoded.push(*first);
                rest = tail;
            }
        }
    }
    Cow::Owned(decoded)
}

fn octet(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_read() {
        for (query, value) in [
            ("key=S", Some("S")),
            ("a=1&key=S&b=2", Some("S")),
            ("%6bey=S", Some("S")),
            ("key=a%2Bb%3d", Some("a+b=")),
            ("key=a+b==", Some("a+b==")),
            ("key=%zz%4", Some("%zz%4")),
            ("key=1&key=2", Some("1")),
            ("key", Some("")),
            ("key=", Some("")),
            ("", None),
            ("KEY=S", None),
            ("mykey=S", None),
            ("key2=S", None),
            ("a=key=S", None),
        ] {
            let read = read(query, "key");
            assert_eq!(read.as_deref(), value.map(str::as_bytes), "{query}");
        }
    }

    #[test]
    fn only_that_parameter_is_taken_out() {
        for (query, rest) in [
            ("a=1&key=SECRET&b=2", Some("a=1&b=2")),
            ("key=SECRET&b=%7e+&&c", Some("b=%7e+&&c")),
            ("a=1&key=SECRET", Some("a=1")),
            ("a=1&%6Bey=SECRET&b", Some("a=1&b")),
            ("key=ONE&a=1&key=TWO&key", Some("a=1")),
            ("key=SECRET&", Some("")),
            ("a=%zz&keys=1&KEY=2", Some("a=%zz&keys=1&KEY=2")),
            ("key=SECRET", None),
        ] {
            assert_eq!(without(query, "key").as_deref(), rest, "{query}");
        }
    }

    #[test]
    fn a_name_may_hold_a_space() {
        assert_eq!(read("my+key=S", "my key").as_deref(), Some(&b"S"[..]));
        assert_eq!(without("my%20key=S&a", "my key").as_deref(), Some("a"));
    }
}

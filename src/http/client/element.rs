//! One element of `Forwarded`: what one proxy tells of the request that it got (RFC 7239 §4).

use std::borrow::Cow;

/// What of it matters here. `by` and extensions are read over.
#[derive(Debug, PartialEq, Eq, Default)]
pub(super) struct Element<'a> {
    /// `for`
    pub(super) client: Option<Cow<'a, str>>,
    pub(super) proto: Option<Cow<'a, str>>,
    pub(super) host: Option<Cow<'a, str>>,
}

impl<'a> Element<'a> {
    /// `None` if it breaks the grammar, or says anything twice. White space around pairs and bare
    /// values that should be quoted are taken as they are meant: proxies write them.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let mut element = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            let (name, behind) = rest.split_once('=')?;
            let (value, behind) = value(behind)?;
            let name = name.trim_matches(BLANKS);
            let place = match () {
                () if name.eq_ignore_ascii_case("for") => Some(&mut element.client),
                () if name.eq_ignore_ascii_case("proto") => Some(&mut element.proto),
                () if name.eq_ignore_ascii_case("host") => Some(&mut element.host),
                () if is_name(name) => None,
                () => return None,
            };
            if place.is_some_and(|place| place.replace(value).is_some()) {
                return None;
            }
            rest = next_pair(behind)?;
        }
        Some(element)
    }
}

/// The value at the start, and what follows it.
fn value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let Some(inner) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        let (value, behind) = text.split_at(end);
        let value = value.trim_matches(BLANKS);
        return (!value.contains(['"', ' ', '\t'])).then_some((value.into(), behind));
    };
    let mut unescaped = String::new();
    let mut characters = inner.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' if unescaped.len() == at => return Some((inner[..at].into(), &inner[at + 1..])),
            '"' => return Some((unescaped.into(), &inner[at + 1..])),
            '\\' => unescaped.push(characters.next()?.1),
            other => unescaped.push(other),
        }
    }
    None
}

/// What follows the semicolon, if anything does.
fn next_pair(behind: &str) -> Option<&str> {
    let behind = behind.trim_start_matches(BLANKS);
    match behind.strip_prefix(';') {
        Some(pair) => Some(pair.trim_start_matches(BLANKS)),
        None => behind.is_empty().then_some(""),
    }
}

fn is_name(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !name.is_empty() && name.bytes().all(is_inner)
}

const BLANKS: [char; 2] = [' ', '\t'];

#[cfg(test)]
mod tests {
    use super::*;

    fn element(text: &str) -> Option<[String; 3]> {
        let Element {
            client,
            proto,
            host,
        } = Element::parse(text)?;
        Some([client, proto, host].map(|part| part.unwrap_or_default().into_owned()))
    }

    #[test]
    fn pairs_are_read_in_any_order_and_case() {
        for (text, expected) in [
            ("for=192.0.2.7", ["192.0.2.7", "", ""]),
            (
                "FOR=192.0.2.7;Proto=https;hOST=a.example",
                ["192.0.2.7", "https", "a.example"],
            ),
            (
                "host=\"a.example:8443\"; by=10.0.0.1 ; for=\"[2001:db8::7]:4711\"",
                ["[2001:db8::7]:4711", "", "a.example:8443"],
            ),
            ("for=192.0.2.7:80;", ["192.0.2.7:80", "", ""]),
            (r#"for="\_a\"b\\";secret=1"#, [r#"_a"b\"#, "", ""]),
            ("proto=https", ["", "https", ""]),
            ("for=", ["", "", ""]),
            ("", ["", "", ""]),
        ] {
            assert_eq!(element(text), Some(expected.map(str::to_owned)), "{text}");
        }
    }

    #[test]
    fn what_stands_in_quotes_is_no_pair() {
        let text = r#"host="a;for=203.0.113.9;x=";for=192.0.2.7"#;
        let expected = ["192.0.2.7", "", "a;for=203.0.113.9;x="];
        assert_eq!(element(text), Some(expected.map(str::to_owned)));
    }

    #[test]
    fn what_breaks_the_grammar_or_contradicts_itself_is_nothing() {
        for text in [
            "for",
            "192.0.2.7",
            "=192.0.2.7",
            "for=192.0.2.7;for=192.0.2.8",
            "for=192.0.2.7;proto=http;PROTO=https",
            "for=\"192.0.2.7",
            "for=\"192.0.2.7\"x",
            "for=192.0.2.7\"",
            "for=192.0.2.7 proto=https",
            "a b=c",
            r#"for="192.0.2.7\"#,
        ] {
            assert_eq!(element(text), None, "{text}");
        }
    }
}

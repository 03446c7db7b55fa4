//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455 §9.1); what an extension means is elsewhere.

use super::token::is_tchar;
use http::HeaderMap;
use http::header::SEC_WEBSOCKET_EXTENSIONS;
use std::borrow::Cow;

/// One element of the list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Extension<'a> {
    pub(super) name: &'a str,
    pub(super) params: Vec<Param<'a>>,
}

/// One parameter of an extension; the value without its quotes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Param<'a> {
    pub(super) name: &'a str,
    pub(super) value: Option<Cow<'a, str>>,
}

/// The list does not follow the grammar, or is longer than any honest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// All extensions that `headers` name, over all lines in order.
pub(super) fn extensions(headers: &HeaderMap) -> Result<Vec<Extension<'_>>, Malformed> {
    let mut found = Vec::new();
    for line in headers.get_all(SEC_WEBSOCKET_EXTENSIONS) {
        parse_line(line.to_str().map_err(|_| Malformed)?, &mut found)?;
    }
    Ok(found)
}

/// Reads one line, `a; x=1; y, b`, behind what was `found` before.
pub(super) fn parse_line<'a>(
    line: &'a str,
    found: &mut Vec<Extension<'a>>,
) -> Result<(), Malformed> {
    let mut cursor = Cursor { rest: line };
    loop {
        if found.len() == EXTENSIONS_MAX {
            return Err(Malformed);
        }
        found.push(cursor.extension()?);
        if cursor.rest.is_empty() {
            return Ok(());
        }
        cursor.expect(',')?;
    }
}

/// Goes through a line once, from left to right.
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn extension(&mut self) -> Result<Extension<'a>, Malformed> {
        self.skip_space();
        let name = self.token()?;
        let mut params = Vec::new();
        self.skip_space();
        while self.eat(';') {
            self.skip_space();
            params.push(self.param()?);
            self.skip_space();
        }
        Ok(Extension { name, params })
    }

    fn param(&mut self) -> Result<Param<'a>, Malformed> {
        let name = self.token()?;
        self.skip_space();
        if !self.eat('=') {
            return Ok(Param { name, value: None });
        }
        self.skip_space();
        let value = if self.eat('"') {
            self.quoted()?
        } else {
            Cow::Borrowed(self.token()?)
        };
        let value = Some(value);
        Ok(Param { name, value })
    }

    fn token(&mut self) -> Result<&'a str, Malformed> {
        let is_end = |c: char| !u8::try_from(c).is_ok_and(is_tchar);
        let end = self.rest.find(is_end).unwrap_or(self.rest.len());
        if end == 0 {
            return Err(Malformed);
        }
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(token)
    }

    /// The rest of a quoted string whose opening quote was read. Inside must be a token too.
    fn quoted(&mut self) -> Result<Cow<'a, str>, Malformed> {
        let mut value = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((index, c)) = chars.next() {
            let c = match c {
                '"' if value.is_empty() => return Err(Malformed),
                '"' => {
                    self.rest = &self.rest[index + 1..];
                    return Ok(Cow::Owned(value));
                }
                '\\' => chars.next().ok_or(Malformed)?.1,
                _ => c,
            };
            if !u8::try_from(c).is_ok_and(is_tchar) {
                return Err(Malformed);
            }
            value.push(c);
        }
        Err(Malformed)
    }

    fn eat(&mut self, wanted: char) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, wanted: char) -> Result<(), Malformed> {
        if self.eat(wanted) {
            Ok(())
        } else {
            Err(Malformed)
        }
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }
}

/// Extensions in one offer at most. Browsers send one or two.
const EXTENSIONS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(line: &str) -> Result<String, Malformed> {
        let mut found = Vec::new();
        parse_line(line, &mut found)?;
        let shown = found.iter().map(|extension| {
            let params = extension.params.iter().map(|param| match &param.value {
                Some(value) => format!(";{}={value}", param.name),
                None => format!(";{}", param.name),
            });
            extension.name.to_owned() + &params.collect::<String>()
        });
        Ok(shown.collect::<Vec<_>>().join(","))
    }

    #[test]
    fn lists_follow_the_grammar() {
        for (line, expected) in [
            ("foo", "foo"),
            (
                " permessage-deflate ; client_max_window_bits ",
                "permessage-deflate;client_max_window_bits",
            ),
            ("a; x=1; y,b;z=\"10\"", "a;x=1;y,b;z=10"),
            ("a;x=\"1\\0\"\t, b", "a;x=10,b"),
            ("a;x = 1", "a;x=1"),
            ("foo, foo; x, foo", "foo,foo;x,foo"),
        ] {
            assert_eq!(shown(line).as_deref(), Ok(expected), "{line}");
        }
    }

    #[test]
    fn what_is_no_list_is_malformed() {
        let long = ["x"; EXTENSIONS_MAX + 1].join(",");
        for line in [
            "",
            " ",
            ",",
            "a,",
            ",a",
            "a,,b",
            "a;",
            "a;;x",
            "a;x=",
            "a;x=,b",
            "a b",
            "a;x=\"",
            "a;x=\"\"",
            "a;x=\"1\\",
            "a;x=\"1 0\"",
            "a;x=\"1,0\"",
            "a;x=1\"",
            "a;=1",
            "(a)",
            "ä",
            "a;x=\"ä\"",
            long.as_str(),
        ] {
            assert_eq!(shown(line), Err(Malformed), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "[a;=,\"\\\\ \t1ä]{0,40}") {
            let _ = shown(&line);
        }

        #[test]
        fn what_was_read_reads_the_same_again(line in "[ab]{1,3}(; ?[xy](=(1|\"2\"))?){0,3}(, ?c(;z)?){0,3}") {
            let once = shown(&line).unwrap();
            prop_assert_eq!(shown(&once), Ok(once));
        }
    }
}

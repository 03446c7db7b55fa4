//! Which request paths are taken at all.
//!
//! A path is matched and then forwarded byte for byte, so whatever an upstream could read as
//! another path than the one that was matched is refused: dot segments, encoded or doubly encoded
//! separators and dots, empty segments, controls, text that is not UTF-8.

use std::str;
use thiserror::Error;

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PathError {
    /// `*`, an authority, nothing.
    #[error("the path does not start with `/`")]
    NotAbsolute,
    /// `.` and `..`, also with `;params` behind them.
    #[error("the path has a dot segment")]
    DotSegment,
    /// `//`, also with `;params` in between.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// `\`, `#` or white space as they are.
    #[error("the path has a character that must not stand there")]
    Character,
    /// NUL, other controls and DEL, encoded or not.
    #[error("the path has a control character")]
    Control,
    /// `%2f`, `%5c`, `%2e`, and forms that become one of them when decoded twice.
    #[error("the path has an encoded slash, backslash or dot")]
    Encoded,
    /// `%` without two hexadecimal digits.
    #[error("the path has an invalid percent-encoding")]
    Percent,
    /// Overlong forms too.
    #[error("the path is not UTF-8")]
    Utf8,
}

/// Whether `path`, without query, is one that the gateway takes.
pub fn check_path(path: &str) -> Result<(), PathError> {
    let segments = path.strip_prefix('/').ok_or(PathError::NotAbsolute)?;
    check_characters(path.as_bytes())?;
    check_segments(segments)?;
    check_utf8(path)
}

fn check_characters(path: &[u8]) -> Result<(), PathError> {
    let mut rest = path;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = match byte {
            b'%' => check_escape(behind)?,
            b'\\' | b'#' | b'?' | b' ' => return Err(PathError::Character),
            _ if byte.is_ascii_control() => return Err(PathError::Control),
            _ => behind,
        };
    }
    Ok(())
}

/// Checks the escape whose `%` was before `digits`; gives what comes behind it.
fn check_escape(digits: &[u8]) -> Result<&[u8], PathError> {
    let (byte, behind) = decode(digits).ok_or(PathError::Percent)?;
    match byte {
        b'/' | b'\\' | b'.' => Err(PathError::Encoded),
        b'%' if hides_separator(behind) => Err(PathError::Encoded),
        _ if byte.is_ascii_control() => Err(PathError::Control),
        _ => Ok(behind),
    }
}

/// Whether what follows `%25` would be a forbidden escape for one who decodes it again, and again.
fn hides_separator(mut rest: &[u8]) -> bool {
    loop {
        match decode(rest) {
            Some((b'%', behind)) => rest = behind,
            Some((byte, _)) => {
                return matches!(byte, b'/' | b'\\' | b'.') || byte.is_ascii_control();
            }
            None => return false,
        }
    }
}

/// The byte that two hexadecimal digits stand for, and what comes behind them.
fn decode(digits: &[u8]) -> Option<(u8, &[u8])> {
    let (&[high, low], behind) = digits.split_first_chunk()?;
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
    Some((byte, behind))
}

/// `segments` is the path without its first slash.
fn check_segments(segments: &str) -> Result<(), PathError> {
    let mut rest = Some(segments);
    while let Some(text) = rest {
        let (segment, behind) = match text.split_once('/') {
            Some((segment, behind)) => (segment, Some(behind)),
            None => (text, None),
        };
        // `/..;x` and `/;x/` are dot and empty segments for those who take parameters off.
        let name = segment.split(';').next().unwrap_or_default();
        match name {
            "." | ".." => return Err(PathError::DotSegment),
            "" if behind.is_some() => return Err(PathError::EmptySegment),
            _ => rest = behind,
        }
    }
    Ok(())
}

fn check_utf8(path: &str) -> Result<(), PathError> {
    if !path.contains('%') {
        return Ok(());
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let (byte, behind) = match byte {
            b'%' => decode(behind).ok_or(PathError::Percent)?,
            _ => (byte, behind),
        };
        decoded.push(byte);
        rest = behind;
    }
    str::from_utf8(&decoded).map_err(|_| PathError::Utf8)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn honest_paths_pass() {
        for path in [
            "/",
            "/chat",
            "/chat/",
            "/chat/room%201",
            "/caf%C3%A9",
            "/café",
            "/a;v=1/b;x=..",
            "/;jsessionid=1",
            "/a/;x",
            "/.well-known/x",
            "/a...b",
            "/...",
            "/a.",
            "/100%25",
            "/100%2541",
            "/~a/-_!$&'()*+,=:@",
            "/%7Euser",
            "/%E2%82%AC",
            "/socket.io/",
        ] {
            assert_eq!(check_path(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn paths_with_two_readings_are_refused() {
        use PathError::*;
        for (path, expected) in [
            ("", NotAbsolute),
            ("*", NotAbsolute),
            ("chat", NotAbsolute),
            ("/.", DotSegment),
            ("/..", DotSegment),
            ("/a/../b", DotSegment),
            ("/a/./b", DotSegment),
            ("/a/..;x=1/b", DotSegment),
            ("/a/.;/b", DotSegment),
            ("/a;a=b/..", DotSegment),
            ("//", EmptySegment),
            ("//a", EmptySegment),
            ("/a//b", EmptySegment),
            ("/a//", EmptySegment),
            ("/;x/a", EmptySegment),
            ("/a/;/b", EmptySegment),
            ("/a\\b", Character),
            ("/a#b", Character),
            ("/a b", Character),
            ("/a\0", Control),
            ("/a\x7f", Control),
            ("/a\t", Control),
            ("/a%00", Control),
            ("/a%0d%0a", Control),
            ("/a%1F", Control),
            ("/a%7f", Control),
            ("/a%2fb", Encoded),
            ("/a%2Fb", Encoded),
            ("/a%5cb", Encoded),
            ("/%2e%2e/b", Encoded),
            ("/.%2E/b", Encoded),
            ("/a%2Etxt", Encoded),
            ("/a%252fb", Encoded),
            ("/a%25252Fb", Encoded),
            ("/%252e%252e/b", Encoded),
            ("/a%255Cb", Encoded),
            ("/a%2500", Encoded),
            ("/a%", Percent),
            ("/a%2", Percent),
            ("/a%zz", Percent),
            ("/a%+1", Percent),
            ("/a%u002f", Percent),
            ("/%c0%ae%c0%ae/b", Utf8),
            ("/%c0%afb", Utf8),
            ("/%ff", Utf8),
            ("/%ed%a0%80", Utf8),
        ] {
            assert_eq!(check_path(path), Err(expected), "{path:?}");
        }
    }

    proptest! {
        #[test]
        fn no_path_panics(path in "/?[a./%;\\\\0-9\\PC]{0,40}") {
            let _ = check_path(&path);
        }

        #[test]
        fn what_passes_has_one_reading(path in "(/|%|2|5|e|f|c|\\.|;|a|0){0,24}") {
            if check_path(&path).is_ok() {
                let mut text = path;
                // However often an upstream decodes, no separator and no dot comes to light.
                for _ in 0..12 {
                    let dots = text.matches('.').count();
                    let slashes = text.matches('/').count();
                    text = decode_once(&text);
                    prop_assert_eq!(text.matches('.').count(), dots);
                    prop_assert_eq!(text.matches('/').count(), slashes);
                    prop_assert!(!text.contains('\\') && !text.contains('\0'));
                    prop_assert!(!text.split('/').any(|segment| segment == ".."));
                }
            }
        }
    }

    fn decode_once(text: &str) -> String {
        let mut decoded = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((&byte, behind)) = rest.split_first() {
            let escape = if byte == b'%' { decode(behind) } else { None };
            let (byte, behind) = escape.unwrap_or((byte, behind));
            decoded.push(byte);
            rest = behind;
        }
        String::from_utf8_lossy(&decoded).into_owned()
    }
}

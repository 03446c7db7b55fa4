//! What becomes of a path on its way to the upstream: whole segments off the front, others put
//! before. The rest stays as the client sent it, byte for byte; the query is not touched at all.

use super::segment::{compare, decoded, segments};
use std::cmp::Ordering;

/// `strip_prefix` and `add_prefix` of a route.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rewrite {
    /// Without a trailing slash (`/chat`).
    pub strip_prefix: Option<String>,
    /// Without a trailing slash.
    pub add_prefix: Option<String>,
}

/// A path as the upstream gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// At least `/`.
    pub path: String,
    /// What was taken off, as configured.
    pub prefix: Option<String>,
}

impl Rewrite {
    /// Rewrites `path`. One that does not begin with the segments of `strip_prefix` keeps them.
    pub fn apply(&self, path: &str) -> Rewritten {
        let stripped = self
            .strip_prefix
            .as_deref()
            .and_then(|prefix| strip(prefix, path));
        let added = self.add_prefix.as_deref().unwrap_or_default();
        let path = [added, stripped.unwrap_or(path)].concat();
        Rewritten {
            path: if path.is_empty() {
                "/".to_owned()
            } else {
                path
            },
            prefix: self.strip_prefix.clone().filter(|_| stripped.is_some()),
        }
    }
}

/// What is left of `path` behind the segments of `prefix`: nothing, or from a slash on.
fn strip<'a>(prefix: &str, path: &'a str) -> Option<&'a str> {
    let mut rest = path;
    for wanted in segments(prefix) {
        let behind_slash = rest.strip_prefix('/')?;
        let end = behind_slash.find('/').unwrap_or(behind_slash.len());
        let (segment, behind) = behind_slash.split_at(end);
        let wanted: Vec<u8> = decoded(wanted).collect();
        if compare(&wanted, segment) != Ordering::Equal {
            return None;
        }
        rest = behind;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_whole_segments() {
        for (strip_prefix, add_prefix, path, expected, is_stripped) in [
            ("", "", "/chat/room", "/chat/room", false),
            ("/chat", "", "/chat/room", "/room", true),
            ("/chat", "", "/chat/", "/", true),
            ("/chat", "", "/chat", "/", true),
            ("/chat", "", "/chatter", "/chatter", false),
            ("/chat", "", "/Chat/room", "/Chat/room", false),
            ("/chat", "", "/", "/", false),
            ("/chat", "", "/chat;v=1/room;w=2", "/room;w=2", true),
            ("/chat", "", "/ch%61t/r%6fom", "/r%6fom", true),
            ("/a/b", "", "/a/b/c/", "/c/", true),
            ("/a/b", "", "/a", "/a", false),
            ("/a/b", "", "/a/", "/a/", false),
            ("", "/v1", "/chat", "/v1/chat", false),
            ("", "/v1", "/", "/v1/", false),
            ("/chat", "/v1", "/chat/room", "/v1/room", true),
            ("/chat", "/v1", "/chat", "/v1", true),
            ("/chat", "/v1", "/chat/", "/v1/", true),
            ("/chat", "/v1", "/other", "/v1/other", false),
        ] {
            let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let rewrite = Rewrite {
                strip_prefix: given(strip_prefix),
                add_prefix: given(add_prefix),
            };
            let expected = Rewritten {
                path: expected.to_owned(),
                prefix: is_stripped.then(|| strip_prefix.to_owned()),
            };
            assert_eq!(rewrite.apply(path), expected, "{path}");
        }
    }
}

//! `kind = "api_key"`: keys under names.

use super::source::{CredentialSource, source};
use crate::config::Secret;
use crate::config::kind::{Kind, Shape, filled, named, parsed, salvage, secret, table};
use crate::config::problem::Problem;
use crate::config::reader::Node;
use crate::config::section::section;
use aws_lc_rs::digest;

section! {
    /// Keys for programs.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct ApiKeys at "`[auth.NAME]` of kind `api_key`" {
        /// The keys, each under the name of who it stands for.
        pub keys: Vec<ApiKey> = api_keys(), required;
        /// Where a key is looked for, in this order: `"header"` (`Authorization: Bearer`),
        /// `"header:NAME"`, `"cookie:NAME"`, `"query:NAME"` or `"subprotocol:PREFIX"`, as for kind
        /// `jwt`. What was used is taken out of the request before the upstream sees it.
        pub sources: Vec<CredentialSource> = filled(source()), or(["header:X-API-Key"]);
    }
    example r#"[auth.robots]
kind = "api_key"
sources = ["header:X-API-Key", "query:key"]

[auth.robots.keys]
build = { secret = { file = "build.key" } }
deploy = { sha256 = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae" }
"#
}

section! {
    /// One key. Exactly one of `sha256` and `secret`.
    struct ApiKeyKeys at "an entry of `keys`" {
        /// The SHA-256 of the key in hexadecimal, so that the file holds no secret
        /// (`printf %s "$KEY" | sha256sum`).
        sha256: Option<[u8; 32]> = parsed("64 hexadecimal digits", "^[0-9A-Fa-f]{64}$", sha256), optional;
        /// The key itself.
        secret: Option<Secret> = secret(), optional;
    }
}

/// A named key, known by its SHA-256 only.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Who it stands for.
    pub name: String,
    /// SHA-256 of the key (computed at load where the key itself was written).
    pub sha256: [u8; 32],
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKey")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

fn api_keys() -> ApiKeysKind {
    ApiKeysKind
}

struct ApiKeysKind;

impl Kind for ApiKeysKind {
    type Out = Vec<ApiKey>;

    fn read(&self, node: &Node<'_>) -> Option<Vec<ApiKey>> {
        // Whatever is wrong in here, what it quotes may be a key, under `sha256` too.
        node.hide_strings(&["file"]);
        let entries = named(salvage(table::<ApiKeyKeys>())).read(node)?;
        if entries.is_empty() {
            return node.refuse(Problem::new("`keys` is empty").help("name at least one key"));
        }
        let mut keys = Vec::new();
        for (name, entry) in entries {
            match entry.map(|entry| entry.sha256(&name.value)) {
                Some(Ok(sha256)) => keys.push(ApiKey {
                    name: name.value,
                    sha256,
                }),
                Some(Err(problem)) => node.source().log.add(problem.at(&name.place)),
                None => {}
            }
        }
        Some(keys)
    }

    fn shape(&self) -> Shape {
        named(table::<ApiKeyKeys>()).shape()
    }
}

impl ApiKeyKeys {
    fn sha256(self, name: &str) -> Result<[u8; 32], Problem> {
        match (self.sha256, self.secret) {
            (Some(sha256), None) => Ok(sha256),
            (None, Some(secret)) => Ok(sha256_of(secret.expose())),
            (Some(_), Some(_)) => Err(both(name)),
            (None, None) => Err(neither(name)),
        }
    }
}

fn both(name: &str) -> Problem {
    Problem::new(format!("the key `{name}` has both `sha256` and `secret`"))
        .help("keep `sha256`, so that the file holds no secret")
}

fn neither(name: &str) -> Problem {
    Problem::new(format!(
        "the key `{name}` has neither `sha256` nor `secret`"
    ))
    .help(format!("write `{name} = {{ sha256 = \"…\" }}`"))
}

pub(in crate::config) fn sha256_of(secret: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, secret.as_bytes()).as_ref());
    bytes
}

fn sha256(text: &str) -> Result<[u8; 32], Problem> {
    let mut bytes = [0; 32];
    let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digits = text.as_bytes().chunks(2).zip(&mut bytes);
    for (pair, byte) in digits.filter(|_| is_hex) {
        let pair = std::str::from_utf8(pair).unwrap_or_default();
        *byte = u8::from_str_radix(pair, 16).unwrap_or_default();
    }
    if is_hex {
        return Ok(bytes);
    }
    Err(Problem::new("this is not a SHA-256 in hexadecimal")
        .label(format!(
            "{} characters, expected 64 hexadecimal digits",
            text.chars().count()
        ))
        .help("`printf %s \"$KEY\" | sha256sum` prints it; a key itself is written as `secret`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_is_computed() {
        let written = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
        assert_eq!(sha256(written).ok(), Some(sha256_of("foo")));
        assert_eq!(sha256(&written.to_uppercase()).ok(), Some(sha256_of("foo")));
        for wrong in [
            "",
            "2c26",
            &format!("{written}00"),
            &written.replace('2', "g"),
            &"é".repeat(32),
        ] {
            assert_eq!(sha256(wrong).ok(), None, "{wrong}");
        }
    }
}

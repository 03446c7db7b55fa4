//! Password files as Apache and nginx read them: one `name:hash` a line, perhaps a further `:` and
//! a comment; blank lines and lines that begin with `#` don't count.
//!
//! A file is good as a whole or not at all: a line that cannot be used is an error with its number,
//! not a user who is locked out without a word.

use super::cost::{Cost, PasswordHashError};
use super::password::{PasswordHash, is_printable};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// More is no password file.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The users of one file and what their passwords are checked against.
#[derive(Debug, Clone)]
pub(super) struct Htpasswd {
    users: HashMap<Box<str>, User>,
    decoy: Arc<PasswordHash>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct User {
    hash: Arc<PasswordHash>,
    line: usize,
}

/// What a login is checked against: an unknown name gets a decoy, which must never admit.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) hash: Arc<PasswordHash>,
    pub(super) is_user: bool,
}

/// Why a password file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HtpasswdError {
    /// It is not there, or may not be read.
    #[error("password file `{}` cannot be read", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// One of its lines cannot be used.
    #[error("password file `{}`, line {line}", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, counted from 1.
        line: usize,
        /// What is wrong with it.
        source: LineError,
    },
}

/// What is wrong with a line of a password file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Bytes that are no text.
    #[error("not UTF-8")]
    NotUtf8,
    /// No `:`, or nothing before it.
    #[error("expected `name:hash`; make the line with `wsgate hash-password`")]
    NoName,
    /// A name that no browser can send.
    #[error("the name holds a control character")]
    ControlCharacter,
    /// Two hashes for one user.
    #[error("`{name}` is already on line {first}")]
    Twice {
        /// The name.
        name: String,
        /// Its first line.
        first: usize,
    },
    /// A hash that is weak, damaged or too dear.
    #[error("{problem} (user `{name}`); make it with `wsgate hash-password`")]
    Hash {
        /// Whose hash.
        name: String,
        /// What is wrong with it.
        problem: PasswordHashError,
    },
}

impl Htpasswd {
    /// Reads the whole file; blocks.
    pub(super) fn load(path: &Path) -> Result<Self, HtpasswdError> {
        let text = read(path).map_err(|source| HtpasswdError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text).map_err(|(line, source)| HtpasswdError::Line {
            path: path.to_owned(),
            line,
            source,
        })
    }

    fn parse(text: &[u8]) -> Result<Self, (usize, LineError)> {
        let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
        let mut users = HashMap::new();
        for (line, text) in (1..).zip(text.split(|byte| *byte == b'\n')) {
            add_line(&mut users, line, text).map_err(|error| (line, error))?;
        }
        let decoy = Arc::new(PasswordHash::decoy(most_frequent_cost(&users)));
        Ok(Self { users, decoy })
    }

    /// What to check a password for `name` against.
    pub(super) fn entry(&self, name: &str) -> Entry {
        match self.users.get(name) {
            Some(user) => Entry {
                hash: Arc::clone(&user.hash),
                is_user: true,
            },
            None => Entry {
                hash: Arc::clone(&self.decoy),
                is_user: false,
            },
        }
    }

    /// Those who can no longer log in as they could: their line is gone, or holds another hash.
    pub(super) fn departed(&self, newer: &Self) -> Vec<&str> {
        let is_kept = |name: &str, user: &User| {
            let now = newer.users.get(name);
            now.is_some_and(|now| now.hash == user.hash)
        };
        let all = self.users.iter();
        all.filter(|(name, user)| !is_kept(name, user))
            .map(|(name, _)| &**name)
            .collect()
    }

    /// How many users there are.
    pub(super) fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether both hold the same users with the same hashes.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let others = |name| other.users.get(name).map(|user| &user.hash);
        self.len() == other.len()
            && (self.users.iter()).all(|(name, user)| others(name) == Some(&user.hash))
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

fn add_line(
    users: &mut HashMap<Box<str>, User>,
    line: usize,
    text: &[u8],
) -> Result<(), LineError> {
    let text = str::from_utf8(text).map_err(|_| LineError::NotUtf8)?.trim();
    if text.is_empty() || text.starts_with('#') {
        return Ok(());
    }
    let mut fields = text.splitn(3, ':');
    let (Some(name), Some(hash)) = (fields.next(), fields.next()) else {
        return Err(LineError::NoName);
    };
    check_name(users, name)?;
    let hash = PasswordHash::parse(hash).map_err(|problem| LineError::Hash {
        name: name.to_owned(),
        problem,
    })?;
    let hash = Arc::new(hash);
    users.insert(name.into(), User { hash, line });
    Ok(())
}

fn check_name(users: &HashMap<Box<str>, User>, name: &str) -> Result<(), LineError> {
    if name.is_empty() {
        return Err(LineError::NoName);
    }
    if !is_printable(name) {
        return Err(LineError::ControlCharacter);
    }
    match users.get(name) {
        Some(user) => Err(LineError::Twice {
            name: name.to_owned(),
            first: user.line,
        }),
        None => Ok(()),
    }
}

/// Where the file mixes kinds, most of its users hide the names it does not have.
fn most_frequent_cost(users: &HashMap<Box<str>, User>) -> Cost {
    let mut counts = BTreeMap::<Cost, usize>::new();
    for user in users.values() {
        *counts.entry(user.hash.cost()).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    most.map_or_else(Cost::default, |(cost, _)| cost)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BCRYPT: &str = "$2y$04$BCryptRequires22ChrcteQDi0HlnGbzOigg2i2tQ6M79Q0/bnJM6";
    const SHA: &str = "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5";

    #[test]
    fn users_are_found() {
        let text = format!(
            "\u{feff}# staff\n\n  ann:{BCRYPT}\r\nzoë:{SHA}:moved in March\n#bob:x\nd d:{BCRYPT}  "
        );
        let file = Htpasswd::parse(text.as_bytes()).unwrap();
        assert_eq!(file.len(), 3);
        for (name, is_user) in [
            ("ann", true),
            ("zoë", true),
            ("d d", true),
            ("bob", false),
            ("Ann", false),
            ("", false),
        ] {
            assert_eq!(file.entry(name).is_user, is_user, "{name}");
        }
    }

    #[test]
    fn who_is_gone_or_has_another_hash_has_departed() {
        let file = |text: &str| Htpasswd::parse(text.as_bytes()).unwrap();
        let before = file(&format!("ann:{BCRYPT}\nbob:{BCRYPT}\ncid:{BCRYPT}"));
        let newer = file(&format!("dan:{BCRYPT}\nbob:{SHA}\nann:{BCRYPT}"));
        let mut gone = before.departed(&newer);
        gone.sort_unstable();
        assert_eq!(gone, ["bob", "cid"]);
        assert!(before.departed(&before).is_empty());
    }

    #[test]
    fn an_unusable_line_is_named() {
        for (text, line, part) in [
            (format!("ann:{BCRYPT}\nbob"), 2, "`name:hash`"),
            (format!(":{BCRYPT}"), 1, "`name:hash`"),
            (format!("#\n\na\u{7}b:{BCRYPT}"), 3, "control"),
            (
                format!("ann:{BCRYPT}\nann:{SHA}"),
                2,
                "`ann` is already on line 1",
            ),
            (
                "ann:$apr1$x$y".to_owned(),
                1,
                "MD5 is not supported (user `ann`)",
            ),
            ("ann:{SHA}x".to_owned(), 1, "wsgate hash-password"),
            ("ann:hunter2".to_owned(), 1, "plain"),
            ("ann:".to_owned(), 1, "plain"),
        ] {
            let (at, error) = Htpasswd::parse(text.as_bytes()).unwrap_err();
            let error = error.to_string();
            assert_eq!(at, line, "{text}");
            assert!(error.contains(part), "{text}: {error}");
            assert!(!error.contains("hunter2") && !error.contains("$apr1"));
        }
        let (line, error) = Htpasswd::parse(b"#\nann:\xff").unwrap_err();
        assert_eq!((line, error), (2, LineError::NotUtf8));
    }

    #[test]
    fn an_unknown_name_costs_what_most_users_cost() {
        let text = format!("a:{SHA}\nb:{BCRYPT}\nc:{BCRYPT}");
        let file = Htpasswd::parse(text.as_bytes()).unwrap();
        assert_eq!(file.entry("x").hash.cost(), Cost::Bcrypt { cost: 4 });
        let empty = Htpasswd::parse(b"").unwrap();
        assert_eq!(empty.entry("x").hash.cost(), Cost::default());
    }

    #[test]
    fn files_are_compared_by_their_users() {
        let parse = |text: String| Htpasswd::parse(text.as_bytes()).unwrap();
        let file = parse(format!("a:{SHA}\nb:{BCRYPT}"));
        assert!(file.is_same(&parse(format!("# moved\nb:{BCRYPT}\na:{SHA}"))));
        assert!(!file.is_same(&parse(format!("a:{SHA}"))));
        assert!(!file.is_same(&parse(format!("a:{SHA}\nb:{SHA}"))));
        assert!(!file.is_same(&parse(format!("a:{SHA}\nc:{BCRYPT}"))));
    }

    #[test]
    fn a_missing_or_huge_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        let error = Htpasswd::load(&path).unwrap_err();
        assert!(matches!(error, HtpasswdError::Read { .. }), "{error}");

        File::create(&path)
            .unwrap()
            .set_len(FILE_BYTES_MAX + 1)
            .unwrap();
        let error = Htpasswd::load(&path).unwrap_err();
        assert!(matches!(error, HtpasswdError::Read { .. }), "{error}");
    }
}

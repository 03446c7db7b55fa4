//! Stored passwords: which hashes are understood, what a verification may cost, and how a new hash
//! is made.
//!
//! What a hash costs is read when the file is loaded, so that no line of it can ask for a gigabyte
//! or a minute later. The hash itself is checked where it is used, off the threads that carry
//! traffic.

use super::decoy;
use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier};
use sha_crypt::ShaCrypt;
use std::fmt;
use std::str::FromStr;

/// Longer ones are refused unread: SHA-crypt's work grows with the length.
pub(super) const PASSWORD_BYTES_MAX: usize = 512;

const BCRYPT_COST_MAX: u32 = 15;
const SHA_CRYPT_ROUNDS_DEFAULT: u32 = 5_000;
const SHA_CRYPT_ROUNDS_MAX: u32 = 1_000_000;
const SHA_CRYPT_SALT_MAX: usize = 16;
const ARGON2_MEMORY_KIB_MAX: u32 = 256 * 1024;
/// Memory times passes.
const ARGON2_WORK_KIB_MAX: u32 = 1024 * 1024;

/// One stored hash that this build can verify at a bounded cost.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct PasswordHash {
    text: Box<str>,
    cost: Cost,
}

/// Kind and parameters: hashes of equal cost take equally long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cost {
    Bcrypt { cost: u32 },
    Sha256Crypt { rounds: u32 },
    Sha512Crypt { rounds: u32 },
    Argon2(Argon2Cost),
}

/// Parameters of argon2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Argon2Cost {
    pub(super) algorithm: Algorithm,
    pub(super) version: u32,
    pub(super) memory_kib: u32,
    pub(super) passes: u32,
    pub(super) lanes: u32,
    pub(super) output_bytes: usize,
}

/// Why a stored hash cannot be used. Never holds the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordHashError {
    /// A kind that is too weak or unknown.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
    /// Cut short, or with characters that don't belong there.
    #[error("this {0} hash is damaged")]
    Damaged(&'static str),
    /// One verification would take too long or too much memory.
    #[error("this {kind} hash is too dear to verify: {what} may be {most} at most")]
    TooDear {
        /// Kind of hash.
        kind: &'static str,
        /// Which parameter.
        what: &'static str,
        /// Its limit.
        most: u32,
    },
}

/// Why no hash could be made for `wsgate hash-password`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashPasswordError {
    /// It would not survive as the first field of a line, or no browser could send it.
    #[error(
        "a name must not be empty, begin with `#` or hold `:`, control characters or spaces at its ends"
    )]
    Name,
    /// It could never be used to log in.
    #[error("a password must be 1 to {PASSWORD_BYTES_MAX} bytes without control characters")]
    Password,
    /// No random salt, or no memory.
    #[error("the password could not be hashed")]
    Hash,
}

/// The verification itself did not work; says nothing about the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the password could not be verified")]
pub(super) struct VerifyError;

impl PasswordHash {
    /// What the file holds for a user.
    pub(super) fn parse(text: &str) -> Result<Self, PasswordHashError> {
        Ok(Self {
            cost: Cost::of(text)?,
            text: text.into(),
        })
    }

    /// A hash of the given cost that no password fits.
    pub(super) fn decoy(cost: Cost) -> Self {
        Self {
            text: decoy::text(cost).into(),
            cost,
        }
    }

    pub(super) fn cost(&self) -> Cost {
        self.cost
    }

    /// The line's own text, to be mixed into the keys of caches: a changed entry is another one.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// Takes as long as the hash asks for: milliseconds to a second. Never where traffic is carried.
    pub(super) fn verify(&self, password: &str) -> Result<bool, VerifyError> {
        let password = password.as_bytes();
        let verified = match self.cost {
            Cost::Bcrypt { .. } => {
                return bcrypt::verify(password, &self.text).map_err(|_| VerifyError);
            }
            Cost::Sha256Crypt { .. } | Cost::Sha512Crypt { .. } => {
                ShaCrypt::default().verify_password(password, &*self.text)
            }
            Cost::Argon2(cost) => verify_argon2(&self.text, cost, password),
        };
        match verified {
            Ok(()) => Ok(true),
            Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
            Err(_) => Err(VerifyError),
        }
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHash")
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}

impl Default for Cost {
    /// What `wsgate hash-password` writes.
    fn default() -> Self {
        Self::Argon2(Argon2Cost {
            algorithm: Algorithm::Argon2id,
            version: argon2::Version::V0x13.into(),
            memory_kib: Params::DEFAULT_M_COST,
            passes: Params::DEFAULT_T_COST,
            lanes: Params::DEFAULT_P_COST,
            output_bytes: Params::DEFAULT_OUTPUT_LEN,
        })
    }
}

impl Cost {
    fn of(text: &str) -> Result<Self, PasswordHashError> {
        let Some(kind) = text
            .strip_prefix('$')
            .and_then(|rest| rest.split('$').next())
        else {
            return Err(PasswordHashError::Unsupported(match text {
                text if text.starts_with("{SHA}") => "plain SHA-1",
                _ => "a plain or DES password",
            }));
        };
        match kind {
            "2a" | "2b" | "2y" => bcrypt_cost(text),
            "argon2id" | "argon2i" | "argon2d" => argon2_cost(text),
            "5" | "6" => sha_crypt_cost(text),
            "apr1" | "1" => Err(PasswordHashError::Unsupported("MD5")),
            _ => Err(PasswordHashError::Unsupported("this kind of hash")),
        }
    }
}

fn bcrypt_cost(text: &str) -> Result<Cost, PasswordHashError> {
    let damaged = PasswordHashError::Damaged("bcrypt");
    let cost = bcrypt::HashParts::from_str(text)
        .map_err(|_| damaged)?
        .get_cost();
    match cost {
        4..=BCRYPT_COST_MAX => Ok(Cost::Bcrypt { cost }),
        0..4 => Err(damaged),
        _ => Err(PasswordHashError::TooDear {
            kind: "bcrypt",
            what: "the cost",
            most: BCRYPT_COST_MAX,
        }),
    }
}

/// `$5$` or `$6$`, perhaps `rounds=N$`, then salt and digest. Everything the verification would
/// stumble over is found here: it takes a bad number of rounds for the salt.
fn sha_crypt_cost(text: &str) -> Result<Cost, PasswordHashError> {
    const KIND: &str = "SHA-crypt";
    let damaged = PasswordHashError::Damaged(KIND);
    sha_crypt::PasswordHashRef::new(text).map_err(|_| damaged)?;
    let is_sha256 = text.starts_with("$5$");
    let mut fields = text.split('$').skip(2).peekable();
    let rounds = match fields.next_if(|field| field.starts_with("rounds=")) {
        Some(field) => field["rounds=".len()..].parse().map_err(|_| damaged)?,
        None => SHA_CRYPT_ROUNDS_DEFAULT,
    };
    let (Some(salt), Some(digest), None) = (fields.next(), fields.next(), fields.next()) else {
        return Err(damaged);
    };
    let digest_len = if is_sha256 { 43 } else { 86 };
    if salt.len() > SHA_CRYPT_SALT_MAX || digest.len() != digest_len || rounds < 1000 {
        return Err(damaged);
    }
    if rounds > SHA_CRYPT_ROUNDS_MAX {
        return Err(PasswordHashError::TooDear {
            kind: KIND,
            what: "the number of rounds",
            most: SHA_CRYPT_ROUNDS_MAX,
        });
    }
    Ok(if is_sha256 {
        Cost::Sha256Crypt { rounds }
    } else {
        Cost::Sha512Crypt { rounds }
    })
}

fn argon2_cost(text: &str) -> Result<Cost, PasswordHashError> {
    const KIND: &str = "argon2";
    let damaged = PasswordHashError::Damaged(KIND);
    let hash = phc::PasswordHash::new(text).map_err(|_| damaged)?;
    let params = Params::try_from(&hash).map_err(|_| damaged)?;
    let (Some(_), Some(output)) = (&hash.salt, &hash.hash) else {
        return Err(damaged);
    };
    if !params.keyid().is_empty() {
        return Err(PasswordHashError::Unsupported(
            "an argon2 hash with a secret",
        ));
    }
    // Hashes without a version are of the time before it was written (1.0, `0x10`).
    let version = hash
        .version
        .unwrap_or_else(|| argon2::Version::V0x10.into());
    argon2::Version::try_from(version).map_err(|_| damaged)?;
    let cost = Argon2Cost {
        algorithm: Algorithm::try_from(hash.algorithm.as_str()).map_err(|_| damaged)?,
        version,
        memory_kib: params.m_cost(),
        passes: params.t_cost(),
        lanes: params.p_cost(),
        output_bytes: output.len(),
    };
    let too_dear = |what, most| PasswordHashError::TooDear {
        kind: KIND,
        what,
        most,
    };
    if cost.memory_kib > ARGON2_MEMORY_KIB_MAX {
        return Err(too_dear("memory in KiB", ARGON2_MEMORY_KIB_MAX));
    }
    if cost.memory_kib.saturating_mul(cost.passes) > ARGON2_WORK_KIB_MAX {
        return Err(too_dear("memory in KiB times passes", ARGON2_WORK_KIB_MAX));
    }
    Ok(Cost::Argon2(cost))
}

fn verify_argon2(
    text: &str,
    cost: Argon2Cost,
    password: &[u8],
) -> argon2::password_hash::Result<()> {
    let mut hash = phc::PasswordHash::new(text)?;
    hash.version = Some(cost.version);
    Argon2::default().verify_password(password, &hash)
}

/// Whether text from a client may be a user's name or password at all (RFC 7617 §2 forbids control
/// characters in both).
pub(super) fn is_printable(text: &str) -> bool {
    !text.contains(char::is_control)
}

/// The line for a password file: `name:hash`, or the hash alone.
pub fn hash_password(name: Option<&str>, password: &str) -> Result<String, HashPasswordError> {
    if name.is_some_and(|name| !is_name(name)) {
        return Err(HashPasswordError::Name);
    }
    let is_usable = (1..=PASSWORD_BYTES_MAX).contains(&password.len()) && is_printable(password);
    if !is_usable {
        return Err(HashPasswordError::Password);
    }
    let hash = Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(|_| HashPasswordError::Hash)?;
    Ok(match name {
        Some(name) => format!("{name}:{hash}"),
        None => hash.to_string(),
    })
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.trim() == name
        && !name.starts_with('#')
        && !name.contains(':')
        && is_printable(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by others: libxcrypt, OpenSSL, the argon2 reference implementation, PHP's manual.
    const FOREIGN: [(&str, &str); 9] = [
        (
            "rasmuslerdorf",
            "$2y$04$BCryptRequires22ChrcteQDi0HlnGbzOigg2i2tQ6M79Q0/bnJM6",
        ),
        (
            "rasmuslerdorf",
            "$2a$04$BCryptRequires22ChrcteQDi0HlnGbzOigg2i2tQ6M79Q0/bnJM6",
        ),
        (
            "rasmuslerdorf",
            "$2b$04$BCryptRequires22ChrcteQDi0HlnGbzOigg2i2tQ6M79Q0/bnJM6",
        ),
        (
            "U*U",
            "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        ),
        (
            "Hello world!",
            "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
        ),
        (
            "Hello world!",
            "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
        ),
        (
            "password",
            "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8",
        ),
        (
            "password",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        ),
        // No version: that of before 1.3.
        (
            "password",
            "$argon2i$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY",
        ),
    ];

    #[test]
    fn hashes_made_by_others_are_verified() {
        for (password, text) in FOREIGN {
            let hash = PasswordHash::parse(text).unwrap();
            assert_eq!(hash.verify(password), Ok(true), "{text}");
            assert_eq!(hash.verify("wrong"), Ok(false), "{text}");
            assert_eq!(hash.verify(""), Ok(false), "{text}");
        }
    }

    #[test]
    fn a_decoy_costs_the_same_and_fits_nothing() {
        for (password, text) in FOREIGN {
            let hash = PasswordHash::parse(text).unwrap();
            let decoy = PasswordHash::decoy(hash.cost());
            let read_back = PasswordHash::parse(&decoy.text).unwrap();
            assert_eq!(read_back.cost(), hash.cost(), "{text}");
            assert_eq!(decoy.verify(password), Ok(false), "{text}");
            assert_ne!(decoy, PasswordHash::decoy(hash.cost()));
        }
        let decoy = PasswordHash::decoy(Cost::default());
        assert_eq!(
            PasswordHash::parse(&decoy.text).unwrap().cost(),
            Cost::default()
        );
    }

    #[test]
    fn weak_damaged_and_dear_hashes_are_refused() {
        let digest = "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8";
        let bcrypt_rest = "BCryptRequires22ChrcteQDi0HlnGbzOigg2i2tQ6M79Q0/bnJM6";
        let salt_and_hash = "c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8";
        for (text, part) in [
            ("secret".to_owned(), "plain or DES"),
            (String::new(), "plain or DES"),
            ("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=".to_owned(), "SHA-1"),
            ("$apr1$lZL6V/ci$eIMz/iKDkbtys/uU7LEK00".to_owned(), "MD5"),
            ("$y$j9T$x$y".to_owned(), "this kind of hash"),
            (format!("$2x$04${bcrypt_rest}"), "this kind of hash"),
            (format!("$2y$16${bcrypt_rest}"), "the cost"),
            (format!("$2y$03${bcrypt_rest}"), "damaged"),
            (format!("$2y$04${}", &bcrypt_rest[1..]), "damaged"),
            (format!("$5$rounds=1000001$salt${digest}"), "rounds"),
            (format!("$5$rounds=999$salt${digest}"), "damaged"),
            (format!("$5$rounds=many$salt${digest}"), "damaged"),
            (format!("$5$saltsaltsaltsalts${digest}"), "damaged"),
            (format!("$5$salt${digest}$more"), "damaged"),
            (format!("$6$salt${digest}"), "damaged"),
            ("$5$salt".to_owned(), "damaged"),
            (
                format!("$argon2id$v=19$m=262145,t=1,p=1${salt_and_hash}"),
                "memory",
            ),
            (
                format!("$argon2id$v=19$m=65536,t=17,p=1${salt_and_hash}"),
                "passes",
            ),
            (
                format!("$argon2id$v=19$m=4294967295,t=4294967295,p=1${salt_and_hash}"),
                "memory",
            ),
            (
                format!("$argon2id$v=18$m=256,t=2,p=1${salt_and_hash}"),
                "damaged",
            ),
            (
                format!("$argon2id$v=19$m=256,t=0,p=1${salt_and_hash}"),
                "damaged",
            ),
            (
                "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ".to_owned(),
                "damaged",
            ),
        ] {
            let error = PasswordHash::parse(&text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_made_hash_fits_its_password() {
        let line = hash_password(Some("ann"), "pässword").unwrap();
        let hash = PasswordHash::parse(line.strip_prefix("ann:").unwrap()).unwrap();
        assert_eq!(hash.cost(), Cost::default());
        assert_eq!(hash.verify("pässword"), Ok(true));
        assert!(hash_password(None, "x").unwrap().starts_with("$argon2id$"));
    }

    #[test]
    fn no_hash_is_made_of_what_could_not_be_used() {
        for name in ["", "a:b", "#a", " a", "a\n", "a\0b"] {
            assert_eq!(
                hash_password(Some(name), "x"),
                Err(HashPasswordError::Name),
                "{name:?}"
            );
        }
        for password in ["", "a\nb", &"x".repeat(PASSWORD_BYTES_MAX + 1)] {
            assert_eq!(
                hash_password(None, password),
                Err(HashPasswordError::Password)
            );
        }
    }

    #[test]
    fn a_hash_is_not_printed() {
        let (_, text) = FOREIGN[4];
        let shown = format!("{:?}", PasswordHash::parse(text).unwrap());
        assert!(!shown.contains("saltstring"), "{shown}");
    }
}

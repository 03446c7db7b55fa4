//! Stored passwords: how one is verified, and how a new hash is made.
//!
//! Which hashes are understood and at what cost is known from `cost.rs` before one is ever used.

use super::cost::{Argon2Cost, Cost, PasswordHashError};
use super::decoy;
use argon2::password_hash::phc;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use sha_crypt::ShaCrypt;
use std::fmt;

/// Longer ones are refused unread: SHA-crypt's work grows with the length.
pub(super) const PASSWORD_BYTES_MAX: usize = 512;

/// One stored hash that this build can verify at a bounded cost.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct PasswordHash {
    text: Box<str>,
    cost: Cost,
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

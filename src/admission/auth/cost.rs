//! What verifying a stored hash costs, read from the hash itself when its file is loaded, so that no
//! line can ask for a gigabyte or a minute later.

use argon2::password_hash::phc;
use argon2::{Algorithm, Params};
use std::str::FromStr;

const BCRYPT_COST_MAX: u32 = 15;
const SHA_CRYPT_ROUNDS_DEFAULT: u32 = 5_000;
const SHA_CRYPT_ROUNDS_MAX: u32 = 1_000_000;
const SHA_CRYPT_SALT_MAX: usize = 16;
const ARGON2_MEMORY_KIB_MAX: u32 = 256 * 1024;
/// Memory times passes.
const ARGON2_WORK_KIB_MAX: u32 = 1024 * 1024;

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
    /// Of a hash as it stands in a file; an error if it could not be verified.
    pub(super) fn of(text: &str) -> Result<Self, PasswordHashError> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
            let error = Cost::of(&text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}

//! Hashes that no password fits, for names that are not in the file: refusing an unknown user costs
//! what refusing a wrong password costs, so that time does not tell which names exist.
//!
//! Salt and digest are random; finding a password for one means finding it for a hash nobody made.

use super::cost::{Argon2Cost, Cost};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

const SALT_BYTES: usize = 16;
const BCRYPT_DIGEST_BYTES: usize = 23;

/// A line's hash of exactly that cost.
pub(super) fn text(cost: Cost) -> String {
    match cost {
        Cost::Bcrypt { cost } => {
            let salt = bcrypt::BASE_64.encode(random(SALT_BYTES));
            let digest = bcrypt::BASE_64.encode(random(BCRYPT_DIGEST_BYTES));
            format!("$2b${cost:02}${salt}{digest}")
        }
        Cost::Sha256Crypt { rounds } => sha_crypt(5, rounds, 43),
        Cost::Sha512Crypt { rounds } => sha_crypt(6, rounds, 86),
        Cost::Argon2(cost) => argon2(cost),
    }
}

/// The last character stands for fewer bits than the others; `.` is zero, which is always valid.
fn sha_crypt(kind: u32, rounds: u32, digest_len: usize) -> String {
    let salt = crypt_text(SALT_BYTES);
    let digest = crypt_text(digest_len - 1);
    format!("${kind}$rounds={rounds}${salt}${digest}.")
}

fn crypt_text(len: usize) -> String {
    const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let character = |byte: u8| char::from(ALPHABET[usize::from(byte % 64)]);
    random(len).into_iter().map(character).collect()
}

fn argon2(cost: Argon2Cost) -> String {
    let salt = STANDARD_NO_PAD.encode(random(SALT_BYTES));
    let digest = STANDARD_NO_PAD.encode(random(cost.output_bytes));
    format!(
        "${}$v={}$m={},t={},p={}${salt}${digest}",
        cost.algorithm, cost.version, cost.memory_kib, cost.passes, cost.lanes
    )
}

/// Without randomness the bytes stay zero: still a hash that nobody has a password for.
fn random(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let _ = rand::fill(&mut bytes);
    bytes
}

//! Whether a token is good: well formed, signed by a key of ours in a way that we accept, for us, and
//! for now.

use super::claims::{Claims, Terms};
use super::keys::KeySet;
use super::token::{Token, TokenFault};
use jsonwebtoken::Algorithm;
use std::time::SystemTime;

/// What tokens are held against, but for the keys.
#[derive(Debug, Clone)]
pub(super) struct Verifier {
    /// The only ones; what a token says of itself chooses among them and no more.
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) terms: Terms,
}

impl Verifier {
    /// The claims of `token`, if it is good at `now`. `keys`: none, where no set was ever fetched.
    pub(super) fn verify(
        &self,
        keys: Option<&KeySet>,
        token: &[u8],
        now: SystemTime,
    ) -> Result<Claims, TokenFault> {
        let token = Token::parse(token)?;
        if !self.algorithms.contains(&token.algorithm) {
            return Err(TokenFault::Algorithm);
        }
        let keys = keys.ok_or(TokenFault::NoKeys)?;
        keys.verify(&token)?;
        let claims = Claims(token.claims()?);
        self.terms.check(&claims, now)?;
        Ok(claims)
    }
}

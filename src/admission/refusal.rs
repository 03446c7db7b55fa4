//! Why a handshake may not enter. What the client is told of it is decided elsewhere.

use super::auth::Denial;
use super::limits::OverLimit;
use super::origin::OriginRefusal;
use http::header::HeaderValue;
use std::sync::Arc;
use std::time::Duration;

/// The handshake may not enter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The page that asks may not.
    #[error(transparent)]
    Origin(#[from] OriginRefusal),
    /// No credential, or none that is good.
    #[error("{}", if denial.is_of_a_wrong_credential() { "the credential is not good" } else { "there is no credential" })]
    Unauthenticated {
        /// One `WWW-Authenticate` for each method of the route.
        challenges: Arc<[HeaderValue]>,
        /// What the methods say.
        #[source]
        denial: Box<Denial>,
    },
    /// Who it is is known, and it may not enter.
    #[error("the credential is good, but not for this")]
    NotAllowed(#[source] Box<Denial>),
    /// A service that was asked has an answer for the client.
    #[error("the authentication service refused it")]
    Answered(#[source] Box<Denial>),
    /// A credential cannot be judged now.
    #[error("credentials cannot be checked now")]
    Unavailable {
        /// When to come again.
        retry_after: Duration,
        /// What the methods say.
        #[source]
        denial: Box<Denial>,
    },
    /// There are too many.
    #[error("{0}")]
    OverLimit(OverLimit),
}

impl Refusal {
    /// For logs and metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Origin(refusal) => refusal.label(),
            Self::Unauthenticated { denial, .. } if denial.is_of_a_wrong_credential() => {
                "bad_credential"
            }
            Self::Unauthenticated { .. } => "no_credential",
            Self::NotAllowed(_) => "not_allowed",
            Self::Answered(_) => "auth_service",
            Self::Unavailable { .. } => "auth_unavailable",
            Self::OverLimit(over) => over.limit.label(),
        }
    }
}

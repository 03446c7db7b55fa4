//! May this handshake enter? The checks in their fixed order, cheap before dear, and what comes of
//! them: a permit or a refusal.
//!
//! A refusal is no error but normal life; what the client is told is decided elsewhere.

mod ask;
pub mod auth;
mod concurrency;
mod cors;
mod identity;
mod key;
mod limits;
mod network;
mod origin;
mod original;
mod rate;
mod refusal;
mod store;
mod witness;

pub use ask::{Ask, Purpose};
pub use concurrency::{CloseHook, Seats};
pub use cors::{CorsRefusal, CorsRule, is_preflight};
pub use identity::Identity;
pub use key::KeyHash;
pub use limits::{Limit, OverLimit};
pub use network::{NetworkRefusal, NetworkRule};
pub use origin::{OriginRefusal, OriginRule};
pub use original::Original;
pub use rate::{RateLimiter, housekeeping};
pub use refusal::Refusal;
pub use witness::Witness;

use crate::config;
use auth::{Lifetime, Method, Proof, Requirement, Source};
use http::header::HeaderMap;
use limits::Limits;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// After so long the queue of passwords has moved on.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The checks of one route.
#[derive(Debug)]
pub struct Admission {
    origin: OriginRule,
    requirement: Requirement,
    limits: Limits,
}

/// The handshake may enter.
#[derive(Debug)]
pub struct Permit {
    /// What it has proven, that which gives it its identity first; nothing on an open route.
    pub proofs: Vec<Proof>,
    /// What the session takes up, to be held for as long as it lives; nothing for other requests.
    pub seats: Seats,
    spent: Arc<[Source]>,
}

impl Admission {
    /// With no methods the route is open: of `any` one must admit, if there are any, and all of `each`.
    /// There are no limits.
    pub fn new(origin: OriginRule, any: Vec<Arc<Method>>, each: Vec<Arc<Method>>) -> Self {
        Self {
            origin,
            requirement: Requirement::new(any, each),
            limits: Limits::default(),
        }
    }

    /// The same with the limits of `settings`.
    pub fn with_limits(mut self, settings: &config::Limits) -> Self {
        self.limits = Limits::new(settings, !self.requirement.is_open());
        self
    }

    /// May the page that asks, if it is one? The first part of [`Self::admit`].
    pub fn check_origin(&self, ask: &Ask<'_>) -> Result<(), OriginRefusal> {
        self.origin.check(ask)
    }

    /// Judges one handshake. Cancel-safe: what was begun for it is dropped with it.
    pub async fn admit(&self, ask: &Ask<'_>) -> Result<Permit, Refusal> {
        self.admit_before(ask, None, &mut ()).await
    }

    /// The same while `witness` looks on. Who is `known` has proven that already.
    pub async fn admit_before(
        &self,
        ask: &Ask<'_>,
        known: Option<Proof>,
        witness: &mut impl Witness,
    ) -> Result<Permit, Refusal> {
        self.origin.check(ask)?;
        witness.passed("origin", || self.origin.passed(ask).to_owned());
        self.limits.arrived(ask.client)?;
        let proofs = match known {
            Some(proof) => vec![proof],
            None => self.authenticate_before(ask, witness).await?,
        };
        let identity = proofs.first().map(|proof| &proof.identity);
        self.limits.known(ask.client, identity)?;
        let seats = match ask.purpose {
            Purpose::Session => self.limits.seats(ask.client, identity)?,
            Purpose::Ticket | Purpose::Reading | Purpose::Writing => Seats::default(),
        };
        witness.passed("limits", || "within all of them".to_owned());
        Ok(Permit {
            proofs,
            seats,
            spent: Arc::clone(self.requirement.spent()),
        })
    }

    /// The limiters that want [`housekeeping`].
    pub fn limiters(&self) -> impl Iterator<Item = Arc<RateLimiter>> {
        self.limits.limiters()
    }

    /// Who asks? What a method thinks that is not needed does not matter. Nothing is proven on an open
    /// route. Cancel-safe.
    pub async fn authenticate(&self, ask: &Ask<'_>) -> Result<Vec<Proof>, Refusal> {
        self.authenticate_before(ask, &mut ()).await
    }

    async fn authenticate_before(
        &self,
        ask: &Ask<'_>,
        witness: &mut impl Witness,
    ) -> Result<Vec<Proof>, Refusal> {
        if self.requirement.is_open() {
            witness.passed("auth", || "the route is open to everybody".to_owned());
            return Ok(Vec::new());
        }
        if self.requirement.has_credential(ask) {
            self.limits.may_try(ask.client)?;
        }
        let denial = match self.requirement.judge(ask, witness).await {
            Ok(proofs) => return Ok(proofs),
            Err(denial) => Box::new(denial),
        };
        if denial.is_unsettled() {
            let retry_after = RETRY_AFTER;
            return Err(Refusal::Unavailable {
                retry_after,
                denial,
            });
        }
        if denial.is_of_a_wrong_credential() {
            self.limits.failed(ask.client);
        }
        Err(if denial.is_of_somebody_known() {
            Refusal::NotAllowed(denial)
        } else if denial.answer().is_some() {
            Refusal::Answered(denial)
        } else {
            let challenges = Arc::clone(self.requirement.challenges());
            Refusal::Unauthenticated { challenges, denial }
        })
    }
}

impl Permit {
    /// Who it is; `None` on an open route.
    pub fn identity(&self) -> Option<&Identity> {
        self.proofs.first().map(|proof| &proof.identity)
    }

    /// When the first of what it has proven was found out, if that was before this handshake.
    pub fn proven_since(&self) -> Option<Instant> {
        self.proofs.iter().filter_map(|proof| proof.since).min()
    }

    /// Until when all that it has proven is good.
    pub fn lifetime(&self) -> Option<Lifetime> {
        self.proofs.iter().filter_map(|proof| proof.lifetime).min()
    }

    /// Takes the credentials of the route's methods out of what goes to the upstream; everything
    /// else stays as it came, byte for byte.
    pub fn strip(&self, headers: &mut HeaderMap, query: &mut Option<String>) {
        for source in &*self.spent {
            source.take_out(headers, query);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, ApiKey, ApiKeys, AuthKind, AuthMethod};
    use crate::config::{CredentialSource, OriginPolicy};
    use crate::http::Origin;
    use aws_lc_rs::digest::{SHA256, digest};
    use tempfile::NamedTempFile;

    /// `rasmuslerdorf`
    const USERS: &str = "ann:$2y$04$BCryptRequires22ChrcteQDi0HlnGbzOigg2i2tQ6M79Q0/bnJM6";
    const ANN: &str = "Basic YW5uOnJhc211c2xlcmRvcmY=";
    const ANN_WRONG: &str = "Basic YW5uOnJhc211cw==";

    fn users() -> (NamedTempFile, config::Basic) {
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), USERS).unwrap();
        let settings = config::Basic {
            htpasswd: file.path().to_owned(),
            realm: "lab".to_owned(),
        };
        (file, settings)
    }

    fn robots() -> AuthKind {
        AuthKind::ApiKey(ApiKeys {
            keys: vec![ApiKey {
                name: "ci".to_owned(),
                sha256: digest(&SHA256, b"KEY").as_ref().try_into().unwrap(),
            }],
            sources: vec![
                CredentialSource::Header("x-api-key".to_owned()),
                CredentialSource::Cookie("key".to_owned()),
                CredentialSource::Query("key".to_owned()),
            ],
        })
    }

    fn own_origin_only() -> OriginRule {
        OriginRule::new(&OriginPolicy {
            origins: None,
            require: false,
        })
    }

    /// A route that takes people with a password, and robots with a key.
    fn both() -> (NamedTempFile, Admission) {
        let (file, settings) = users();
        let method = |name: &str, kind| {
            let name = name.to_owned();
            Arc::new(AuthMethod { name, kind })
        };
        let settings = [
            method("people", AuthKind::Basic(settings)),
            method("robots", robots()),
        ];
        let methods = auth::Methods::build(&settings).unwrap();
        (
            file,
            Admission::new(own_origin_only(), methods.all(), Vec::new()),
        )
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    async fn admit(
        admission: &Admission,
        headers: &HeaderMap,
        query: Option<&str>,
    ) -> Result<Permit, Refusal> {
        let ask = Ask {
            headers,
            query,
            own_origin: Some(Origin::parse("https://chat.example.com").unwrap()),
            ..Ask::of(headers, query)
        };
        admission.admit(&ask).await
    }

    #[tokio::test]
    async fn any_method_of_the_route_admits() {
        let (_file, admission) = both();
        for (lines, query, expected) in [
            (&[("authorization", ANN)][..], None, Ok("people:ann")),
            (&[("x-api-key", "KEY")], None, Ok("robots:ci")),
            (&[], Some("key=KEY"), Ok("robots:ci")),
            (
                &[("authorization", ANN), ("x-api-key", "NO")],
                None,
                Ok("people:ann"),
            ),
            (
                &[("authorization", ANN_WRONG)],
                Some("key=KEY"),
                Ok("robots:ci"),
            ),
            (&[("authorization", ANN_WRONG)], None, Err("bad_credential")),
            (&[("cookie", "key=NO")], None, Err("bad_credential")),
            (
                &[("authorization", "Digest x=y, z")],
                None,
                Err("no_credential"),
            ),
            (&[], None, Err("no_credential")),
        ] {
            let admitted = admit(&admission, &headers(lines), query).await;
            let told = match &admitted {
                Ok(permit) => Ok(permit.identity().unwrap().to_string()),
                Err(refusal) => Err(refusal.label()),
            };
            assert_eq!(told, expected.map(str::to_owned), "{lines:?} {query:?}");
        }
    }

    #[tokio::test]
    async fn no_credential_helps_a_page_of_another_origin() {
        let (_file, admission) = both();
        for (origin, expected) in [
            ("https://chat.example.com", Ok(())),
            ("https://evil.example", Err("origin_refused")),
            ("null", Err("origin_refused")),
        ] {
            let headers = headers(&[("origin", origin), ("cookie", "key=KEY")]);
            let admitted = admit(&admission, &headers, None).await;
            let told = admitted.map(|_| ()).map_err(|refusal| refusal.label());
            assert_eq!(told, expected, "{origin}");
        }
    }

    #[tokio::test]
    async fn the_origin_is_judged_before_a_password_costs_anything() {
        let (_file, settings) = users();
        let methods = vec![auth::without_threads("people", &settings)];
        let admission = Admission::new(own_origin_only(), methods, Vec::new());
        let headers = headers(&[("origin", "https://evil.example"), ("authorization", ANN)]);
        let refusal = admit(&admission, &headers, None).await.unwrap_err();
        assert_eq!(refusal.label(), "origin_refused");
    }

    #[tokio::test]
    async fn a_refusal_has_a_challenge_for_each_method() {
        let (_file, admission) = both();
        let refusal = admit(&admission, &HeaderMap::new(), None)
            .await
            .unwrap_err();
        let Refusal::Unauthenticated { challenges, .. } = refusal else {
            panic!("{refusal:?}");
        };
        let expected = [
            "ApiKey realm=\"robots\"",
            "Basic realm=\"lab\", charset=\"UTF-8\"",
        ];
        assert_eq!(*challenges, expected);
    }

    #[tokio::test]
    async fn credentials_go_no_further_and_all_else_does() {
        let (_file, admission) = both();
        let mut headers = headers(&[
            ("authorization", ANN),
            ("x-api-key", "KEY"),
            ("x-api-keys", "3"),
            ("cookie", "a=1; key=SECRET; b=\"2\""),
            ("cookie", "key=SECRET"),
            ("cookie", "c=3;  d"),
        ]);
        let mut query = Some("a=%31&key=SECRET&&%6b%65y=SECRET&b=2+".to_owned());
        let permit = admit(&admission, &headers, query.as_deref()).await.unwrap();
        permit.strip(&mut headers, &mut query);

        let expected = self::headers(&[
            ("x-api-keys", "3"),
            ("cookie", "a=1; b=\"2\""),
            ("cookie", "c=3;  d"),
        ]);
        assert_eq!(headers, expected);
        assert_eq!(query.as_deref(), Some("a=%31&&b=2+"));
    }

    #[tokio::test]
    async fn an_open_route_knows_nobody_and_takes_nothing() {
        let admission = Admission::new(own_origin_only(), Vec::new(), Vec::new());
        let mut headers = headers(&[("authorization", ANN), ("cookie", "key=1")]);
        let mut query = Some("key=1".to_owned());
        let permit = admit(&admission, &headers, query.as_deref()).await.unwrap();
        assert_eq!(permit.identity(), None);
        permit.strip(&mut headers, &mut query);
        assert_eq!(headers.len(), 2);
        assert_eq!(query.as_deref(), Some("key=1"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_does_not_move_is_no_verdict() {
        let (_file, settings) = users();
        let methods = vec![auth::without_threads("people", &settings)];
        let admission = Admission::new(own_origin_only(), methods, Vec::new());
        let admitted = admit(&admission, &headers(&[("authorization", ANN)]), None).await;
        let refusal = admitted.unwrap_err();
        assert_eq!(refusal.label(), "auth_unavailable");
        assert!(
            matches!(refusal, Refusal::Unavailable { retry_after, .. } if retry_after == RETRY_AFTER)
        );
    }
}

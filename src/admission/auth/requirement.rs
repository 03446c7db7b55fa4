//! What a route asks for: any one of some methods, each of some others.

use super::{Check, Fault, Method, Proof, Rank, ServiceAnswer, Source};
use crate::admission::{Ask, Witness};
use http::header::HeaderValue;
use std::fmt;
use std::sync::Arc;

/// The methods of one route. With none of them it is open.
#[derive(Debug, Default)]
pub(in crate::admission) struct Requirement {
    /// Any one of them admits; the cheap ones first.
    any: Vec<Arc<Method>>,
    /// Each of them must, each with its place in the list as written; the cheap ones first.
    each: Vec<(usize, Arc<Method>)>,
    challenges: Arc<[HeaderValue]>,
    /// All that the methods read, whichever of them admits.
    spent: Arc<[Source]>,
}

/// Nobody vouches for the client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Denial {
    /// What each method that was asked has against it, in the order in which they were asked.
    pub verdicts: Vec<(Arc<str>, Objection)>,
}

/// What a method has against a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Objection {
    /// It shows no credential of this kind.
    Absent,
    /// Its credential is not good.
    Wrong(Fault),
    /// Its credential is good, and it may not enter.
    Denied(Fault),
    /// Its credential cannot be looked at now.
    Unavailable(Fault),
    /// A service has an answer for it.
    Answered(Box<ServiceAnswer>),
}

impl Requirement {
    pub(in crate::admission) fn new(mut any: Vec<Arc<Method>>, each: Vec<Arc<Method>>) -> Self {
        any.sort_by_key(|method| method.rank());
        let mut each: Vec<_> = each.into_iter().enumerate().collect();
        each.sort_by_key(|(_, method)| method.rank());
        let all = || each.iter().map(|(_, method)| method).chain(&any);
        Self {
            challenges: all().filter_map(|one| one.challenge().cloned()).collect(),
            spent: all().flat_map(|one| one.sources()).collect(),
            any,
            each,
        }
    }

    pub(in crate::admission) fn is_open(&self) -> bool {
        self.any.is_empty() && self.each.is_empty()
    }

    pub(in crate::admission) fn challenges(&self) -> &Arc<[HeaderValue]> {
        &self.challenges
    }

    /// Where its methods look for credentials.
    pub(in crate::admission) fn spent(&self) -> &Arc<[Source]> {
        &self.spent
    }

    /// An empty one is none: that is what is left of a cookie after a log-out.
    pub(in crate::admission) fn has_credential(&self, ask: &Ask<'_>) -> bool {
        let found = |source: &Source| source.read(ask);
        self.spent
            .iter()
            .filter_map(found)
            .any(|credential| !credential.is_empty())
    }

    /// What is proven: by the one of `any` that admits, if there are any, and by `each` in the order in
    /// which they are written. The identity of the first is the session's. On an open route nothing is.
    /// Cancel-safe.
    pub(in crate::admission) async fn judge(
        &self,
        ask: &Ask<'_>,
        witness: &mut impl Witness,
    ) -> Result<Vec<Proof>, Denial> {
        let mut proofs = self.judge_by_each(ask, witness).await?;
        if self.any.is_empty() {
            return Ok(proofs);
        }
        let mut denial = Denial::default();
        for method in &self.any {
            if method.rank() == Rank::Stranger && !denial.is_of_a_stranger() {
                continue;
            }
            match method.check(ask).await {
                Check::Admitted(proof) => {
                    witness.passed("auth", || proof.told_by(method.name()));
                    proofs.insert(0, *proof);
                    return Ok(proofs);
                }
                other => denial = denial.with(method, other, witness),
            }
        }
        Err(denial)
    }

    async fn judge_by_each(
        &self,
        ask: &Ask<'_>,
        witness: &mut impl Witness,
    ) -> Result<Vec<Proof>, Denial> {
        let mut proofs = Vec::new();
        for (place, method) in &self.each {
            match method.check(ask).await {
                Check::Admitted(proof) => {
                    witness.passed("auth", || proof.told_by(method.name()));
                    proofs.push((*place, *proof));
                }
                other => return Err(Denial::default().with(method, other, witness)),
            }
        }
        proofs.sort_by_key(|(place, _)| *place);
        Ok(proofs.into_iter().map(|(_, proof)| proof).collect())
    }
}

impl Denial {
    fn with(mut self, method: &Method, check: Check, witness: &mut impl Witness) -> Self {
        let objection = match check {
            Check::Admitted(_) => return self,
            Check::Absent => Objection::Absent,
            Check::Wrong(fault) => Objection::Wrong(fault),
            Check::Denied(fault) => Objection::Denied(fault),
            Check::Unavailable(fault) => Objection::Unavailable(fault),
            Check::Answered(answer) => Objection::Answered(answer),
        };
        witness.objected("auth", || format!("{}: {objection}", method.name()));
        self.verdicts.push((method.name().clone(), objection));
        self
    }

    /// Whether no credential was shown at all: a bad one makes nobody a guest.
    fn is_of_a_stranger(&self) -> bool {
        self.objections().all(|one| *one == Objection::Absent)
    }

    /// Whether a credential was not good.
    pub fn is_of_a_wrong_credential(&self) -> bool {
        self.objections()
            .any(|one| matches!(one, Objection::Wrong(_)))
    }

    /// Whether a method knows the client, and it may not enter.
    pub fn is_of_somebody_known(&self) -> bool {
        self.objections()
            .any(|one| matches!(one, Objection::Denied(_)))
    }

    /// Whether a method could not judge, so that it may be another answer next time.
    pub fn is_unsettled(&self) -> bool {
        self.objections()
            .any(|one| matches!(one, Objection::Unavailable(_)))
    }

    /// What a service wants the client to be told.
    pub fn answer(&self) -> Option<&ServiceAnswer> {
        self.objections().find_map(|one| match one {
            Objection::Answered(answer) => Some(&**answer),
            _ => None,
        })
    }

    fn objections(&self) -> impl Iterator<Item = &Objection> {
        self.verdicts.iter().map(|(_, objection)| objection)
    }
}

impl std::error::Error for Denial {}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (method, objection)) in self.verdicts.iter().enumerate() {
            let separator = if number == 0 { "" } else { "; " };
            write!(f, "{separator}{method}: {objection}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("there is no credential"),
            Self::Wrong(fault) | Self::Denied(fault) | Self::Unavailable(fault) => fault.fmt(f),
            Self::Answered(answer) => write!(f, "the service answered {}", answer.status.as_u16()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Methods;
    use super::*;
    use crate::config::{Anonymous, ApiKey, ApiKeys, AuthKind, AuthMethod, CredentialSource};
    use aws_lc_rs::digest::{SHA256, digest};
    use http::HeaderMap;

    /// Takes the key `good` in the header `x-NAME`.
    fn keys(name: &str) -> Arc<AuthMethod> {
        let sha256 = digest(&SHA256, b"good").as_ref().try_into().unwrap();
        Arc::new(AuthMethod {
            name: name.to_owned(),
            kind: AuthKind::ApiKey(ApiKeys {
                keys: vec![ApiKey {
                    name: "it".to_owned(),
                    sha256,
                }],
                sources: vec![CredentialSource::Header(format!("x-{name}"))],
            }),
        })
    }

    fn requirement(any: &[&str], each: &[&str]) -> Requirement {
        let guests = Arc::new(AuthMethod {
            name: "guests".to_owned(),
            kind: AuthKind::Anonymous(Anonymous {
                identity: "guest".to_owned(),
            }),
        });
        let methods = Methods::build(&[keys("a"), keys("b"), guests]).unwrap();
        let named = |names: &[&str]| {
            let named = names.iter().map(|name| methods.named(name).unwrap());
            named.cloned().collect()
        };
        Requirement::new(named(any), named(each))
    }

    /// Whom the client is taken for, or what is said against it.
    async fn judged(requirement: &Requirement, a: Option<&str>, b: Option<&str>) -> String {
        let mut headers = HeaderMap::new();
        for (name, key) in [("x-a", a), ("x-b", b)] {
            if let Some(key) = key {
                headers.insert(name, key.parse().unwrap());
            }
        }
        let ask = Ask::of(&headers, None);
        match requirement.judge(&ask, &mut ()).await {
            Ok(proofs) => {
                let identities = proofs.iter().map(|proof| proof.identity.to_string());
                identities.collect::<Vec<_>>().join("+")
            }
            Err(denial) if denial.is_of_a_wrong_credential() => "wrong".to_owned(),
            Err(_) => "absent".to_owned(),
        }
    }

    const GOOD: Option<&str> = Some("good");
    const BAD: Option<&str> = Some("bad");
    /// A credential of the one and of the other method.
    const PAIRS: [(Option<&str>, Option<&str>); 9] = [
        (GOOD, GOOD),
        (GOOD, BAD),
        (GOOD, None),
        (BAD, GOOD),
        (BAD, BAD),
        (BAD, None),
        (None, GOOD),
        (None, BAD),
        (None, None),
    ];

    #[tokio::test]
    async fn every_pair_of_credentials_is_judged_by_any_and_by_each() {
        let table: [(&[&str], &[&str], [&str; 9]); 7] = [
            (
                &["a", "b"],
                &[],
                [
                    "a:it", "a:it", "a:it", "b:it", "wrong", "wrong", "b:it", "wrong", "absent",
                ],
            ),
            (
                &[],
                &["a", "b"],
                [
                    "a:it+b:it",
                    "wrong",
                    "absent",
                    "wrong",
                    "wrong",
                    "wrong",
                    "absent",
                    "absent",
                    "absent",
                ],
            ),
            (
                &["a"],
                &["b"],
                [
                    "a:it+b:it",
                    "wrong",
                    "absent",
                    "wrong",
                    "wrong",
                    "absent",
                    "absent",
                    "wrong",
                    "absent",
                ],
            ),
            (
                &["a"],
                &[],
                [
                    "a:it", "a:it", "a:it", "wrong", "wrong", "wrong", "absent", "absent", "absent",
                ],
            ),
            (
                &["guests", "a", "b"],
                &[],
                [
                    "a:it",
                    "a:it",
                    "a:it",
                    "b:it",
                    "wrong",
                    "wrong",
                    "b:it",
                    "wrong",
                    "guests:guest",
                ],
            ),
            (
                &["guests", "a"],
                &["b"],
                [
                    "a:it+b:it",
                    "wrong",
                    "absent",
                    "wrong",
                    "wrong",
                    "absent",
                    "guests:guest+b:it",
                    "wrong",
                    "absent",
                ],
            ),
            (&["guests"], &[], ["guests:guest"; 9]),
        ];
        for (any, each, expected) in table {
            let requirement = requirement(any, each);
            for ((a, b), expected) in PAIRS.into_iter().zip(expected) {
                let judged = judged(&requirement, a, b).await;
                assert_eq!(judged, expected, "{any:?} {each:?}: {a:?} {b:?}");
            }
        }
    }

    #[tokio::test]
    async fn the_log_is_told_what_each_method_has_against_a_client() {
        let requirement = requirement(&["a", "b"], &[]);
        let mut headers = HeaderMap::new();
        headers.insert("x-a", "bad".parse().unwrap());
        let ask = Ask::of(&headers, None);
        let denial = requirement.judge(&ask, &mut ()).await.unwrap_err();
        let expected = "a: the key is not known; b: there is no credential";
        assert_eq!(denial.to_string(), expected);
    }
}

//! Credentials in `Sec-WebSocket-Protocol`, the one header that a page can write into a handshake.
//!
//! They are found by a marker before anything else looks at the offer: `bearer.TOKEN` in one element,
//! or `bearer` and the token behind it. What is found is neither matched, nor sent on, nor answered.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Where a credential stands in an offer of subprotocols.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Marker(Box<str>);

/// A credential that stood in an offer. Cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Marked {
    marker: Marker,
    credential: Vec<u8>,
}

/// An offer of subprotocols, taken apart.
#[derive(Default)]
pub struct Offer {
    /// What is offered indeed, in the client's order.
    pub subprotocols: Vec<String>,
    /// What was no subprotocol.
    pub credentials: Vec<Marked>,
    /// What a client may be answered that offered nothing else, or of whose offer nothing was chosen: a
    /// browser gives up where it has offered something and nothing is answered. Never what a credential
    /// is part of.
    pub answer: Option<String>,
}

/// What follows a marker that begins so is encoded: a subprotocol is a token of HTTP, and not every
/// credential is. Kubernetes has it so.
const ENCODED: &str = "base64url.";

impl Marker {
    /// One that ends in a dot is the beginning of an element; any other is an element, and the
    /// credential the next one.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    fn is_beginning(&self) -> bool {
        self.0.ends_with('.')
    }

    /// The credential in `written`. What is not encoded as it should be is left as it stands, for the
    /// method to find it bad.
    fn decode(&self, written: &str) -> Vec<u8> {
        let encoded = self
            .0
            .starts_with(ENCODED)
            .then(|| written.trim_end_matches('='));
        encoded
            .and_then(|encoded| URL_SAFE_NO_PAD.decode(encoded).ok())
            .unwrap_or_else(|| written.as_bytes().to_vec())
    }

    /// The first credential behind it, of those that were found.
    pub(super) fn read<'m>(&self, found: &'m [Marked]) -> Option<&'m [u8]> {
        let own = found.iter().find(|one| one.marker == *self)?;
        Some(&own.credential)
    }
}

impl Offer {
    /// Takes what any of `markers` finds out of `offered`.
    pub fn split(offered: Vec<String>, markers: &[Marker]) -> Self {
        if markers.is_empty() {
            return Self {
                subprotocols: offered,
                ..Self::default()
            };
        }
        let mut offer = Self::default();
        let mut rest = offered.into_iter();
        while let Some(element) = rest.next() {
            let stands_alone = |marker: &&Marker| !marker.is_beginning() && *marker.0 == *element;
            if let Some(marker) = markers.iter().find(stands_alone) {
                if let Some(next) = rest.next() {
                    offer.found(marker, &next);
                }
                offer.answer.get_or_insert(element);
            } else if !offer.find_within(&element, markers) {
                offer.subprotocols.push(element);
            }
        }
        offer
    }

    /// Several markers may begin an element: each of their methods judges it.
    fn find_within(&mut self, element: &str, markers: &[Marker]) -> bool {
        let before = self.credentials.len();
        for marker in markers.iter().filter(|marker| marker.is_beginning()) {
            if let Some(written) = element.strip_prefix(&*marker.0) {
                self.found(marker, written);
            }
        }
        self.credentials.len() > before
    }

    fn found(&mut self, marker: &Marker, written: &str) {
        self.credentials.push(Marked {
            marker: marker.clone(),
            credential: marker.decode(written),
        });
    }
}

impl std::fmt::Debug for Marked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Marked")
            .field("marker", &self.marker)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KUBERNETES: &str = "base64url.bearer.authorization.k8s.io.";

    fn split(offered: &[&str], markers: &[&str]) -> Offer {
        let markers: Vec<Marker> = markers.iter().map(|text| Marker::new(text)).collect();
        Offer::split(
            offered.iter().map(|one| (*one).to_owned()).collect(),
            &markers,
        )
    }

    /// Rest, credentials and answer.
    type Expected<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], Option<&'a str>);

    #[test]
    fn credentials_are_taken_out_of_an_offer_in_every_form() {
        let cases: &[(&[&str], &[&str], Expected<'_>)] = &[
            (&["chat"], &[], (&["chat"], &[], None)),
            (&["bearer", "T"], &[], (&["bearer", "T"], &[], None)),
            (
                &["bearer.T"],
                &["bearer."],
                (&[], &[("bearer.", "T")], None),
            ),
            (
                &["v2", "bearer.T", "v1"],
                &["bearer."],
                (&["v2", "v1"], &[("bearer.", "T")], None),
            ),
            (
                &["bearer.a.b.c"],
                &["bearer."],
                (&[], &[("bearer.", "a.b.c")], None),
            ),
            (
                &["bearer", "T"],
                &["bearer"],
                (&[], &[("bearer", "T")], Some("bearer")),
            ),
            (
                &["v2", "bearer", "T", "v1"],
                &["bearer"],
                (&["v2", "v1"], &[("bearer", "T")], Some("bearer")),
            ),
            // A marker alone marks nothing, and is no subprotocol.
            (&["bearer"], &["bearer"], (&[], &[], Some("bearer"))),
            (&["bearer."], &["bearer."], (&[], &[("bearer.", "")], None)),
            // Neither form is the other.
            (&["bearer.T"], &["bearer"], (&["bearer.T"], &[], None)),
            (
                &["bearer", "T"],
                &["bearer."],
                (&["bearer", "T"], &[], None),
            ),
            (&["Bearer.T"], &["bearer."], (&["Bearer.T"], &[], None)),
            // "T.1" encoded; not encoded.
            (
                &[
                    "base64url.bearer.authorization.k8s.io.VC4x",
                    "base64.binary.k8s.io",
                ],
                &[KUBERNETES],
                (&["base64.binary.k8s.io"], &[(KUBERNETES, "T.1")], None),
            ),
            (
                &["base64url.bearer.authorization.k8s.io.T.1"],
                &[KUBERNETES],
                (&[], &[(KUBERNETES, "T.1")], None),
            ),
            // Both forms, of two methods; and two markers that fit one element.
            (
                &["key", "K", "bearer.T", "chat"],
                &["bearer.", "key"],
                (&["chat"], &[("key", "K"), ("bearer.", "T")], Some("key")),
            ),
            (
                &["a.b.T"],
                &["a.", "a.b."],
                (&[], &[("a.", "b.T"), ("a.b.", "T")], None),
            ),
        ];
        for (offered, markers, (rest, credentials, answer)) in cases {
            let offer = split(offered, markers);
            assert_eq!(offer.subprotocols, *rest, "{offered:?}");
            assert_eq!(offer.answer.as_deref(), *answer, "{offered:?}");
            let found: Vec<(&str, &str)> = offer
                .credentials
                .iter()
                .map(|one| {
                    (
                        &*one.marker.0,
                        std::str::from_utf8(&one.credential).unwrap(),
                    )
                })
                .collect();
            assert_eq!(found, *credentials, "{offered:?}");
        }
    }

    #[test]
    fn a_credential_is_not_printed() {
        let offer = split(&["bearer.SECRET"], &["bearer."]);
        let shown = format!("{:?}", offer.credentials);
        assert!(
            shown.contains("bearer.") && !shown.contains("SECRET"),
            "{shown}"
        );
    }

    proptest! {
        #[test]
        fn what_is_answered_was_offered_and_holds_no_credential(
            offered in prop::collection::vec("(bearer|bearer\\.|chat|key|[a-c.]{1,4})", 0..8),
        ) {
            let markers = [Marker::new("bearer."), Marker::new("bearer"), Marker::new("key")];
            let offer = Offer::split(offered.clone(), &markers);
            for one in offer.subprotocols.iter().chain(&offer.answer) {
                prop_assert!(offered.contains(one));
            }
            for one in &offer.subprotocols {
                prop_assert!(one != "bearer" && one != "key" && !one.starts_with("bearer."));
            }
            if let Some(answer) = &offer.answer {
                prop_assert!(answer == "bearer" || answer == "key");
            }
        }
    }
}

//! The fixed words that labels are made of, where they are not words of the layer that failed.

use crate::relay::{End, Outcome};

/// The outcome of a handshake that was answered 101.
pub(super) const OPENED: &str = "opened";

/// What a handshake that did not become a session came to: the client was told no, or the gateway
/// or the upstream could not.
pub(super) fn outcome(status: u16) -> &'static str {
    match status {
        500.. => "failed",
        _ => "refused",
    }
}

/// The class of a status (RFC 9110 §15).
pub(super) fn status_class(status: u16) -> &'static str {
    match status {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        500..=599 => "5xx",
        _ => "other",
    }
}

/// By whom a session ended, why, and with which close code.
pub(super) fn end(outcome: Option<&Outcome>) -> (&'static str, &'static str, &'static str) {
    let Some(outcome) = outcome else {
        return ("gateway", "aborted", NO_CODE);
    };
    let code = match outcome.end {
        End::ClosedByClient => outcome.client.close_received,
        End::ClosedByUpstream => outcome.upstream.close_received,
        _ => outcome.client.close_sent.or(outcome.upstream.close_sent),
    };
    let code = code.map_or(NO_CODE, close_code);
    (outcome.ended_by.label(), outcome.end.label(), code)
}

/// Nobody said a Close.
const NO_CODE: &str = "none";

/// A close code that has a meaning of its own (RFC 6455 §7.4.1 and IANA's registry) as it is, of all
/// others the class: applications have 2,000 to choose from.
fn close_code(code: u16) -> &'static str {
    match code {
        1000 => "1000",
        1001 => "1001",
        1002 => "1002",
        1003 => "1003",
        1005 => "1005",
        1007 => "1007",
        1008 => "1008",
        1009 => "1009",
        1010 => "1010",
        1011 => "1011",
        1012 => "1012",
        1013 => "1013",
        1014 => "1014",
        3000 => "3000",
        3003 => "3003",
        3008 => "3008",
        3001..=3002 | 3004..=3007 | 3009..=3999 => "3xxx",
        4000..=4999 => "4xxx",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn all_close_codes_are_few_words() {
        let words: BTreeSet<_> = (0..=u16::MAX).map(close_code).collect();
        assert_eq!(words.len(), 19, "{words:?}");
        for code in [1000, 1014, 3000] {
            assert_eq!(close_code(code), code.to_string());
        }
        let classes = [3001, 3999, 4000, 4999, 999, 1004, 1006, 1015, 5000].map(close_code);
        assert_eq!(
            classes,
            [
                "3xxx", "3xxx", "4xxx", "4xxx", "other", "other", "other", "other", "other"
            ]
        );
    }

    #[test]
    fn all_statuses_are_few_words() {
        let words: BTreeSet<_> = (0..=u16::MAX).map(status_class).collect();
        assert_eq!(words.len(), 6, "{words:?}");
        assert_eq!(
            [308, 429, 499, 500, 503].map(outcome),
            ["refused", "refused", "refused", "failed", "failed"]
        );
    }
}

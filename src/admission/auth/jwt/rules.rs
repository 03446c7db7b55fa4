//! `require_claims` and `claims_to_headers`: what a token must say, and what the upstream is told of it.

use super::claims::Claims;
use crate::config::{ClaimRule, ClaimValue};
use http::{HeaderName, HeaderValue};
use serde_json::Value;

/// Whether `claim` is what it must be. One that is not there is nothing.
pub(super) fn holds(rule: &ClaimRule, claim: Option<&Value>) -> bool {
    let Some(claim) = claim else { return false };
    match rule {
        ClaimRule::Is(value) => is(value, claim),
        ClaimRule::OneOf(values) => values.iter().any(|value| is(value, claim)),
        ClaimRule::Contains(value) => match claim {
            Value::Array(entries) => entries.iter().any(|entry| is(value, entry)),
            // RFC 8693 §4.2: a scope is words between blanks.
            Value::String(text) => {
                let ClaimValue::Text(word) = value else {
                    return false;
                };
                text.split(' ').any(|one| one == word && !word.is_empty())
            }
            _ => false,
        },
    }
}

fn is(value: &ClaimValue, claim: &Value) -> bool {
    match (value, claim) {
        (ClaimValue::Text(text), Value::String(claim)) => text == claim,
        (ClaimValue::Number(number), Value::Number(claim)) => claim.as_i64() == Some(*number),
        (ClaimValue::Flag(flag), Value::Bool(claim)) => flag == claim,
        _ => false,
    }
}

/// The claim at this path cannot be told in a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unspeakable(pub(super) String);

/// What the upstream is told; claims that are not there are left out.
pub(super) fn headers(
    wanted: &[(String, HeaderName)],
    claims: &Claims,
) -> Result<Vec<(HeaderName, HeaderValue)>, Unspeakable> {
    let mut told = Vec::new();
    for (path, name) in wanted {
        let Some(claim) = claims.get(path).filter(|claim| !claim.is_null()) else {
            continue;
        };
        let value = spoken(claim).ok_or_else(|| Unspeakable(path.clone()))?;
        told.push((name.clone(), value));
    }
    Ok(told)
}

fn spoken(claim: &Value) -> Option<HeaderValue> {
    let text = match claim {
        Value::Array(entries) => {
            let entries: Option<Vec<String>> = entries.iter().map(entry).collect();
            entries?.join(",")
        }
        claim => scalar(claim)?,
    };
    HeaderValue::from_bytes(text.as_bytes()).ok()
}

/// One of a list. With a comma in it, it would be read as two.
fn entry(claim: &Value) -> Option<String> {
    scalar(claim).filter(|text| !text.contains(','))
}

/// Servers trim blanks at the ends, so that `"admin "` would be another's name.
fn scalar(claim: &Value) -> Option<String> {
    match claim {
        Value::String(text) => {
            let is_plain = !text.contains(char::is_control) && text.trim() == text;
            is_plain.then(|| text.clone())
        }
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

//! `require_claims`: what a token must say.

use crate::config::kind::{Kind, Shape, filled, table};
use crate::config::problem::Problem;
use crate::config::reader::Node;
use crate::config::section::section;
use serde_json::json;
use toml::de::DeValue;

/// What a claim must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimRule {
    /// Equal to this.
    Is(ClaimValue),
    /// Equal to one of these.
    OneOf(Vec<ClaimValue>),
    /// A list with this in it, or a string with this among its words.
    Contains(ClaimValue),
}

/// A value of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimValue {
    /// A string.
    Text(String),
    /// A whole number.
    Number(i64),
    /// `true` or `false`.
    Flag(bool),
}

section! {
    /// What a claim must be, where it is more than one value. Exactly one of the keys.
    struct ClaimRuleKeys at "an entry of `require_claims`" {
        /// The claim must be equal to one of these.
        one_of: Option<Vec<ClaimValue>> = filled(Value), optional;
        /// The claim must be a list with this in it, or a string with this among its words, as
        /// `scope` is.
        contains: Option<ClaimValue> = Value, optional;
    }
}

/// A kind: what a claim must be.
pub(super) fn claim_rule() -> Rule {
    Rule
}

/// See [`claim_rule`].
pub(super) struct Rule;

impl Kind for Rule {
    type Out = ClaimRule;

    fn read(&self, node: &Node<'_>) -> Option<ClaimRule> {
        let DeValue::Table(_) = node.value() else {
            return Value.read(node).map(ClaimRule::Is);
        };
        let keys = table::<ClaimRuleKeys>().read(node)?;
        match (keys.one_of, keys.contains) {
            (Some(values), None) => Some(ClaimRule::OneOf(values)),
            (None, Some(value)) => Some(ClaimRule::Contains(value)),
            _ => node.refuse(
                Problem::new("a rule is either `one_of` or `contains`")
                    .help("write `{ one_of = [\"a\", \"b\"] }` or `{ contains = \"a\" }`"),
            ),
        }
    }

    fn shape(&self) -> Shape {
        let mut rule = table::<ClaimRuleKeys>().shape();
        rule.text = "`{ one_of = […] }` or `{ contains = … }`".to_owned();
        Value.shape().or(rule)
    }
}

/// A kind: one value.
struct Value;

impl Kind for Value {
    type Out = ClaimValue;

    fn read(&self, node: &Node<'_>) -> Option<ClaimValue> {
        match node.value() {
            DeValue::Boolean(flag) => Some(ClaimValue::Flag(*flag)),
            DeValue::String(_) => node.text(WHAT).map(ClaimValue::Text),
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => Some(ClaimValue::Number(number)),
                    Err(_) => node.refuse(Problem::new("this number is out of range")),
                }
            }
            _ => node.expected(WHAT),
        }
    }

    fn shape(&self) -> Shape {
        let of = |kind: &str| json!({ "type": kind });
        let schema = json!({ "anyOf": [of("string"), of("integer"), of("boolean")] });
        Shape::new(WHAT, schema)
    }
}

const WHAT: &str = "a string, a whole number or `true` or `false`";

//! What a leg did that the session must end for, and what both sides are told of it.

use super::limit::Unit;
use super::{End, Side};
use crate::frame::{Violation, code};
use std::borrow::Cow;

/// A leg's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It broke a rule of frames.
    Violation(Violation),
    /// It sent more than a limit admits.
    Rate(Unit),
}

impl Fault {
    /// Why the session ends if this is what `side` did.
    pub(super) const fn end(self, side: Side) -> End {
        match (self, side) {
            (Self::Violation(violation), Side::Upstream) => End::UpstreamViolation(violation),
            (Self::Violation(violation), _) => End::ClientViolation(violation),
            (Self::Rate(Unit::Frames), side) => End::MessageRate(side),
            (Self::Rate(Unit::Bytes), side) => End::ByteRate(side),
        }
    }

    /// What the leg itself is told.
    pub(super) const fn close_code(self) -> u16 {
        match self {
            Self::Violation(violation) => violation.close_code(),
            Self::Rate(_) => code::POLICY_VIOLATION,
        }
    }

    /// Why, in words for the leg itself.
    pub(super) fn reason(self) -> Cow<'static, str> {
        match self {
            Self::Violation(violation) => violation.to_string().into(),
            Self::Rate(Unit::Frames) => "message rate exceeded".into(),
            Self::Rate(Unit::Bytes) => "byte rate exceeded".into(),
        }
    }

    /// Why, in words for the leg across from `side`.
    pub(super) const fn of_the_other(self, side: Side) -> &'static str {
        match (self, side) {
            (Self::Violation(_), Side::Upstream) => "upstream broke the protocol",
            (Self::Violation(_), _) => "client broke the protocol",
            (Self::Rate(_), Side::Upstream) => "upstream sent too much",
            (Self::Rate(_), _) => "client sent too much",
        }
    }
}

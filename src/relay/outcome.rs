//! What became of a session: who ended it, why, and how much passed.

use crate::frame::Violation;
use std::io;
use std::ops::AddAssign;
use std::time::Duration;

/// A party to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The client leg.
    Client,
    /// The upstream leg.
    Upstream,
    /// wsgate itself.
    Gateway,
}

impl Side {
    /// The leg across from this one.
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Upstream => Self::Client,
            _ => Self::Upstream,
        }
    }

    /// A word for metrics and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Upstream => "upstream",
            Self::Gateway => "gateway",
        }
    }
}

/// How a connection was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// It ended in good order, but without a Close frame.
    Eof,
    /// It failed, most often by a reset.
    Error(io::ErrorKind),
}

/// Why the gateway was told to end a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GatewayEnd {
    /// The process, or the session's route, is being drained.
    Drain,
    /// An administrator closed the session.
    Administrator,
    /// A newer session has taken its place, as there may be only so many.
    Replaced,
    /// What the client had proven is good no longer.
    Expired,
    /// What the client had proven was taken back.
    Revoked,
}

/// Why a session ended: the first thing that made its end certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The client sent a Close.
    ClosedByClient,
    /// The upstream sent a Close.
    ClosedByUpstream,
    /// The client broke a rule of frames.
    ClientViolation(Violation),
    /// The upstream broke a rule of frames.
    UpstreamViolation(Violation),
    /// The client's connection ended without a Close.
    ClientLost(Loss),
    /// The upstream's connection ended without a Close.
    UpstreamLost(Loss),
    /// A leg sent more frames than a limit admits.
    MessageRate(Side),
    /// A leg sent more bytes than a limit admits.
    ByteRate(Side),
    /// No data frame passed for too long.
    Idle,
    /// The session was as old as a session may be.
    MaxDuration,
    /// A leg answered no ping.
    NoPong(Side),
    /// A leg took no byte for too long.
    WriteTimeout(Side),
    /// Somebody gave the order.
    Ordered(GatewayEnd),
}

impl End {
    /// A word for metrics and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ClosedByClient => "closed_by_client",
            Self::ClosedByUpstream => "closed_by_upstream",
            Self::ClientViolation(_) => "client_violation",
            Self::UpstreamViolation(_) => "upstream_violation",
            Self::ClientLost(_) => "client_lost",
            Self::UpstreamLost(_) => "upstream_lost",
            Self::MessageRate(_) => "message_rate",
            Self::ByteRate(_) => "byte_rate",
            Self::Idle => "idle",
            Self::MaxDuration => "max_duration",
            Self::NoPong(Side::Client) => "client_no_pong",
            Self::NoPong(_) => "upstream_no_pong",
            Self::WriteTimeout(Side::Client) => "client_write_timeout",
            Self::WriteTimeout(_) => "upstream_write_timeout",
            Self::Ordered(GatewayEnd::Drain) => "drain",
            Self::Ordered(GatewayEnd::Administrator) => "administrator",
            Self::Ordered(GatewayEnd::Replaced) => "replaced",
            Self::Ordered(GatewayEnd::Expired) => "expired",
            Self::Ordered(GatewayEnd::Revoked) => "revoked",
        }
    }
}

impl End {
    /// What the label leaves open: which rule was broken, how a connection failed. For logs.
    pub fn detail(self) -> Option<String> {
        match self {
            Self::ClientViolation(violation) | Self::UpstreamViolation(violation) => {
                Some(violation.to_string())
            }
            Self::ClientLost(loss) | Self::UpstreamLost(loss) => Some(match loss {
                Loss::Eof => "the connection ended without a Close".to_owned(),
                Loss::Error(kind) => kind.to_string(),
            }),
            _ => None,
        }
    }
}

/// What passed in one direction: frames that were sent on, not those of the gateway itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Whole frames, control frames included.
    pub frames: u64,
    /// Whole messages.
    pub messages: u64,
    /// Bytes of payload.
    pub bytes: u64,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, more: Self) {
        self.frames += more.frames;
        self.messages += more.messages;
        self.bytes += more.bytes;
    }
}

/// The Close codes of one leg. A Close without a code counts as 1005.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LegOutcome {
    /// What the leg said.
    pub close_received: Option<u16>,
    /// What the leg was told, by the other leg or by the gateway.
    pub close_sent: Option<u16>,
    /// The leg could not be told anything: it was inside a frame.
    pub cut_mid_frame: bool,
}

/// The whole story of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Whose doing the end was.
    pub ended_by: Side,
    /// Why it ended.
    pub end: End,
    /// Close codes of the client leg.
    pub client: LegOutcome,
    /// Close codes of the upstream leg.
    pub upstream: LegOutcome,
    /// What passed from the client to the upstream.
    pub to_upstream: Totals,
    /// What passed from the upstream to the client.
    pub to_client: Totals,
    /// From the handshake to the end.
    pub duration: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_tells_which_rule_was_broken_and_how_a_leg_was_lost() {
        let reset = io::ErrorKind::ConnectionReset;
        for (end, expected) in [
            (
                End::ClientViolation(Violation::Utf8),
                Some(Violation::Utf8.to_string()),
            ),
            (
                End::UpstreamLost(Loss::Error(reset)),
                Some(reset.to_string()),
            ),
            (End::ClosedByClient, None),
        ] {
            assert_eq!(end.detail(), expected, "{end:?}");
        }
    }
}

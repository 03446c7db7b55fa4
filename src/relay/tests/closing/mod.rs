//! What each side is told when a session ends, row by row.

mod ages;
mod closes;
mod faults;
mod losses;
mod orders;

use super::*;
use crate::relay::{CloseOrder, GatewayEnd, LegOutcome};
use std::borrow::Cow;

fn order(code: u16) -> CloseOrder {
    CloseOrder {
        code,
        reason: Cow::Borrowed("maintenance"),
        why: GatewayEnd::Administrator,
    }
}

fn leg(received: impl Into<Option<u16>>, sent: impl Into<Option<u16>>) -> LegOutcome {
    LegOutcome {
        close_received: received.into(),
        close_sent: sent.into(),
        cut_mid_frame: false,
    }
}

const CUT: LegOutcome = LegOutcome {
    close_received: None,
    close_sent: None,
    cut_mid_frame: true,
};

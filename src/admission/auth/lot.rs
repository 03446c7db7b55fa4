//! A lot drawn, so that what began together is not repeated together for ever.

use aws_lc_rs::rand;

/// Any number. Where there are no random numbers it is always the same, which does no harm but that.
pub(super) fn lot() -> u8 {
    let mut byte = [0];
    let _ = rand::fill(&mut byte);
    byte[0]
}

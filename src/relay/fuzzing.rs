//! What the fuzz targets and the property tests call.

use super::direction::{Direction, Judge, Then};
use super::outcome::Totals;
use crate::frame::{MAX_CONTROL_FRAME, Sender, Violation};

/// One direction gives the same verdict and lets the same bytes through however they are split.
///
/// The first byte chooses the rules, the second the size of the pieces; the rest is the traffic.
pub fn direction(input: &[u8]) {
    let [choice, size, traffic @ ..] = input else {
        return;
    };
    let whole = run(*choice, traffic, traffic.len().max(1));
    let pieces = run(*choice, traffic, usize::from(*size) + 1);
    assert!(traffic.starts_with(&whole.passed) || *choice & PINGED != 0);
    assert_eq!(whole.end, pieces.end);
    if whole.end == Some(End::Violation(Violation::Utf8)) {
        // Shown at once, the frame is taken back; in pieces, its beginning has gone on.
        assert!(pieces.passed.starts_with(&whole.passed));
        return;
    }
    assert_eq!(whole.passed, pieces.passed);
    assert_eq!(whole.totals, pieces.totals);
    assert_eq!(whole.at_boundary, pieces.at_boundary);
}

const FROM_SERVER: u8 = 1;
const DEFLATE: u8 = 2;
const LIMITED: u8 = 4;
const PINGED: u8 = 8;
const STOPPING: u8 = 16;

/// What came of the traffic.
struct Run {
    passed: Vec<u8>,
    totals: Totals,
    at_boundary: bool,
    end: Option<End>,
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    Close(u16),
    Violation(Violation),
}

fn run(choice: u8, traffic: &[u8], size: usize) -> Run {
    let sender = if choice & FROM_SERVER == 0 {
        Sender::Client
    } else {
        Sender::Server
    };
    let mut direction = Direction::new(sender, choice & DEFLATE != 0);
    let (mut passed, mut shown, mut end) = (Vec::new(), Vec::new(), None);
    for piece in traffic.chunks(size) {
        shown.extend_from_slice(piece);
        let (rest, ended) = show(&mut direction, choice, &shown, &mut passed);
        end = ended;
        if end.is_some() {
            break;
        }
        assert!(
            rest.len() < MAX_CONTROL_FRAME,
            "what is shown again is small"
        );
        shown = rest.to_vec();
    }
    let (totals, at_boundary) = (direction.totals, direction.at_boundary());
    Run {
        passed,
        totals,
        at_boundary,
        end,
    }
}

/// Shows `bytes`; returns those that must be shown again.
fn show<'a>(
    direction: &mut Direction,
    choice: u8,
    bytes: &'a [u8],
    passed: &mut Vec<u8>,
) -> (&'a [u8], Option<End>) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let mut judge = Judge {
            limit: (choice & LIMITED != 0).then_some(1000),
            check_text: true,
            token: (choice & PINGED != 0).then_some(b"01234567"),
            stop_at_boundary: choice & STOPPING != 0,
            scratch: &mut [0; 64],
        };
        let step = direction.scan(rest, &mut judge);
        let (forward, behind) = rest.split_at(step.forward);
        passed.extend_from_slice(forward);
        direction.totals += step.passed;
        rest = match step.then {
            Then::More => return (behind, None),
            Then::Boundary => behind,
            Then::OurPong(len) => &behind[len..],
            Then::Close { code, .. } => return (&[], Some(End::Close(code))),
            Then::Violation(violation) => return (&[], Some(End::Violation(violation))),
        };
    }
    (rest, None)
}

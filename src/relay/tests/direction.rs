//! The state machine of one direction alone.

use crate::frame::{Header, Opcode, Sender, Violation, mask};
use crate::relay::direction::{Direction, Judge, Then};
use crate::relay::fuzzing;
use proptest::prelude::*;

/// A frame as a client or a server sends it, valid or nearly.
fn frame() -> impl Strategy<Value = (Header, Vec<u8>)> {
    let opcode = prop_oneof![
        4 => Just(Opcode::Text),
        2 => Just(Opcode::Binary),
        3 => Just(Opcode::Continuation),
        1 => Just(Opcode::Ping),
        2 => Just(Opcode::Pong),
        1 => Just(Opcode::Close),
    ];
    let payload = prop_oneof![
        4 => ".{0,60}".prop_map(String::into_bytes),
        1 => Just(b"01234567".to_vec()),
        1 => Just(b"\x03\xE8bye".to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..300),
    ];
    (opcode, payload, any::<bool>(), prop::bool::weighted(0.1)).prop_map(
        |(opcode, mut payload, fin, rsv1)| {
            if opcode.is_control() {
                payload.truncate(125);
            }
            let fin = fin || opcode.is_control();
            let payload_len = payload.len() as u64;
            (
                Header {
                    fin,
                    rsv1,
                    opcode,
                    mask: None,
                    payload_len,
                    header_len: 0,
                },
                payload,
            )
        },
    )
}

/// Frames that mostly follow each other as they may.
fn traffic(from_server: bool) -> impl Strategy<Value = Vec<u8>> {
    let key = any::<[u8; 4]>().prop_map(move |key| (!from_server).then_some(key));
    let frames = proptest::collection::vec((frame(), key, prop::bool::weighted(0.95)), 0..12);
    frames.prop_map(|frames| {
        let (mut bytes, mut open) = (Vec::new(), false);
        for ((mut header, mut payload), key, obeys) in frames {
            if obeys && !header.opcode.is_control() {
                let fits = open == (header.opcode == Opcode::Continuation);
                if !fits {
                    header.opcode = if open {
                        Opcode::Continuation
                    } else {
                        Opcode::Binary
                    };
                }
                header.rsv1 &= !open;
                open = !header.fin;
            }
            header.mask = key;
            mask::apply(&mut payload, key.unwrap_or_default());
            bytes.extend_from_slice(&header.encode());
            bytes.extend_from_slice(&payload);
        }
        bytes
    })
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events(
        (choice, traffic) in (0u8..32).prop_flat_map(|choice| (Just(choice), traffic(choice & 1 == 1))),
        size in prop_oneof![0u8..8, any::<u8>()],
    ) {
        fuzzing::direction(&[&[choice, size], &traffic[..]].concat());
    }

    #[test]
    fn any_bytes_are_judged_alike_however_split(
        bytes in proptest::collection::vec(any::<u8>(), 0..200)
    ) {
        fuzzing::direction(&bytes);
    }
}

/// Shows `bytes` at once to a direction that was shown `before`.
#[track_caller]
fn check(before: &[u8], bytes: &[u8], forward: usize, then: Then) {
    let mut direction = Direction::new(Sender::Server, false);
    let mut scratch = [0; 64];
    let mut judge = Judge {
        limit: None,
        check_text: true,
        token: Some(b"01234567"),
        stop_at_boundary: false,
        scratch: &mut scratch,
    };
    if !before.is_empty() {
        let step = direction.scan(before, &mut judge);
        assert_eq!((step.forward, step.then), (before.len(), Then::More));
    }
    let step = direction.scan(bytes, &mut judge);
    assert_eq!((step.forward, step.then), (forward, then));
}

#[test]
fn bytes_go_on_up_to_what_must_not() {
    check(b"", b"\x81\x02hi\x82\x03a", 7, Then::More);
    check(b"", b"\x81\x02hi\x82\x7E\x01", 4, Then::More);
    check(b"", b"\x81\x02hi\x89\x02x", 4, Then::More);
    check(
        b"",
        b"\x81\x02hi\x88\x02\x03\xE8",
        4,
        Then::Close { len: 4, code: 1000 },
    );
    check(b"", b"\x88\x00", 0, Then::Close { len: 2, code: 1005 });
    check(b"", b"\x81\x00\x8A\x0801234567\x81", 2, Then::OurPong(10));
    check(b"", b"\x8A\x0801234568", 10, Then::More);
    check(b"", b"\x89\x0801234567", 10, Then::More);
}

#[test]
fn text_that_is_none_takes_its_frame_back_if_it_began_in_the_same_bytes() {
    let invalid = Then::Violation(Violation::Utf8);
    check(b"", b"\x81\x02hi\x81\x03a\xFFb", 4, invalid);
    let invalid = Then::Violation(Violation::Utf8);
    check(b"\x81\x03a", b"\xFFb", 0, invalid);
    let invalid = Then::Violation(Violation::Utf8);
    check(b"\x01\x01a", b"\x80\x01\xE2", 0, invalid);
}

/// What is shown to a direction from a server, piece by piece, and whether it is dense after each.
fn density(pieces: &[Vec<u8>]) -> Vec<bool> {
    let mut direction = Direction::new(Sender::Server, false);
    let mut dense_after = |piece: &Vec<u8>| {
        let mut judge = Judge {
            limit: None,
            check_text: false,
            token: None,
            stop_at_boundary: false,
            scratch: &mut [],
        };
        let step = direction.scan(piece, &mut judge);
        assert_eq!((step.forward, step.then), (piece.len(), Then::More));
        direction.is_dense
    };
    pieces.iter().map(&mut dense_after).collect()
}

#[test]
fn the_end_of_a_large_message_is_not_taken_for_a_small_one() {
    let payload_len = 16 << 10;
    let header = Header {
        fin: true,
        rsv1: false,
        opcode: Opcode::Binary,
        mask: None,
        payload_len,
        header_len: 0,
    };
    let message = [&*header.encode(), &vec![0; payload_len as usize]].concat();
    let (most, end) = message.split_at(16 << 10);
    let (most, end) = (most.to_vec(), end.to_vec());
    let headers = [0x82, 0].repeat(1000);
    let pieces = [most.clone(), end.clone(), headers, most, end];
    assert_eq!(density(&pieces), [false, false, true, false, false]);
}

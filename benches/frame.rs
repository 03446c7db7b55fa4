//! What the wire rules cost: headers, masks, UTF-8.

use divan::{Bencher, black_box, counter::BytesCount};
use wsgate::frame::{Header, Messages, Opcode, Sender, Utf8Check, mask};

const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

fn main() {
    divan::main();
}

fn header(payload_len: u64) -> Header {
    let mask = Some(KEY);
    Header {
        fin: true,
        rsv1: false,
        opcode: Opcode::Text,
        mask,
        payload_len,
        header_len: 0,
    }
}

/// Read and judged, as each frame of a client is.
#[divan::bench(args = [16, 125, 1024, 1 << 20])]
fn judge_header(bencher: Bencher<'_, '_>, payload_len: u64) {
    let bytes = header(payload_len).encode();
    let mut messages = Messages::new(Sender::Client, false);
    bencher.bench_local(|| {
        let header = Header::parse(black_box(&bytes)).ok().flatten()?;
        messages.accept(&header, Some(16 << 20)).ok()
    });
}

/// Many small messages, as they come out of one read.
#[divan::bench(args = [1, 16, 256])]
fn judge_whole_ones(bencher: Bencher<'_, '_>, count: usize) {
    let header = Header {
        opcode: Opcode::Binary,
        ..header(125)
    };
    let bytes = [&*header.encode(), &[0; 125]].concat().repeat(count);
    let messages = Messages::new(Sender::Client, false);
    bencher.bench_local(|| messages.whole_ones(black_box(&bytes), Some(16 << 20)).len);
}

#[divan::bench(args = [125, 4096, 65536])]
fn unmask_copy(bencher: Bencher<'_, '_>, len: usize) {
    let payload = vec![0x5A; len];
    let mut room = vec![0; len];
    bencher
        .counter(BytesCount::new(len))
        .bench_local(|| mask::copy(black_box(&payload), &mut room, KEY).len());
}

#[divan::bench(args = [125, 4096, 65536])]
fn mask_in_place(bencher: Bencher<'_, '_>, len: usize) {
    let mut payload = vec![0x5A; len];
    bencher
        .counter(BytesCount::new(len))
        .bench_local(|| mask::apply(black_box(&mut payload), KEY));
}

#[divan::bench(args = [("ascii", 125), ("ascii", 16384), ("mixed", 125), ("mixed", 16384)])]
fn check_masked_text(bencher: Bencher<'_, '_>, (kind, len): (&str, usize)) {
    let letter = if kind == "ascii" {
        "plain text "
    } else {
        "héllo € 😀 "
    };
    let mut payload = letter.repeat(len / letter.len()).into_bytes();
    mask::apply(&mut payload, KEY);
    let mut scratch = vec![0; 4096];
    bencher
        .counter(BytesCount::new(payload.len()))
        .bench_local(|| {
            let mut check = Utf8Check::default();
            check.push_masked(black_box(&payload), KEY, &mut scratch)?;
            check.finish()
        });
}

//! Masking of payload (RFC 6455 §5.3): XOR with a four-byte key that repeats.

/// Masks or unmasks `bytes` in place; `key` begins at their first byte.
pub fn apply(bytes: &mut [u8], key: [u8; 4]) {
    let wide = widen(key);
    let mut blocks = bytes.chunks_exact_mut(BLOCK);
    for block in &mut blocks {
        for (byte, key) in block.iter_mut().zip(wide) {
            *byte ^= key;
        }
    }
    for (byte, key) in blocks.into_remainder().iter_mut().zip(wide) {
        *byte ^= key;
    }
}

/// Writes `from` to the front of `to`, masked or unmasked, and returns what was written.
/// `key` begins at the first byte; `to` must be at least as long as `from`.
pub fn copy<'a>(from: &[u8], to: &'a mut [u8], key: [u8; 4]) -> &'a [u8] {
    let wide = widen(key);
    let to = &mut to[..from.len()];
    let mut blocks = to.chunks_exact_mut(BLOCK);
    let mut sources = from.chunks_exact(BLOCK);
    for (block, source) in (&mut blocks).zip(&mut sources) {
        for ((byte, source), key) in block.iter_mut().zip(source).zip(wide) {
            *byte = source ^ key;
        }
    }
    let rest = blocks.into_remainder().iter_mut().zip(sources.remainder());
    for ((byte, source), key) in rest.zip(wide) {
        *byte = source ^ key;
    }
    to
}

/// The key as it stands `passed` bytes further on.
pub fn rotate(key: [u8; 4], passed: usize) -> [u8; 4] {
    let bits = (passed % 4) as u32 * u8::BITS;
    u32::from_be_bytes(key).rotate_left(bits).to_be_bytes()
}

/// The compiler turns a loop over blocks of this size into vector instructions.
const BLOCK: usize = 32;

fn widen(key: [u8; 4]) -> [u8; BLOCK] {
    std::array::from_fn(|at| key[at % 4])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_the_rfc() {
        let mut bytes = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        apply(&mut bytes, [0x37, 0xfa, 0x21, 0x3d]);
        assert_eq!(&bytes, b"Hello");
    }

    proptest! {
        #[test]
        fn masking_twice_in_two_pieces_is_nothing(
            bytes in proptest::collection::vec(any::<u8>(), 0..300), key: [u8; 4], cut: prop::sample::Index
        ) {
            let cut = cut.index(bytes.len() + 1);
            let mut masked = bytes.clone();
            apply(&mut masked, key);
            for (at, (masked, plain)) in masked.iter().zip(&bytes).enumerate() {
                prop_assert_eq!(masked ^ key[at % 4], *plain);
            }
            let (front, back) = masked.split_at_mut(cut);
            apply(front, key);
            apply(back, rotate(key, cut));
            prop_assert_eq!(masked, bytes);
        }

        #[test]
        fn a_masked_copy_is_the_copy_masked(
            bytes in proptest::collection::vec(any::<u8>(), 0..300), key: [u8; 4]
        ) {
            let mut room = [0; 300];
            let copied = copy(&bytes, &mut room, key).to_vec();
            let mut masked = bytes;
            apply(&mut masked, key);
            prop_assert_eq!(copied, masked);
        }
    }
}

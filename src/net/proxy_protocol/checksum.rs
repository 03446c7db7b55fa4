//! CRC32C (RFC 3720 §12.1, appendix B.4), by which a header proves that it came whole.

/// The remainder of each byte.
const TABLE: [u32; 256] = table();

/// Of `parts`, one behind the other.
pub(super) fn crc32c(parts: [&[u8]; 3]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        let [low, ..] = crc.to_le_bytes();
        TABLE[usize::from(low ^ byte)] ^ (crc >> 8)
    };
    !parts.into_iter().flatten().fold(!0, step)
}

const fn table() -> [u32; 256] {
    /// The polynomial, its bits reversed.
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let mut table = [0; 256];
    let mut byte: u32 = 0;
    while byte < 256 {
        let mut crc = byte;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (POLYNOMIAL * (crc & 1));
            bit += 1;
        }
        table[byte as usize] = crc;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standard_hold() {
        let ascending: Vec<u8> = (0..32).collect();
        for (bytes, expected) in [
            (&[0; 32][..], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&ascending, 0x46dd_794e),
            (b"123456789", 0xe306_9283),
            (b"", 0),
        ] {
            assert_eq!(crc32c([bytes, b"", b""]), expected);
            let (one, two) = bytes.split_at(bytes.len() / 3);
            assert_eq!(crc32c([one, b"", two]), expected);
        }
    }
}

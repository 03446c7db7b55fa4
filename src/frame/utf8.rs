//! UTF-8 across chunks and fragments (RFC 6455 §5.6, §8.1): fails at the first byte that no
//! valid text can contain, and keeps at most three bytes of an unfinished character.

use super::mask;
use simdutf8::compat::from_utf8;

/// The text is not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("text is not valid UTF-8")]
pub struct InvalidUtf8;

/// Checks one text after another, each in as many pieces as it comes in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Utf8Check {
    unfinished: [u8; 3],
    len: u8,
}

impl Utf8Check {
    /// Takes the next piece of the text.
    ///
    /// # Errors
    /// `InvalidUtf8` if no continuation can make the text valid.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), InvalidUtf8> {
        let taken = self.finish_character(piece)?;
        let piece = &piece[taken..];
        match from_utf8(piece) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_none() => {
                self.keep(&piece[error.valid_up_to()..]);
                Ok(())
            }
            Err(_) => Err(InvalidUtf8),
        }
    }

    /// Takes the next piece of a masked text, unmasking it block by block into `scratch`
    /// (which must not be empty); `key` begins at the first byte of the piece.
    ///
    /// # Errors
    /// `InvalidUtf8` if no continuation can make the text valid.
    pub fn push_masked(
        &mut self,
        piece: &[u8],
        key: [u8; 4],
        scratch: &mut [u8],
    ) -> Result<(), InvalidUtf8> {
        let mut key = key;
        for block in piece.chunks(scratch.len()) {
            self.push(mask::copy(block, scratch, key))?;
            key = mask::rotate(key, block.len());
        }
        Ok(())
    }

    /// Ends the text; the next piece begins another one.
    ///
    /// # Errors
    /// `InvalidUtf8` if the text ends inside a character.
    pub fn finish(&mut self) -> Result<(), InvalidUtf8> {
        match std::mem::take(self).len {
            0 => Ok(()),
            _ => Err(InvalidUtf8),
        }
    }

    /// Completes the character that the last piece left unfinished; returns how many bytes it took.
    fn finish_character(&mut self, piece: &[u8]) -> Result<usize, InvalidUtf8> {
        let had = usize::from(self.len);
        if had == 0 || piece.is_empty() {
            return Ok(0);
        }
        let taken = piece.len().min(width(self.unfinished[0]) - had);
        let mut character = [0; 4];
        character[..had].copy_from_slice(&self.unfinished[..had]);
        character[had..had + taken].copy_from_slice(&piece[..taken]);
        let character = &character[..had + taken];
        self.len = 0;
        match std::str::from_utf8(character) {
            Ok(_) => {}
            Err(error) if error.error_len().is_none() => self.keep(character),
            Err(_) => return Err(InvalidUtf8),
        }
        Ok(taken)
    }

    fn keep(&mut self, unfinished: &[u8]) {
        debug_assert!(
            unfinished.len() <= 3,
            "four bytes are a character or an error"
        );
        self.unfinished[..unfinished.len()].copy_from_slice(unfinished);
        self.len = unfinished.len() as u8;
    }
}

/// How many bytes the character has that begins with `lead`, a valid leading byte.
fn width(lead: u8) -> usize {
    match lead {
        0xF0.. => 4,
        0xE0.. => 3,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(pieces: &[&[u8]]) -> Result<(), InvalidUtf8> {
        let mut check = Utf8Check::default();
        for piece in pieces {
            check.push(piece)?;
        }
        check.finish()
    }

    #[test]
    fn fails_at_the_byte_that_cannot_be_mended() {
        let cases: &[(&[u8], &[u8])] = &[
            (b"\xF4", b"\x90"),     // beyond U+10FFFF
            (b"\xED", b"\xA0"),     // a surrogate
            (b"\xE0", b"\x80"),     // overlong
            (b"ok \xF0\x9F", b"x"), // a character broken off
        ];
        for (valid_start, wrong) in cases {
            let mut check = Utf8Check::default();
            assert_eq!(check.push(valid_start), Ok(()));
            assert_eq!(
                check.push(wrong),
                Err(InvalidUtf8),
                "{valid_start:02x?} {wrong:02x?}"
            );
        }
    }

    #[test]
    fn a_text_that_ends_inside_a_character_is_invalid_and_the_next_begins_afresh() {
        let mut check = Utf8Check::default();
        assert_eq!(check.push("é".as_bytes().split_last().unwrap().1), Ok(()));
        assert_eq!(check.finish(), Err(InvalidUtf8));
        assert_eq!(check.push(b"next"), Ok(()));
        assert_eq!(check.finish(), Ok(()));
    }

    /// Bytes that are text, nearly text, or anything.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let text = ".{0,90}".prop_map(String::into_bytes);
        let broken =
            (".{1,90}", any::<prop::sample::Index>(), any::<u8>()).prop_map(|(text, at, byte)| {
                let mut bytes = text.into_bytes();
                let at = at.index(bytes.len());
                bytes[at] = byte;
                bytes
            });
        prop_oneof![text, broken, proptest::collection::vec(any::<u8>(), 0..12)]
    }

    proptest! {
        #[test]
        fn agrees_with_std_however_it_is_split(
            bytes in bytes(), first: prop::sample::Index, second: prop::sample::Index
        ) {
            let (first, second) = (first.index(bytes.len() + 1), second.index(bytes.len() + 1));
            let (first, second) = (first.min(second), first.max(second));
            let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
            let expected = std::str::from_utf8(&bytes).map(|_| ()).map_err(|_| InvalidUtf8);
            prop_assert_eq!(check(&pieces), expected);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(check(&single), expected);
        }

        #[test]
        fn agrees_with_std_when_masked(bytes in bytes(), key: [u8; 4], block in 1usize..20) {
            let mut masked = bytes.clone();
            mask::apply(&mut masked, key);
            let mut check = Utf8Check::default();
            let verdict = check
                .push_masked(&masked, key, &mut vec![0; block])
                .and_then(|()| check.finish());
            prop_assert_eq!(verdict.is_ok(), std::str::from_utf8(&bytes).is_ok());
        }
    }
}

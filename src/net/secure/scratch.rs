//! Buffers that the connections of a thread take turns at, so that an idle one has none.

use std::cell::Cell;

/// Room for ciphertext that is read at once: what is unfinished from before, and a good deal more.
pub(super) const CIPHER_ROOM: usize = 256 * 1024;
/// Plaintext that is encrypted at once, and so what a slow peer may leave waiting in the connection.
pub(super) const PLAIN_CHUNK: usize = 64 * 1024;
/// Room for its ciphertext: what a record adds is below 64 bytes for each 16 KiB (RFC 8446 §5.2).
const SEALED_ROOM: usize = PLAIN_CHUNK + (PLAIN_CHUNK / 16384 + 1) * 64;

thread_local! {
    static INCOMING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static OUTGOING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lends the buffer for ciphertext from a socket.
pub(super) fn incoming<R>(job: impl FnOnce(&mut [u8]) -> R) -> R {
    lend(&INCOMING, CIPHER_ROOM, job)
}

/// Lends the buffer for ciphertext to a socket.
pub(super) fn outgoing<R>(job: impl FnOnce(&mut [u8]) -> R) -> R {
    lend(&OUTGOING, SEALED_ROOM, job)
}

/// The buffer is away while it is lent: who asks within gets another, for once.
fn lend<R>(
    place: &'static std::thread::LocalKey<Cell<Vec<u8>>>,
    room: usize,
    job: impl FnOnce(&mut [u8]) -> R,
) -> R {
    let mut buffer = place.take();
    buffer.resize(room, 0);
    let result = job(&mut buffer);
    place.set(buffer);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_lent_once_at_a_time() {
        incoming(|outer| {
            outer[0] = 1;
            incoming(|inner| assert_eq!(inner[0], 0));
            assert_eq!(outer[0], 1);
        });
        outgoing(|buffer| assert!(buffer.len() > PLAIN_CHUNK));
    }
}

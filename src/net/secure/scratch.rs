//! Buffers that the connections of a thread take turns at, so that an idle one has none.

use std::cell::Cell;

/// Room for ciphertext that is read at once: what is unfinished from before, and a good deal more.
pub(super) const CIPHER_ROOM: usize = 256 * 1024;
/// Plaintext that is encrypted at once, and so what a slow peer may leave waiting in the connection.
pub(super) const PLAIN_CHUNK: usize = 64 * 1024;
/// Room for its ciphertext: what a record adds is below 64 bytes for each 16 KiB (RFC 8446 §5.2).
const SEALED_ROOM: usize = PLAIN_CHUNK + (PLAIN_CHUNK / 16384 + 1) * 64;

type Place = Cell<Option<Box<[u8]>>>;

thread_local! {
    static INCOMING: Place = const { Cell::new(None) };
    static OUTGOING: Place = const { Cell::new(None) };
}

/// Lends the buffer for ciphertext from a socket.
#[inline]
pub(super) fn incoming<R>(job: impl FnOnce(&mut [u8]) -> R) -> R {
    INCOMING.with(|place| lend(place, CIPHER_ROOM, job))
}

/// Lends the buffer for ciphertext to a socket.
#[inline]
pub(super) fn outgoing<R>(job: impl FnOnce(&mut [u8]) -> R) -> R {
    OUTGOING.with(|place| lend(place, SEALED_ROOM, job))
}

/// The buffer is away while it is lent: who asks within gets another, for once.
#[inline]
fn lend<R>(place: &Place, room: usize, job: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut buffer = place.take().unwrap_or_else(|| made(room));
    let result = job(&mut buffer);
    place.set(Some(buffer));
    result
}

/// Once for each thread. It is the system that clears it: what of it is never used takes no memory.
#[cold]
fn made(room: usize) -> Box<[u8]> {
    vec![0; room].into_boxed_slice()
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

    #[test]
    fn it_is_the_same_buffer_each_time() {
        for lend in [incoming::<*mut u8>, outgoing::<*mut u8>] as [fn(_) -> _; 2] {
            let first = lend(<[u8]>::as_mut_ptr);
            assert_eq!(lend(<[u8]>::as_mut_ptr), first);
        }
    }
}

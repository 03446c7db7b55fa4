//! The buffer that all sessions of a thread read into, and the few bytes that a leg keeps between reads.

use crate::frame::MAX_CONTROL_FRAME;
use std::cell::RefCell;

/// How much one read takes. The more, the less a message of a megabyte costs; but what a suddenly
/// slow leg does not take becomes the session's own memory, which shall stay well below that.
pub(super) const READ_SIZE: usize = 512 * 1024;

/// How much one read takes for a leg that was too slow for the last one: what it does not take
/// becomes the session's own memory.
pub(super) const READ_SIZE_FOR_SLOW: usize = 64 * 1024;

/// How much one read takes of what is hardly more than headers: a read of the full size would be a
/// quarter of a million frames, and nobody else had a turn before they are judged.
pub(super) const READ_SIZE_FOR_DENSE: usize = 16 * 1024;

/// Working memory of a thread; nothing in it outlives a poll.
pub(super) struct Buffers {
    /// What is read.
    pub(super) input: Box<[u8]>,
    /// Where text is unmasked, block by block.
    pub(super) scratch: Box<[u8]>,
}

/// Lends the thread's buffers.
pub(super) fn with<R>(work: impl FnOnce(&mut Buffers) -> R) -> R {
    BUFFERS.with_borrow_mut(work)
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::new(Buffers {
        // Not zeros, which the system would hand out page by page: the buffer is part of what a
        // worker costs, not of what the first large message costs.
        input: vec![u8::MAX; READ_SIZE].into_boxed_slice(),
        scratch: vec![0; 4096].into_boxed_slice(),
    });
}

/// A header or control frame that is still incomplete. Empty, and then without heap, nearly always.
#[derive(Debug, Default)]
pub(super) struct Carry(Option<Box<Incomplete>>);

#[derive(Debug)]
struct Incomplete {
    bytes: [u8; MAX_CONTROL_FRAME],
    len: u8,
}

impl Carry {
    /// Puts the bytes at the front of the buffer that the next read continues; says how many they are.
    pub(super) fn place(&self, buffer: &mut [u8]) -> usize {
        let Some(Incomplete { bytes, len }) = self.0.as_deref() else {
            return 0;
        };
        let len = usize::from(*len);
        buffer[..len].copy_from_slice(&bytes[..len]);
        len
    }

    /// Keeps these bytes, less than a control frame, instead of the former.
    pub(super) fn keep(&mut self, rest: &[u8]) {
        if rest.is_empty() {
            self.0 = None;
            return;
        }
        let mut bytes = [0; MAX_CONTROL_FRAME];
        bytes[..rest.len()].copy_from_slice(rest);
        self.0 = Some(Box::new(Incomplete {
            bytes,
            len: rest.len() as u8,
        }));
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

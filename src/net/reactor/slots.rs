//! The table behind a reactor: for each socket, what it is ready for and who waits for it.

use std::ops::{BitOr, BitOrAssign};
use std::task::Waker;

/// All sockets of a thread. A place is used again once its socket has gone.
#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct Slot {
    reader: Option<Waker>,
    writer: Option<Waker>,
    generation: u32,
    ready: Ready,
}

/// A place, and which of its sockets is meant: an event may be older than the socket that is there now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) enum Way {
    /// From the socket.
    Read,
    /// To the socket.
    Write,
}

/// What a socket is ready for, as far as is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ready(u8);

/// Who waited, to be dropped or woken where the table is not borrowed.
pub(super) type Waiting = [Option<Waker>; 2];

impl Ready {
    pub(super) const NOTHING: Self = Self(0);
    pub(super) const READABLE: Self = Self(1);
    pub(super) const WRITABLE: Self = Self(2);
    /// Nothing follows what can be read now: no edge will tell of an end that was told already.
    pub(super) const ENDED: Self = Self(4);
    /// The kernel was asked to tell when the socket takes bytes.
    pub(super) const TELLS_WRITABLE: Self = Self(8);

    pub(super) const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl Way {
    const fn ready(self) -> Ready {
        match self {
            Self::Read => Ready::READABLE,
            Self::Write => Ready::WRITABLE,
        }
    }
}

impl Slots {
    /// A place for a socket that is ready for so much.
    pub(super) fn add(&mut self, ready: Ready) -> Key {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            // More sockets than 32 bits can count: a process has no room for them.
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        self.at(slot).ready = ready;
        self.key(slot)
    }

    /// Frees a place.
    pub(super) fn remove(&mut self, slot: u32) -> Waiting {
        self.free.push(slot);
        let slot = self.at(slot);
        slot.generation = slot.generation.wrapping_add(1);
        [slot.reader.take(), slot.writer.take()]
    }

    /// Whose place it is now.
    pub(super) fn key(&self, slot: u32) -> Key {
        Key {
            slot,
            generation: self.slots[slot as usize].generation,
        }
    }

    /// Whether the socket is known to be ready.
    #[inline]
    pub(super) fn is_ready(&self, slot: u32, way: Way) -> bool {
        self.slots[slot as usize].ready.contains(way.ready())
    }

    /// `waker` waits for the socket from now on. Gives whom it replaced.
    pub(super) fn wait(&mut self, slot: u32, way: Way, waker: &Waker) -> Option<Waker> {
        let waiting = self.at(slot).waiting(way);
        match waiting {
            Some(present) if present.will_wake(waker) => None,
            _ => waiting.replace(waker.clone()),
        }
    }

    /// A transfer has come to the end of what there was, or of the room: the next one would block, and
    /// need not be tried where the kernel tells when it would not.
    #[inline]
    pub(super) fn drained(&mut self, slot: u32, way: Way) {
        let slot = self.at(slot);
        let is_told = match way {
            Way::Read => !slot.ready.contains(Ready::ENDED),
            Way::Write => slot.ready.contains(Ready::TELLS_WRITABLE),
        };
        if is_told {
            slot.ready = slot.ready.without(way.ready());
        }
    }

    /// A transfer could not be made. Whether the kernel is yet to be asked to tell when it can.
    pub(super) fn blocked(&mut self, slot: u32, way: Way) -> bool {
        let slot = self.at(slot);
        slot.ready = slot.ready.without(way.ready());
        let asks = way == Way::Write && !slot.ready.contains(Ready::TELLS_WRITABLE);
        if asks {
            slot.ready |= Ready::TELLS_WRITABLE;
        }
        asks
    }

    /// Whether nothing can be transferred for now and `waker` is called when something can.
    #[inline]
    pub(super) fn is_awaited(&self, slot: u32, way: Way, waker: &Waker) -> bool {
        let Some(slot) = self.slots.get(slot as usize) else {
            return false;
        };
        let waiting = match way {
            Way::Read => &slot.reader,
            Way::Write => &slot.writer,
        };
        let is_told = |waiting: &Waker| waiting.will_wake(waker);
        !slot.ready.contains(way.ready()) && waiting.as_ref().is_some_and(is_told)
    }

    /// Notes news of a socket; gives its reader if it is to be woken, to be given back by [`Self::wait_on`].
    /// Who has not yet read what it was told of is not told again.
    #[inline]
    pub(super) fn happened(&mut self, key: Key, news: Ready) -> Option<Waker> {
        let slot = self.at(key.slot);
        if slot.generation != key.generation {
            return None;
        }
        let fresh = news.without(slot.ready);
        slot.ready |= news;
        match fresh.contains(Ready::READABLE) {
            true => slot.reader.take(),
            false => None,
        }
    }

    /// Who waits to write, and is to be woken: it does not go on waiting.
    pub(super) fn take_writer(&mut self, key: Key) -> Option<Waker> {
        let slot = self.at(key.slot);
        slot.writer.take_if(|_| slot.generation == key.generation)
    }

    /// Has a reader that was woken go on waiting, as readers do all the time; unless its socket has gone, or
    /// somebody else waits by now.
    #[inline]
    pub(super) fn wait_on(&mut self, key: Key, reader: &mut Option<Waker>) {
        let slot = self.at(key.slot);
        if slot.generation == key.generation && slot.reader.is_none() {
            slot.reader = reader.take();
        }
    }

    #[inline]
    fn at(&mut self, slot: u32) -> &mut Slot {
        &mut self.slots[slot as usize]
    }
}

impl Slot {
    const fn waiting(&mut self, way: Way) -> &mut Option<Waker> {
        match way {
            Way::Read => &mut self.reader,
            Way::Write => &mut self.writer,
        }
    }
}

impl BitOr for Ready {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Ready {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A waker, and how often it was called.
    fn waker() -> (Waker, Arc<Count>) {
        let count = Arc::<Count>::default();
        (count.clone().into(), count)
    }

    /// How many were woken by `news` of `key`.
    fn tell(slots: &mut Slots, key: Key, news: Ready) -> usize {
        let mut reader = slots.happened(key, news);
        let is_writable = news.contains(Ready::WRITABLE);
        let writer = is_writable.then(|| slots.take_writer(key)).flatten();
        let woken = [&reader, &writer].map(Option::as_ref);
        let len = woken.into_iter().flatten().map(Waker::wake_by_ref).count();
        slots.wait_on(key, &mut reader);
        len
    }

    #[test]
    fn news_wakes_who_waits_for_it_once() {
        let mut slots = Slots::default();
        let key = slots.add(Ready::NOTHING);
        let (reader, read) = waker();
        let (writer, written) = waker();
        slots.wait(key.slot, Way::Read, &reader);
        slots.wait(key.slot, Way::Write, &writer);
        assert_eq!(tell(&mut slots, key, Ready::READABLE), 1);
        assert_eq!(tell(&mut slots, key, Ready::READABLE), 0);
        assert_eq!(tell(&mut slots, key, Ready::READABLE | Ready::WRITABLE), 1);
        assert_eq!(read.0.load(Ordering::Relaxed), 1);
        assert_eq!(written.0.load(Ordering::Relaxed), 1);
        assert!(slots.is_ready(key.slot, Way::Read) && slots.is_ready(key.slot, Way::Write));
    }

    #[test]
    fn the_last_to_ask_is_woken() {
        let mut slots = Slots::default();
        let key = slots.add(Ready::NOTHING);
        let (first, _) = waker();
        let (second, woken) = waker();
        assert!(slots.wait(key.slot, Way::Read, &first).is_none());
        assert!(slots.wait(key.slot, Way::Read, &first).is_none());
        let replaced = slots.wait(key.slot, Way::Read, &second);
        assert!(replaced.is_some_and(|replaced| replaced.will_wake(&first)));
        tell(&mut slots, key, Ready::READABLE);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_reader_waits_on_without_asking_again() {
        let mut slots = Slots::default();
        let key = slots.add(Ready::NOTHING);
        let (reader, woken) = waker();
        let is_awaited = |slots: &Slots| slots.is_awaited(key.slot, Way::Read, &reader);
        assert!(!is_awaited(&slots), "not yet");
        slots.wait(key.slot, Way::Read, &reader);
        assert!(is_awaited(&slots));
        assert!(!slots.is_awaited(key.slot, Way::Read, Waker::noop()));
        assert!(!slots.is_awaited(key.slot, Way::Write, &reader));
        for times in 1..=3 {
            assert_eq!(tell(&mut slots, key, Ready::READABLE), 1);
            assert!(!is_awaited(&slots), "there is something to be read");
            assert_eq!(tell(&mut slots, key, Ready::READABLE), 0);
            assert_eq!(tell(&mut slots, key, Ready::READABLE | Ready::ENDED), 0);
            assert_eq!(woken.0.load(Ordering::Relaxed), times);
            slots.blocked(key.slot, Way::Read);
            assert!(is_awaited(&slots));
        }
        let waiting = slots.remove(key.slot);
        assert!(waiting[0].is_some(), "who waited is forgotten");
    }

    #[test]
    fn a_reader_that_was_woken_comes_back_to_its_own_place_alone() {
        let mut slots = Slots::default();
        let key = slots.add(Ready::NOTHING);
        let (first, second) = (waker().0, waker().0);
        slots.wait(key.slot, Way::Read, &first);
        let mut woken = slots.happened(key, Ready::READABLE);
        slots.blocked(key.slot, Way::Read);
        slots.wait(key.slot, Way::Read, &second);
        slots.wait_on(key, &mut woken);
        assert!(woken.is_some(), "somebody else waits by now");
        assert!(slots.is_awaited(key.slot, Way::Read, &second));
        let mut woken = slots.happened(key, Ready::READABLE);
        slots.remove(key.slot);
        let new = slots.add(Ready::NOTHING);
        slots.wait_on(key, &mut woken);
        assert!(woken.is_some(), "the socket has gone");
        assert!(!slots.is_awaited(new.slot, Way::Read, &second));
    }

    #[test]
    fn old_news_does_not_reach_a_new_socket() {
        let mut slots = Slots::default();
        let old = slots.add(Ready::NOTHING);
        slots.remove(old.slot);
        let new = slots.add(Ready::NOTHING);
        assert_eq!(old.slot, new.slot);
        slots.wait(new.slot, Way::Read, Waker::noop());
        assert_eq!(tell(&mut slots, old, Ready::READABLE), 0);
        assert!(!slots.is_ready(new.slot, Way::Read));
        assert_eq!(tell(&mut slots, new, Ready::READABLE), 1);
    }

    #[test]
    fn an_end_that_was_told_stays_told() {
        let mut slots = Slots::default();
        let key = slots.add(Ready::NOTHING);
        tell(&mut slots, key, Ready::READABLE);
        slots.drained(key.slot, Way::Read);
        assert!(!slots.is_ready(key.slot, Way::Read));
        tell(&mut slots, key, Ready::READABLE | Ready::ENDED);
        slots.drained(key.slot, Way::Read);
        assert!(slots.is_ready(key.slot, Way::Read));
    }

    #[test]
    fn a_writer_asks_the_kernel_to_tell_once() {
        let mut slots = Slots::default();
        let key = slots.add(Ready::WRITABLE);
        // Nobody would tell yet: the next write must find out.
        slots.drained(key.slot, Way::Write);
        assert!(slots.is_ready(key.slot, Way::Write));
        assert!(slots.blocked(key.slot, Way::Write));
        assert!(!slots.is_ready(key.slot, Way::Write));
        tell(&mut slots, key, Ready::WRITABLE);
        slots.drained(key.slot, Way::Write);
        assert!(!slots.is_ready(key.slot, Way::Write));
        assert!(!slots.blocked(key.slot, Way::Write));
    }
}

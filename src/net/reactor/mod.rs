//! Readiness of a thread's sockets: one epoll instance of our own beside the runtime's, which watches
//! it like any other descriptor.
//!
//! The runtime's own registration is made for streams that any thread may poll: 256 bytes, locks, and
//! two system calls when it goes. A socket here never leaves the thread that attached it, so that its
//! place in a table of the thread does: no atomics, no lock, and the kernel forgets it with the
//! descriptor. Edges are watched, not levels (epoll(7)): a transfer that came out short has seen all
//! there was, and the next one waits for the kernel's word instead of asking.

mod slots;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::time::Timespec;
use slots::{Key, Ready, Slots};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::coop::poll_proceed;
use tokio::task::yield_now;

pub(super) use slots::Way;

/// Events taken from the kernel before the tasks they concern have their turn.
const EVENTS: usize = 256;

thread_local! {
    /// There from the first socket on, until the runtime that drives it ends; the thread need not clear
    /// up behind it, nor be asked at each access whether it already has.
    static REACTOR: RefCell<ManuallyDrop<Option<Reactor>>> =
        const { RefCell::new(ManuallyDrop::new(None)) };
}

/// Tells the reactors of all threads and times apart.
static NEXT_ID: AtomicU32 = AtomicU32::new(0);

struct Reactor {
    id: u32,
    epoll: Arc<OwnedFd>,
    slots: Slots,
}

/// Starts the calling thread's reactor, from a task of the runtime that runs there. Else its first socket
/// does, if there is a descriptor left by then.
///
/// # Errors
/// What the system says: no more descriptors or memory.
pub fn start_reactor() -> io::Result<()> {
    REACTOR.with_borrow_mut(|reactor| {
        if reactor.is_none() {
            **reactor = Some(Reactor::start()?);
        }
        Ok(())
    })
}

/// A socket's place in the reactor of the thread that made it; of no use on any other.
#[derive(Debug)]
pub(super) struct Registration {
    reactor: u32,
    slot: u32,
}

/// What a new socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It takes bytes at once; when there are some to be read, the kernel will say.
    Connected,
    /// The kernel will say when it has a peer.
    Connecting,
}

impl Registration {
    /// Has the calling thread's reactor watch `socket`, which must not block. To be called from a task
    /// of the runtime that runs on this thread.
    ///
    /// # Errors
    /// What the system says: no more descriptors or memory.
    pub(super) fn new(socket: impl AsFd, phase: Phase) -> io::Result<Self> {
        REACTOR.with_borrow_mut(|reactor| {
            let reactor = match &mut **reactor {
                Some(reactor) => reactor,
                None => reactor.insert(Reactor::start()?),
            };
            // Who has no peer yet is told by the same word that bytes are taken.
            let (ready, interest) = match phase {
                Phase::Connected => (Ready::WRITABLE, incoming()),
                Phase::Connecting => (Ready::TELLS_WRITABLE, incoming() | EventFlags::OUT),
            };
            let key = reactor.slots.add(ready);
            if let Err(cause) = epoll::add(&reactor.epoll, socket, key.into(), interest) {
                reactor.slots.remove(key.slot);
                return Err(cause.into());
            }
            Ok(Self {
                reactor: reactor.id,
                slot: key.slot,
            })
        })
    }

    /// Runs `transfer`, which must not block, as soon as `socket` is ready for it `way`; registers for a
    /// wake-up while it is not. Who knows that it is ready says so, and the reactor is not asked. Counts
    /// against the task's budget: a peer that never stops cannot keep a thread to itself.
    #[inline]
    pub(super) fn poll_io<T>(
        &self,
        cx: &mut Context<'_>,
        socket: impl AsFd,
        way: Way,
        is_ready: bool,
        transfer: impl FnMut() -> Result<T, Errno>,
    ) -> Poll<io::Result<T>> {
        if !is_ready {
            ready!(self.poll_ready(cx, way))?;
        }
        ready!(poll_proceed(cx)).made_progress();
        match retry_on_intr(transfer) {
            Err(Errno::AGAIN) => {
                self.blocked(socket, way)?;
                self.wait(cx, way)?;
                Poll::Pending
            }
            done => Poll::Ready(Ok(done?)),
        }
    }

    /// Waits until the socket is ready `way`.
    #[inline]
    pub(super) fn poll_ready(&self, cx: &Context<'_>, way: Way) -> Poll<io::Result<()>> {
        if self.with(|reactor| reactor.slots.is_ready(self.slot, way)) == Some(true) {
            return Poll::Ready(Ok(()));
        }
        self.wait(cx, way)?;
        Poll::Pending
    }

    /// Has `cx`'s task woken as soon as the socket is ready `way`, which it is not.
    #[cold]
    fn wait(&self, cx: &Context<'_>, way: Way) -> io::Result<()> {
        // Dropped outside: a waker may hold the last of a task, and that a socket.
        let replaced = self.with(|reactor| reactor.slots.wait(self.slot, way, cx.waker()));
        replaced.map(drop).ok_or_else(elsewhere)
    }

    /// Whether nothing can be transferred for now and `cx`'s task is woken when something can: waiting
    /// would change nothing.
    #[inline]
    pub(super) fn is_awaited(&self, cx: &Context<'_>, way: Way) -> bool {
        self.with(|reactor| reactor.slots.is_awaited(self.slot, way, cx.waker()))
            .unwrap_or(false)
    }

    /// A transfer took or gave less than it could: the next one would block.
    #[inline]
    pub(super) fn drained(&self, way: Way) {
        // On another thread there is nothing to be noted.
        self.with(|reactor| reactor.slots.drained(self.slot, way));
    }

    /// The kernel said that a transfer would block.
    #[cold]
    fn blocked(&self, socket: impl AsFd, way: Way) -> io::Result<()> {
        self.with(|reactor| {
            if !reactor.slots.blocked(self.slot, way) {
                return Ok(());
            }
            // The first write that found no room: most sockets never come here.
            let key = reactor.slots.key(self.slot);
            let interest = incoming() | EventFlags::OUT;
            epoll::modify(&reactor.epoll, socket, key.into(), interest).map_err(io::Error::from)
        })
        .unwrap_or_else(|| Err(elsewhere()))
    }

    #[inline]
    fn with<T>(&self, act: impl FnOnce(&mut Reactor) -> T) -> Option<T> {
        with_reactor(self.reactor, act)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // The wakers are dropped outside.
        let _wakers = REACTOR.with(|reactor| {
            let mut reactor = reactor.try_borrow_mut().ok()?;
            let reactor = reactor.as_mut().filter(|it| it.id == self.reactor)?;
            Some(reactor.slots.remove(self.slot))
        });
    }
}

impl Reactor {
    fn start() -> io::Result<Self> {
        let epoll = Arc::new(epoll::create(CreateFlags::CLOEXEC)?);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(drive(watch(epoll.clone())?, Driving(id)));
        Ok(Self {
            id,
            epoll,
            slots: Slots::default(),
        })
    }
}

/// Lends the calling thread's reactor, if it is the one with this id.
#[inline]
fn with_reactor<T>(id: u32, act: impl FnOnce(&mut Reactor) -> T) -> Option<T> {
    REACTOR.with_borrow_mut(|reactor| match &mut **reactor {
        Some(reactor) if reactor.id == id => Some(act(reactor)),
        _ => None,
    })
}

#[cold]
fn elsewhere() -> io::Error {
    io::Error::other("the socket belongs to another runtime")
}

/// What every socket is watched for: bytes and the end, each time that there is news.
fn incoming() -> EventFlags {
    EventFlags::IN | EventFlags::RDHUP | EventFlags::ET
}

#[expect(
    deprecated,
    reason = "its successor is unsafe; an Arc of an owned descriptor keeps it open and never changes it"
)]
fn watch(epoll: Arc<OwnedFd>) -> io::Result<AsyncFd<Arc<OwnedFd>>> {
    AsyncFd::with_interest(epoll, Interest::READABLE)
}

/// The reactor's own task, which wakes all others. Ends with the runtime.
async fn drive(epoll: AsyncFd<Arc<OwnedFd>>, driving: Driving) {
    while let Ok(mut guard) = poll_fn(|cx| epoll.poll_read_ready(cx)).await {
        while driving.tell_all(epoll.get_ref()) {
            yield_now().await;
        }
        guard.clear_ready();
    }
}

/// Held by the task that drives a reactor; dropping it ends the reactor, whose sockets are of no use then.
struct Driving(u32);

impl Driving {
    /// Tells of all news that there are; says whether to ask for more as soon as they have been dealt with.
    fn tell_all(&self, epoll: &OwnedFd) -> bool {
        let mut room = [const { MaybeUninit::uninit() }; EVENTS];
        let at_once = Timespec::default();
        match epoll::wait(epoll, &mut room[..], Some(&at_once)) {
            Ok((events, _)) => {
                events.iter().for_each(|event| self.tell(event));
                events.len() == EVENTS
            }
            // Nothing but a signal can interrupt it, and no more came of it than of an empty look.
            Err(cause) => cause == Errno::INTR,
        }
    }

    /// Notes what has happened to a socket, and wakes who waits for it: while the table is not borrowed,
    /// as a waker may run whatever its maker likes.
    fn tell(&self, event: &epoll::Event) {
        let (flags, data) = (event.flags, event.data);
        let (key, news): (Key, Ready) = (data.into(), flags.into());
        let reader = with_reactor(self.0, |reactor| reactor.slots.happened(key, news));
        if let Some(Some(reader)) = reader {
            // Not woken by value, with a copy left behind: each would count its task's references.
            reader.wake_by_ref();
            let mut reader = Some(reader);
            with_reactor(self.0, |reactor| reactor.slots.wait_on(key, &mut reader));
        }
        if news.contains(Ready::WRITABLE) {
            self.wake_writer(key);
        }
    }

    /// Few sockets ever come to this: most take all that they are given.
    #[cold]
    fn wake_writer(&self, key: Key) {
        let writer = with_reactor(self.0, |reactor| reactor.slots.take_writer(key));
        if let Some(Some(writer)) = writer {
            writer.wake();
        }
    }
}

impl Drop for Driving {
    fn drop(&mut self) {
        let ended = REACTOR.with_borrow_mut(|reactor| reactor.take_if(|it| it.id == self.0));
        drop(ended);
    }
}

impl From<Key> for EventData {
    fn from(key: Key) -> Self {
        Self::new_u64(u64::from(key.generation) << 32 | u64::from(key.slot))
    }
}

impl From<EventData> for Key {
    fn from(data: EventData) -> Self {
        let data = data.u64();
        Self {
            slot: data as u32,
            generation: (data >> 32) as u32,
        }
    }
}

impl From<EventFlags> for Ready {
    /// An error is found by the next transfer, whichever it is.
    fn from(flags: EventFlags) -> Self {
        let mut ready = Self::NOTHING;
        if flags.contains(EventFlags::IN) {
            ready |= Self::READABLE;
        }
        if flags.contains(EventFlags::OUT) {
            ready |= Self::WRITABLE;
        }
        if flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR) {
            ready |= Self::READABLE | Self::ENDED;
        }
        if flags.intersects(EventFlags::HUP | EventFlags::ERR) {
            ready |= Self::WRITABLE;
        }
        ready
    }
}

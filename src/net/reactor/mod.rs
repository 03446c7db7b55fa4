//! Readiness of a thread's sockets: one epoll instance of our own beside the runtime's, which watches
//! it like any other descriptor.
//!
//! The runtime's own registration is made for streams that any thread may poll: 256 bytes, locks, and
//! two system calls when it goes. A socket here never leaves the thread that attached it, so that its
//! place in a table of the thread does: no atomics, no lock, and the kernel forgets it with the
//! descriptor. Edges are watched, not levels (epoll(7)): a transfer that came out short has seen all
//! there was, and the next one waits for the kernel's word instead of asking.

mod slots;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::Timespec;
use slots::{Key, Ready, Slots};
use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker, ready};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::yield_now;

pub(super) use slots::Way;

/// Events taken from the kernel before the tasks they concern have their turn.
const EVENTS: usize = 256;

thread_local! {
    /// There from the first socket on, until the runtime that drives it ends.
    static REACTOR: RefCell<Option<Reactor>> = const { RefCell::new(None) };
}

/// Tells the reactors of all threads and times apart.
static NEXT_ID: AtomicU32 = AtomicU32::new(0);

struct Reactor {
    id: u32,
    epoll: Arc<OwnedFd>,
    slots: Slots,
    events: Vec<epoll::Event>,
}

/// Starts the calling thread's reactor, from a task of the runtime that runs there. Else its first socket
/// does, if there is a descriptor left by then.
///
/// # Errors
/// What the system says: no more descriptors or memory.
pub fn start_reactor() -> io::Result<()> {
    REACTOR.with_borrow_mut(|reactor| {
        if reactor.is_none() {
            *reactor = Some(Reactor::start()?);
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
            let reactor = match reactor {
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
    /// wake-up while it is not. Counts against the task's budget: a peer that never stops cannot keep a
    /// thread to itself.
    pub(super) fn poll_io<T>(
        &self,
        cx: &mut Context<'_>,
        socket: impl AsFd,
        way: Way,
        mut transfer: impl FnMut() -> Result<T, Errno>,
    ) -> Poll<io::Result<T>> {
        loop {
            ready!(self.poll_ready(cx, way))?;
            ready!(poll_budget(cx));
            match transfer() {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.blocked(&socket, way)?,
                done => return Poll::Ready(Ok(done?)),
            }
        }
    }

    /// Waits until the socket is ready `way`.
    pub(super) fn poll_ready(&self, cx: &Context<'_>, way: Way) -> Poll<io::Result<()>> {
        // Dropped outside: a waker may hold the last of a task, and that a socket.
        let (is_ready, _replaced) =
            self.with(|reactor| reactor.slots.poll_ready(self.slot, way, cx.waker()))?;
        match is_ready {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    /// Whether nothing can be transferred for now and `cx`'s task is woken when something can: waiting
    /// would change nothing.
    #[inline]
    pub(super) fn is_awaited(&self, cx: &Context<'_>, way: Way) -> bool {
        REACTOR.with_borrow(|reactor| match reactor {
            Some(reactor) if reactor.id == self.reactor => {
                reactor.slots.is_awaited(self.slot, way, cx.waker())
            }
            _ => false,
        })
    }

    /// A transfer took or gave less than it could: the next one would block.
    pub(super) fn drained(&self, way: Way) {
        // On another thread there is nothing to be noted.
        let _ = self.with(|reactor| reactor.slots.drained(self.slot, way));
    }

    /// The kernel said that a transfer would block.
    fn blocked(&self, socket: impl AsFd, way: Way) -> io::Result<()> {
        self.with(|reactor| {
            if !reactor.slots.blocked(self.slot, way) {
                return Ok(());
            }
            // The first write that found no room: most sockets never come here.
            let key = reactor.slots.key(self.slot);
            let interest = incoming() | EventFlags::OUT;
            epoll::modify(&reactor.epoll, socket, key.into(), interest).map_err(io::Error::from)
        })?
    }

    fn with<T>(&self, act: impl FnOnce(&mut Reactor) -> T) -> io::Result<T> {
        REACTOR.with_borrow_mut(|reactor| match reactor {
            Some(reactor) if reactor.id == self.reactor => Ok(act(reactor)),
            _ => Err(io::Error::other("the socket belongs to another runtime")),
        })
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // The wakers are dropped outside, and where the thread itself is at its end there is no table.
        let _wakers = REACTOR.try_with(|reactor| {
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
            events: Vec::with_capacity(EVENTS),
        })
    }

    /// Notes what has happened; gives whom to wake, and whether there may be more.
    fn collect(&mut self, woken: &mut Vec<Waker>) -> io::Result<bool> {
        self.events.clear();
        let at_once = Timespec::default();
        epoll::wait(
            &self.epoll,
            spare_capacity(&mut self.events),
            Some(&at_once),
        )?;
        for event in &self.events {
            let (flags, data) = (event.flags, event.data);
            self.slots.happened(data.into(), flags.into(), woken);
        }
        Ok(self.events.len() == EVENTS)
    }
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
    let mut woken = Vec::new();
    while let Ok(mut guard) = epoll.readable().await {
        let has_more = match driving.collect(&mut woken) {
            Ok(has_more) => has_more,
            // Nothing but a signal can interrupt it, and no more came of it than of an empty look.
            Err(cause) => cause.kind() == io::ErrorKind::Interrupted,
        };
        for waker in woken.drain(..) {
            waker.wake();
        }
        match has_more {
            true => yield_now().await,
            false => guard.clear_ready(),
        }
    }
}

/// Held by the task that drives a reactor; dropping it ends the reactor, whose sockets are of no use then.
struct Driving(u32);

impl Driving {
    fn collect(&self, woken: &mut Vec<Waker>) -> io::Result<bool> {
        REACTOR.with_borrow_mut(|reactor| match reactor {
            Some(reactor) if reactor.id == self.0 => reactor.collect(woken),
            _ => Ok(false),
        })
    }
}

impl Drop for Driving {
    fn drop(&mut self) {
        let ended = REACTOR.try_with(|reactor| {
            let mut reactor = reactor.borrow_mut();
            reactor.take_if(|reactor| reactor.id == self.0)
        });
        drop(ended);
    }
}

/// Takes one unit of what a task may do before the others have their turn.
fn poll_budget(cx: &mut Context<'_>) -> Poll<()> {
    std::pin::pin!(tokio::task::coop::consume_budget()).poll(cx)
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

//! An allocator that counts what is live, by size, and leaves out what chosen threads allocate.

#![allow(unsafe_code, reason = "an allocator is unsafe to write")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicIsize, Ordering};

/// Sizes are counted in steps of eight; what is larger counts as the largest.
const STEPS: usize = 4096;

static LIVE: [AtomicIsize; STEPS] = [const { AtomicIsize::new(0) }; STEPS];
/// What the larger ones are in sum.
static LARGE: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    static IS_LEFT_OUT: Cell<bool> = const { Cell::new(false) };
}

/// What the calling thread allocates from now on does not count.
pub fn not_this_thread() {
    IS_LEFT_OUT.set(true);
}

/// How many allocations are live now.
pub fn live() -> Count {
    Count {
        small: LIVE
            .iter()
            .map(|live| live.load(Ordering::SeqCst) as f64)
            .collect(),
        large: LARGE.load(Ordering::SeqCst) as f64,
    }
}

/// Allocations by size.
pub struct Count {
    small: Vec<f64>,
    large: f64,
}

impl Count {
    /// What has been added since.
    pub fn since(&self, before: &Self) -> Self {
        let pairs = self.small.iter().zip(&before.small);
        Self {
            small: pairs.map(|(now, before)| now - before).collect(),
            large: self.large - before.large,
        }
    }

    /// The part of each of `many`.
    pub fn per(self, many: usize) -> Self {
        let many = many as f64;
        Self {
            small: self.small.into_iter().map(|live| live / many).collect(),
            large: self.large / many,
        }
    }

    /// All together.
    pub fn bytes(&self) -> usize {
        let small = self.by_size().map(|(size, live)| size as f64 * live);
        (small.sum::<f64>() + self.large).round() as usize
    }

    fn by_size(&self) -> impl Iterator<Item = (usize, f64)> {
        let sizes = self.small.iter().enumerate();
        sizes
            .filter(|(_, live)| **live != 0.0)
            .map(|(step, live)| (step * 8, *live))
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (size, live) in self.by_size() {
            writeln!(f, "{live:8.3} of {size:6}")?;
        }
        writeln!(f, "{:8.0} in larger ones", self.large)?;
        writeln!(f, "{:8} bytes", self.bytes())
    }
}

/// The system's, with a word in front of each block: whether it counts.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

impl Counting {
    /// The block with room for the word in front, and how much that is.
    fn with_word(layout: Layout) -> Option<(Layout, usize)> {
        let front = layout.align().max(16);
        let whole = Layout::from_size_align(layout.size().checked_add(front)?, front).ok()?;
        Some((whole, front))
    }

    fn note(layout: Layout, sign: isize) {
        let size = rounded(layout.size(), layout.align());
        match LIVE.get(size / 8) {
            Some(live) => live.fetch_add(sign, Ordering::SeqCst),
            None => LARGE.fetch_add(sign * size as isize, Ordering::SeqCst),
        };
    }
}

// SAFETY: every block is the system's, moved up by `front`, which keeps its alignment; `dealloc` moves
// it back by the same, as it gets the same layout.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((whole, front)) = Self::with_word(layout) else {
            return std::ptr::null_mut();
        };
        // SAFETY: `whole` is not empty.
        let block = unsafe { System.alloc(whole) };
        if block.is_null() {
            return block;
        }
        let counts = !IS_LEFT_OUT.get();
        if counts {
            Self::note(layout, 1);
        }
        // SAFETY: the block begins with `front` bytes that are nobody's else.
        unsafe {
            block.write(u8::from(counts));
            block.add(front)
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some((whole, front)) = Self::with_word(layout) else {
            return;
        };
        // SAFETY: `alloc` has moved it up by as much and written there.
        unsafe {
            let start = block.sub(front);
            if start.read() != 0 {
                Self::note(layout, -1);
            }
            System.dealloc(start, whole);
        }
    }
}

/// As jemalloc rounds a size up: to sixteens up to 128, then to quarters of a power of two.
fn rounded(size: usize, align: usize) -> usize {
    let size = size.next_multiple_of(align);
    match size {
        0..=8 => 8,
        9..=128 => size.next_multiple_of(16),
        _ => size.next_multiple_of(size.next_power_of_two() / 8),
    }
}

#[test]
fn sizes_are_rounded_as_the_allocator_does() {
    let sizes = [1, 8, 9, 16, 100, 129, 161, 256, 257, 385, 512, 513, 641];
    let classes = [8, 8, 16, 16, 112, 160, 192, 256, 320, 448, 512, 640, 768];
    assert_eq!(sizes.map(|size| rounded(size, 8)), classes);
}

//! An allocator that counts: how many bytes were held at the same time since the last reset. And a clock that stands still
//! while other programs run.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator with a count on both sides. The runner works on one thread, so the sums are exact.
pub struct Meter;

fn add(bytes: usize) {
    let held = HELD.load(Relaxed).wrapping_add(bytes);
    HELD.store(held, Relaxed);
    if held > PEAK.load(Relaxed) {
        PEAK.store(held, Relaxed);
    }
}

fn subtract(bytes: usize) {
    HELD.store(HELD.load(Relaxed).wrapping_sub(bytes), Relaxed);
}

// SAFETY: every call goes to `System` unchanged, which keeps the contract; the counters do not touch the memory.
unsafe impl GlobalAlloc for Meter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller's promises to us are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        subtract(layout.size());
        // SAFETY: as above; the pointer came from `System`, since only it allocates here.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // Old and new may exist side by side while the bytes move.
        add(new_size);
        subtract(layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

/// Bytes that were held beyond the present ones at some time while `work` ran.
pub fn peak_bytes(work: impl FnOnce()) -> usize {
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    work();
    PEAK.load(Relaxed).saturating_sub(before)
}

/// What a target does to check the parser, rather than to parse: its memory is not counted.
pub fn unmeasured<T>(work: impl FnOnce() -> T) -> T {
    let peak = PEAK.load(Relaxed);
    let result = work();
    PEAK.store(peak, Relaxed);
    result
}

/// Time that this thread has had a core for.
#[must_use]
pub fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for writes for the whole call, and the kernel writes nothing else.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert!(result == 0, "every Linux has this clock");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

//! The idle memory of one thread, by size class.

use super::limits::{CLASS_MAX, CLASS_MIN, CLASSES, POOL_BYTES_MAX};
use super::{poison, region};
use std::cell::RefCell;
use std::ptr::NonNull;

#[cfg(not(loom))]
thread_local! {
    static LOCAL: RefCell<Pool> = const { RefCell::new(Pool::new()) };
}

#[cfg(loom)]
loom::thread_local! {
    static LOCAL: RefCell<Pool> = RefCell::new(Pool::new());
}

struct Pool {
    /// Idle pieces of `CLASS_MIN << index` bytes, owned by the pool; the last freed, and so the warmest, is taken first.
    free: [Vec<NonNull<u8>>; CLASSES],
    /// The fewest that each of `free` had since [`release_idle`] last looked: so many were not needed in all that time.
    unused: [usize; CLASSES],
    /// What all of `free` adds up to, in bytes; at most [`POOL_BYTES_MAX`].
    bytes: usize,
}

impl Pool {
    const fn new() -> Pool {
        Pool { free: [const { Vec::new() }; CLASSES], unused: [0; CLASSES], bytes: 0 }
    }

    /// The piece of `class` that was freed last.
    fn pop(&mut self, class: usize) -> Option<NonNull<u8>> {
        let ptr = self.free[class].pop()?;
        self.unused[class] = self.unused[class].min(self.free[class].len());
        self.bytes -= CLASS_MIN << class;
        Some(ptr)
    }

    /// True once `size` more bytes of `class` fit; false if that class holds most itself.
    fn make_room(&mut self, class: usize, size: usize) -> bool {
        while self.bytes + size > POOL_BYTES_MAX {
            let held = |class: usize| self.free[class].len() * (CLASS_MIN << class);
            let Some(fullest) = (0..CLASSES).max_by_key(|&class| held(class)) else { return false };
            if fullest == class {
                return false;
            }
            let Some(ptr) = self.pop(fullest) else { return false };
            // SAFETY: `give` stored it under the class of its allocated size and the pool is its only owner.
            unsafe { region::release(ptr, CLASS_MIN << fullest) };
        }
        true
    }

    /// Gives the system the `count` pieces of `class` that lie idle longest.
    fn release(&mut self, class: usize, count: usize) {
        let free = &mut self.free[class];
        for ptr in free.drain(..count) {
            // SAFETY: `give` stored it under the class of its allocated size and the pool is its only owner.
            unsafe { region::release(ptr, CLASS_MIN << class) };
            self.bytes -= CLASS_MIN << class;
        }
        // The list itself is eight bytes for each piece that was ever in it.
        free.shrink_to(free.len() * 2);
        self.unused[class] = free.len();
    }

    fn release_all(&mut self) {
        (0..CLASSES).for_each(|class| self.release(class, self.free[class].len()));
    }

    fn release_unused(&mut self) {
        (0..CLASSES).for_each(|class| self.release(class, self.unused[class]));
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.release_all();
    }
}

/// Bytes of idle memory that this thread keeps for reuse.
pub fn pooled_bytes() -> usize {
    LOCAL.with(|pool| pool.borrow().bytes)
}

/// Gives this thread's idle memory back to the system.
pub fn trim() {
    LOCAL.with(|pool| pool.borrow_mut().release_all());
}

/// Gives back to the system what was not needed since the last call. Called at intervals, it leaves a thread what it works
/// with and takes what its busiest moment left behind.
pub fn release_idle() {
    LOCAL.with(|pool| pool.borrow_mut().release_unused());
}

fn class_of(size: usize) -> Option<usize> {
    (size <= CLASS_MAX).then(|| (size / CLASS_MIN).trailing_zeros() as usize)
}

/// An idle piece of exactly `size` bytes, if there is one.
pub(super) fn take(size: usize) -> Option<NonNull<u8>> {
    let class = class_of(size)?;
    // No pool while the thread ends: its buffers are then allocated.
    LOCAL.try_with(|pool| pool.borrow_mut().pop(class)).ok().flatten()
}

/// Offers memory to the pool, which owns it if this returns true. `size` is the allocated size. A full pool makes room
/// by giving up the size class that holds most, so that yesterday's sizes do not keep out today's.
pub(super) fn give(ptr: NonNull<u8>, size: usize) -> bool {
    let Some(class) = class_of(size) else { return false };
    LOCAL
        .try_with(|pool| {
            let mut pool = pool.borrow_mut();
            let fits = pool.make_room(class, size);
            if fits {
                poison::forbid(ptr.as_ptr(), size);
                pool.free[class].push(ptr);
                pool.bytes += size;
            }
            fits
        })
        .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::super::Buf;
    use super::*;

    #[test]
    fn a_dropped_buffer_is_reused() {
        trim();
        let first = Buf::with_capacity(5000);
        let address = first.as_slice().as_ptr();
        drop(first);
        assert_eq!(pooled_bytes(), 8192);
        assert_eq!(Buf::with_capacity(8192).as_slice().as_ptr(), address);
    }

    #[test]
    fn the_pool_is_bounded() {
        trim();
        let many: Vec<_> = (0..20).map(|_| Buf::with_capacity(CLASS_MAX)).collect();
        drop(many);
        assert_eq!(pooled_bytes(), POOL_BYTES_MAX);
        trim();
        assert_eq!(pooled_bytes(), 0);
    }

    #[test]
    fn a_full_pool_gives_up_the_sizes_of_which_it_has_most() {
        trim();
        let small: Vec<_> = (0..POOL_BYTES_MAX / (64 << 10)).map(|_| Buf::with_capacity(64 << 10)).collect();
        drop(small);
        assert_eq!(pooled_bytes(), POOL_BYTES_MAX);
        let large = Buf::with_capacity(CLASS_MAX);
        let address = large.as_slice().as_ptr();
        drop(large);
        assert_eq!(Buf::with_capacity(CLASS_MAX).as_slice().as_ptr(), address, "it took the place of small ones");
        assert!(pooled_bytes() <= POOL_BYTES_MAX);
        trim();
    }

    #[test]
    fn what_lies_idle_goes_and_what_is_used_stays() {
        trim();
        let busy: Vec<_> = (0..10).map(|_| Buf::with_capacity(8192)).collect();
        drop(busy);
        release_idle();
        assert_eq!(pooled_bytes(), 10 * 8192, "all of it was in use since the last look");
        drop((Buf::with_capacity(8192), [Buf::with_capacity(8192), Buf::with_capacity(8192)]));
        release_idle();
        assert_eq!(pooled_bytes(), 3 * 8192, "three were wanted at a time");
        release_idle();
        assert_eq!(pooled_bytes(), 0);
    }

    #[test]
    fn what_is_larger_than_a_class_is_not_kept() {
        trim();
        drop(Buf::with_capacity(CLASS_MAX + 1));
        assert_eq!(pooled_bytes(), 0);
    }

    #[test]
    fn the_last_owner_decides_whose_pool_grows() {
        trim();
        let slice = Buf::with_capacity(4096).freeze();
        let elsewhere = std::thread::scope(|scope| {
            scope.spawn(move || (drop(slice), pooled_bytes()).1).join().expect("the thread only drops")
        });
        assert_eq!((elsewhere, pooled_bytes()), (4096, 0));
    }
}

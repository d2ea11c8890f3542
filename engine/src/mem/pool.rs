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
    /// What all of `free` adds up to, in bytes; at most [`POOL_BYTES_MAX`].
    bytes: usize,
}

impl Pool {
    const fn new() -> Pool {
        Pool { free: [const { Vec::new() }; CLASSES], bytes: 0 }
    }

    /// True once `size` more bytes of `class` fit; false if that class holds most itself.
    fn make_room(&mut self, class: usize, size: usize) -> bool {
        while self.bytes + size > POOL_BYTES_MAX {
            let held = |class: usize| self.free[class].len() * (CLASS_MIN << class);
            let Some(fullest) = (0..CLASSES).max_by_key(|&class| held(class)) else { return false };
            if fullest == class {
                return false;
            }
            let Some(ptr) = self.free[fullest].pop() else { return false };
            let freed = CLASS_MIN << fullest;
            // SAFETY: `give` stored it under the class of its allocated size and the pool is its only owner.
            unsafe { region::release(ptr, freed) };
            self.bytes -= freed;
        }
        true
    }

    fn release_all(&mut self) {
        for (class, free) in self.free.iter_mut().enumerate() {
            for ptr in free.drain(..) {
                // SAFETY: `give` stored it under the class of its allocated size and the pool is its only owner.
                unsafe { region::release(ptr, CLASS_MIN << class) };
            }
        }
        self.bytes = 0;
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

fn class_of(size: usize) -> Option<usize> {
    (size <= CLASS_MAX).then(|| (size / CLASS_MIN).trailing_zeros() as usize)
}

/// An idle piece of exactly `size` bytes, if there is one.
pub(super) fn take(size: usize) -> Option<NonNull<u8>> {
    let class = class_of(size)?;
    // No pool while the thread ends: its buffers are then allocated.
    LOCAL
        .try_with(|pool| {
            let mut pool = pool.borrow_mut();
            let ptr = pool.free[class].pop()?;
            pool.bytes -= size;
            Some(ptr)
        })
        .ok()
        .flatten()
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

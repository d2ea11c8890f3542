//! The writable buffer: one owner, page-aligned, from the pool or lent by a [`Tail`](super::Tail).

use super::region::Region;
use super::slice::{Slice, TailMemory};
use super::track;
use crate::sync::Arc;
use std::fmt;
use std::ptr::NonNull;

/// Unique memory: `len` bytes that were written, and room up to `capacity`.
///
/// ```text
///  0            len                 capacity
///  | readable   | spare room        |
/// ```
pub struct Buf {
    ptr: NonNull<u8>,
    /// Bytes written so far; everything below is initialised.
    len: usize,
    /// What the owner asked for; the memory below may be larger.
    capacity: usize,
    home: Home,
}

/// Who gets the memory back.
pub(super) enum Home {
    /// The pool, when the region drops.
    Pool(Region),
    /// The tail that lent it.
    Tail(LentRange),
}

/// The claim of a lent buffer on its tail's memory; ends the lease when dropped.
pub(super) struct LentRange {
    pub(super) memory: Arc<TailMemory>,
    /// Where in the tail the buffer starts, in bytes.
    pub(super) start: usize,
}

impl Drop for LentRange {
    fn drop(&mut self) {
        self.memory.end_lease();
    }
}

// SAFETY: a Buf is the only one who reads or writes its range: the region is unique, and a tail touches a lent range
// only after the lease has ended. Both homes may be dropped on any thread.
unsafe impl Send for Buf {}
// SAFETY: &Buf only reads, below `len`.
unsafe impl Sync for Buf {}

impl Buf {
    /// An empty buffer with room for exactly `bytes` bytes, aligned to [`BLOCK`](super::BLOCK).
    pub fn with_capacity(bytes: usize) -> Buf {
        let region = Region::new(bytes);
        Buf { ptr: region.ptr(), len: 0, capacity: bytes, home: Home::Pool(region) }
    }

    /// As [`Buf::with_capacity`], counted on `gauge` until nobody has any of it.
    pub fn counted(bytes: usize, gauge: &super::Gauge) -> Buf {
        let mut region = Region::new(bytes);
        region.count_on(gauge);
        Buf { ptr: region.ptr(), len: 0, capacity: bytes, home: Home::Pool(region) }
    }

    /// The range `start..start + capacity` of a tail as a buffer.
    ///
    /// # Safety
    /// The range lies inside the memory, nobody else reads or writes it until `end_lease`, and `lent.memory` is marked
    /// as leased.
    pub(super) unsafe fn lent(lent: LentRange, capacity: usize) -> Buf {
        // SAFETY: the caller promises that start is inside the memory.
        let ptr = unsafe { lent.memory.ptr().add(lent.start) };
        Buf { ptr, len: 0, capacity, home: Home::Tail(lent) }
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that fit in all.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Bytes that still fit.
    pub fn spare_len(&self) -> usize {
        self.capacity - self.len
    }

    /// What was written.
    pub fn as_slice(&self) -> &[u8] {
        track::reading(self.ptr.as_ptr(), self.len);
        // SAFETY: everything below `len` was written, and this Buf is its only owner.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }

    /// What was written, to change it.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        track::writing(self.ptr.as_ptr(), self.len);
        // SAFETY: as in as_slice, and &mut self keeps every other view away.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len) }
    }

    /// Appends a copy of `bytes`, which must fit.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.spare_len(), "{} bytes do not fit {} spare ones", bytes.len(), self.spare_len());
        track::writing(self.spare_ptr(), bytes.len());
        // SAFETY: the spare room is ours, and `bytes` cannot overlap it since nobody else may see it.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.spare_ptr(), bytes.len()) };
        self.len += bytes.len();
    }

    /// Appends `count` zero bytes, which must fit.
    pub fn fill_zero(&mut self, count: usize) {
        assert!(count <= self.spare_len(), "{count} zeros do not fit {} spare bytes", self.spare_len());
        track::writing(self.spare_ptr(), count);
        // SAFETY: the spare room is ours and at least `count` bytes.
        unsafe { std::ptr::write_bytes(self.spare_ptr(), 0, count) };
        self.len += count;
    }

    /// Forgets what was written from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Forgets what was written; the room is whole again.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Shares what was written, without a copy. A buffer that a tail lent goes back to it
    /// ([`Tail::accept`](super::Tail::accept)) and cannot be frozen.
    pub fn freeze(self) -> Slice {
        match self.home {
            Home::Pool(region) => Slice::of_region(region, self.len),
            Home::Tail(_) => panic!("a lease is handed back to its tail, which publishes it"),
        }
    }

    /// Start of the spare room, for a driver that lets the kernel write there.
    pub(crate) fn spare_ptr(&mut self) -> *mut u8 {
        // SAFETY: len <= capacity, which lies inside the memory.
        unsafe { self.ptr.as_ptr().add(self.len) }
    }

    /// Takes over `count` bytes that were written to the spare room.
    ///
    /// # Safety
    /// The first `count` bytes at [`Buf::spare_ptr`] were written since.
    pub(crate) unsafe fn advance(&mut self, count: usize) {
        assert!(count <= self.spare_len(), "the kernel wrote {count} bytes into {} spare ones", self.spare_len());
        track::writing(self.spare_ptr(), count);
        self.len += count;
    }

    pub(super) fn home(&self) -> &Home {
        &self.home
    }
}

impl fmt::Debug for Buf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buf({} of {} bytes)", self.len, self.capacity)
    }
}

#[cfg(test)]
mod tests {
    use super::super::BLOCK;
    use super::*;

    #[test]
    fn capacity_is_what_was_asked_for() {
        for bytes in [0, 1, 4096, 100_000, 5 << 20] {
            let buf = Buf::with_capacity(bytes);
            assert_eq!((buf.capacity(), buf.len(), buf.spare_len()), (bytes, 0, bytes));
            assert_eq!(buf.as_slice().as_ptr().addr() % BLOCK, 0);
        }
    }

    #[test]
    fn recycled_memory_shows_nothing_of_its_past() {
        let mut old = Buf::with_capacity(64);
        old.extend_from_slice(&[0xAA; 64]);
        drop(old);
        let mut new = Buf::with_capacity(64);
        assert!(new.as_slice().is_empty());
        new.extend_from_slice(b"abc");
        new.fill_zero(2);
        assert_eq!(new.freeze().as_ref(), b"abc\0\0");
    }

    #[test]
    #[should_panic(expected = "do not fit")]
    fn more_than_fits_is_refused() {
        Buf::with_capacity(3).extend_from_slice(b"four");
    }

    #[test]
    fn a_driver_writes_to_the_spare_room() {
        let mut buf = Buf::with_capacity(8);
        buf.extend_from_slice(b"ab");
        // SAFETY: one byte is written and one byte is taken over.
        unsafe {
            buf.spare_ptr().write(b'c');
            buf.advance(1);
        }
        assert_eq!(buf.as_slice(), b"abc");
    }
}

//! The shared, immutable view, and the memory that views keep alive.

use super::limits::BLOCK;
use super::region::Region;
use super::track;
use crate::sync::{Arc, AtomicBool, Ordering};
use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::{Deref, Range};
use std::ptr::NonNull;

/// Immutable bytes that may be shared between owners and threads; cloning counts a reference.
#[derive(Clone)]
pub struct Slice {
    ptr: NonNull<u8>,
    len: usize,
    memory: Memory,
}

/// What keeps the bytes of a slice where they are. The fields are never read: they own.
#[derive(Clone)]
enum Memory {
    Static,
    Region(#[expect(dead_code, reason = "held for its Drop")] Arc<Region>),
    Vec(#[expect(dead_code, reason = "held for its Drop")] Arc<VecMemory>),
    Tail(#[expect(dead_code, reason = "held for its Drop")] Arc<TailMemory>),
}

/// A vector in parts, so that views of its bytes do not depend on how the vector itself is moved.
struct VecMemory {
    ptr: NonNull<u8>,
    len: usize,
    capacity: usize,
}

/// Memory of a [`Tail`](super::Tail), outliving it while slices or a lease are out.
pub(super) struct TailMemory {
    region: Region,
    leased: AtomicBool,
}

// SAFETY: nobody writes to the range of a slice while it exists (regions are frozen, vectors given away, tails write
// behind what they published), so any thread may read it; the memory may be freed on any thread.
unsafe impl Send for Slice {}
// SAFETY: as above, a slice is read-only.
unsafe impl Sync for Slice {}
// SAFETY: VecMemory owns its parts alone and only frees them.
unsafe impl Send for VecMemory {}
// SAFETY: &VecMemory does nothing.
unsafe impl Sync for VecMemory {}

impl TailMemory {
    pub(super) fn new(bytes: usize) -> TailMemory {
        TailMemory { region: Region::new(bytes), leased: AtomicBool::new(false) }
    }

    pub(super) fn ptr(&self) -> NonNull<u8> {
        self.region.ptr()
    }

    pub(super) fn size(&self) -> usize {
        self.region.size()
    }

    /// True between [`TailMemory::begin_lease`] and the end of the lease. Acquire: what the lease wrote is visible to
    /// the tail that sees it ended.
    pub(super) fn is_leased(&self) -> bool {
        self.leased.load(Ordering::Acquire)
    }

    pub(super) fn begin_lease(&self) {
        self.leased.store(true, Ordering::Relaxed);
    }

    pub(super) fn end_lease(&self) {
        self.leased.store(false, Ordering::Release);
    }
}

impl Slice {
    /// No bytes.
    pub const fn empty() -> Slice {
        Slice::from_static(&[])
    }

    /// Bytes of the program itself.
    pub const fn from_static(bytes: &'static [u8]) -> Slice {
        let ptr = NonNull::new(bytes.as_ptr().cast_mut());
        #[expect(clippy::expect_used, reason = "a reference is never null")]
        let ptr = ptr.expect("a reference is never null");
        Slice { ptr, len: bytes.len(), memory: Memory::Static }
    }

    /// A copy of `bytes` in a pooled, aligned buffer.
    pub fn copy_of(bytes: &[u8]) -> Slice {
        let mut buf = super::Buf::with_capacity(bytes.len());
        buf.extend_from_slice(bytes);
        buf.freeze()
    }

    pub(super) fn of_region(region: Region, len: usize) -> Slice {
        Slice { ptr: region.ptr(), len, memory: Memory::Region(Arc::new(region)) }
    }

    /// # Safety
    /// The range lies inside the memory, was written, and nobody writes it again while the memory lives.
    pub(super) unsafe fn of_tail(memory: &Arc<TailMemory>, range: Range<usize>) -> Slice {
        // SAFETY: the caller promises that the range lies inside the memory.
        let ptr = unsafe { memory.ptr().add(range.start) };
        Slice { ptr, len: range.len(), memory: Memory::Tail(Arc::clone(memory)) }
    }

    /// Part of this slice, sharing its memory. `range` must lie inside it.
    pub fn slice(&self, range: Range<usize>) -> Slice {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} is not inside {} bytes", self.len);
        // SAFETY: start <= len, so the address stays inside the same memory.
        let ptr = unsafe { self.ptr.add(range.start) };
        Slice { ptr, len: range.len(), memory: self.memory.clone() }
    }

    /// True when a direct write may take it: address and length are whole blocks.
    pub fn is_aligned(&self) -> bool {
        self.ptr.as_ptr().addr().is_multiple_of(BLOCK) && self.len.is_multiple_of(BLOCK)
    }

    /// True when both are the same bytes at the same address, not merely equal ones.
    pub fn same_memory(&self, other: &Slice) -> bool {
        self.ptr == other.ptr && self.len == other.len
    }
}

impl Deref for Slice {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        track::reading(self.ptr.as_ptr(), self.len);
        // SAFETY: the constructors took `len` written bytes at `ptr` that nobody changes while `memory` is held.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }
}

impl AsRef<[u8]> for Slice {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Default for Slice {
    fn default() -> Slice {
        Slice::empty()
    }
}

/// Takes the vector over without a copy. Such a slice is not aligned: not for direct writes.
impl From<Vec<u8>> for Slice {
    fn from(vec: Vec<u8>) -> Slice {
        let mut vec = ManuallyDrop::new(vec);
        #[expect(clippy::expect_used, reason = "a vector's pointer is never null")]
        let ptr = NonNull::new(vec.as_mut_ptr()).expect("a vector's pointer is never null");
        let memory = VecMemory { ptr, len: vec.len(), capacity: vec.capacity() };
        Slice { ptr, len: memory.len, memory: Memory::Vec(Arc::new(memory)) }
    }
}

impl Drop for VecMemory {
    fn drop(&mut self) {
        // SAFETY: these are the parts of the vector that From took apart, put together exactly once.
        drop(unsafe { Vec::from_raw_parts(self.ptr.as_ptr(), self.len, self.capacity) });
    }
}

impl PartialEq for Slice {
    fn eq(&self, other: &Slice) -> bool {
        **self == **other
    }
}

impl Eq for Slice {}

impl fmt::Debug for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slice({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_share_memory_and_outlive_the_whole() {
        for whole in
            [Slice::copy_of(b"0123456789"), Slice::from(b"0123456789".to_vec()), Slice::from_static(b"0123456789")]
        {
            let part = whole.slice(2..6);
            let same = whole.slice(1..9).slice(1..5);
            assert!(part.same_memory(&same));
            drop((whole, same));
            assert_eq!(&*part, b"2345");
            assert!(part.slice(4..4).is_empty());
        }
    }

    #[test]
    #[should_panic(expected = "not inside")]
    fn a_part_ends_where_the_slice_ends() {
        Slice::copy_of(b"ab").slice(1..3);
    }

    #[test]
    fn aligned_means_address_and_length() {
        let whole = Slice::copy_of(&[1; 3 * BLOCK]);
        for (range, aligned) in
            [(0..BLOCK, true), (BLOCK..3 * BLOCK, true), (0..BLOCK - 1, false), (512..BLOCK + 512, false)]
        {
            assert_eq!(whole.slice(range.clone()).is_aligned(), aligned, "{range:?}");
        }
    }

    #[test]
    fn other_threads_read_it() {
        let slice = Slice::copy_of(b"shared");
        let copy = slice.clone();
        std::thread::scope(|scope| scope.spawn(move || assert_eq!(&*copy, b"shared")).join().expect("it only reads"));
        assert_eq!(&*slice, b"shared");
    }
}

//! One aligned piece of memory and where it comes from. What may be read of it is the business of its users.

use super::gauge::Counted;
use super::limits::{BLOCK, CLASS_MAX, CLASS_MIN, HUGE_PAGE};
use super::{poison, pool, track};
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// Block-aligned memory that goes back to the pool of the thread that drops it.
pub(super) struct Region {
    ptr: NonNull<u8>,
    /// Whole memory in bytes: a size class, or above [`CLASS_MAX`] whole blocks.
    size: usize,
    /// Who counts it, if anybody does.
    counted: Option<Counted>,
}

// SAFETY: a Region is the only owner of its memory, and neither the allocator nor munmap cares which thread frees it.
unsafe impl Send for Region {}
// SAFETY: &Region gives out only the address and the size; who reads or writes there proves it at the access.
unsafe impl Sync for Region {}

impl Region {
    /// Memory of at least `bytes` bytes, with arbitrary content.
    pub(super) fn new(bytes: usize) -> Region {
        let size = size_for(bytes);
        let ptr = pool::take(size).unwrap_or_else(|| allocate(size));
        poison::allow(ptr.as_ptr(), bytes);
        // SAFETY: the memory is at least as large as asked.
        poison::forbid(unsafe { ptr.as_ptr().add(bytes) }, size - bytes);
        Region { ptr, size, counted: None }
    }

    /// Counts this memory on `gauge` while it lives.
    pub(super) fn count_on(&mut self, gauge: &super::Gauge) {
        self.counted = Some(gauge.count(self.size));
    }

    pub(super) fn ptr(&self) -> NonNull<u8> {
        self.ptr
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        if !pool::give(self.ptr, self.size) {
            // SAFETY: `ptr` came from `allocate(size)` and the pool did not take it, so this is its only owner.
            unsafe { release(self.ptr, self.size) };
        }
    }
}

fn size_for(bytes: usize) -> usize {
    if bytes <= CLASS_MAX { bytes.max(CLASS_MIN).next_power_of_two() } else { bytes.next_multiple_of(BLOCK) }
}

fn layout(size: usize) -> Layout {
    #[expect(
        clippy::expect_used,
        reason = "both alignments are powers of two and size_for's callers hold slices, which end at isize::MAX"
    )]
    Layout::from_size_align(size, if size >= HUGE_PAGE { HUGE_PAGE } else { BLOCK })
        .expect("a size class is a valid layout")
}

/// True for memory from the kernel itself. Miri cannot cut a mapping to size, and takes the allocator's.
const fn is_mapped(size: usize) -> bool {
    size >= HUGE_PAGE && !cfg!(miri)
}

fn allocate(size: usize) -> NonNull<u8> {
    if is_mapped(size) {
        return map_huge(size);
    }
    let layout = layout(size);
    // SAFETY: size_for never returns zero.
    let ptr = unsafe { alloc(layout) };
    NonNull::new(ptr).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Gives memory back to the system.
///
/// # Safety
/// `ptr` came from [`allocate`] with this `size` and nobody uses it any more.
pub(super) unsafe fn release(ptr: NonNull<u8>, size: usize) {
    track::released(ptr.as_ptr(), size);
    poison::allow(ptr.as_ptr(), size);
    if is_mapped(size) {
        // SAFETY: map_huge left exactly this range mapped, and the caller owns it.
        let rc = unsafe { libc::munmap(ptr.as_ptr().cast(), size) };
        assert!(rc == 0, "munmap of our own mapping failed");
    } else {
        // SAFETY: the caller promises that `allocate` made it, with the same layout.
        unsafe { dealloc(ptr.as_ptr(), layout(size)) };
    }
}

/// Maps `size` bytes on a huge-page boundary: maps one huge page more and cuts both ends off.
fn map_huge(size: usize) -> NonNull<u8> {
    let span = size + HUGE_PAGE;
    // SAFETY: an anonymous private mapping at an address of the kernel's choice touches nobody's memory.
    let base = unsafe {
        let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        libc::mmap(std::ptr::null_mut(), span, prot, flags, -1, 0)
    };
    if base == libc::MAP_FAILED {
        handle_alloc_error(layout(size));
    }
    let base = base.cast::<u8>();
    let head = base.align_offset(HUGE_PAGE);
    let start = base.wrapping_add(head);
    unmap_part(base, head);
    unmap_part(start.wrapping_add(size), HUGE_PAGE - head);
    // SAFETY: the range is ours and mapped. A refusal costs speed only, so the result does not matter.
    unsafe { libc::madvise(start.cast(), size, libc::MADV_HUGEPAGE) };
    NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout(size)))
}

fn unmap_part(at: *mut u8, len: usize) {
    if len > 0 {
        // SAFETY: map_huge passes ends of its own fresh mapping that nobody has seen yet; both are whole pages.
        let rc = unsafe { libc::munmap(at.cast(), len) };
        assert!(rc == 0, "munmap of our own mapping failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_classes_and_then_whole_blocks() {
        for (asked, got) in [
            (0, 4096),
            (1, 4096),
            (4097, 8192),
            (1 << 20, 1 << 20),
            (CLASS_MAX, CLASS_MAX),
            (CLASS_MAX + 1, CLASS_MAX + BLOCK),
        ] {
            assert_eq!(size_for(asked), got, "asked for {asked}");
        }
    }

    #[test]
    fn large_memory_is_huge_page_aligned() {
        for size in [HUGE_PAGE, CLASS_MAX, CLASS_MAX + 5] {
            let region = Region::new(size);
            assert_eq!(region.ptr().as_ptr().addr() % HUGE_PAGE, 0);
        }
    }
}

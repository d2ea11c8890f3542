//! The provided-buffer ring: buffers that belong to no connection until bytes arrive, so that idle connections hold
//! none.

use crate::io::limits::{ANY_BYTES, CROWD_COPIED_MAX, RING_BUFFERS};
use crate::mem::Buf;
use io_uring::types::BufRingEntry;
use io_uring::{IoUring, cqueue};
use std::io;
use std::mem::size_of;
use std::sync::atomic::{AtomicU16, Ordering};

/// The one buffer group of a ring.
pub(super) const GROUP: u16 = 0;

/// Buffers lent to the kernel, by buffer id.
pub(super) struct BufRing {
    /// The entries that the kernel reads; page-aligned, alive until the ring is gone.
    entries: Buf,
    /// What each buffer id stands for; full except within [`BufRing::take`].
    bufs: Vec<Buf>,
    tail: u16,
    /// Bytes that were copied out of buffers, ever.
    copied: u64,
}

impl BufRing {
    /// Registers a ring of fresh buffers. EINVAL on kernels before 5.19.
    pub(super) fn register(ring: &IoUring) -> io::Result<BufRing> {
        let bytes = usize::from(RING_BUFFERS) * size_of::<BufRingEntry>();
        let mut entries = Buf::with_capacity(bytes);
        entries.fill_zero(bytes);
        let address = entries.as_mut_slice().as_mut_ptr() as u64;
        // SAFETY: the memory holds RING_BUFFERS entries, is page-aligned, and lives in the BufRing, which the driver
        // keeps (or leaks) until the ring is gone.
        unsafe { ring.submitter().register_buf_ring_with_flags(address, RING_BUFFERS, GROUP, 0)? };
        let bufs = (0..RING_BUFFERS).map(|_| Buf::with_capacity(ANY_BYTES)).collect();
        let mut this = BufRing { entries, bufs, tail: 0, copied: 0 };
        (0..RING_BUFFERS).for_each(|id| this.lend(id));
        Ok(this)
    }

    /// Bytes that were copied out of buffers, ever.
    pub(super) fn copied_bytes(&self) -> u64 {
        self.copied
    }

    /// Tells the kernel that it may use buffer `id` again.
    fn lend(&mut self, id: u16) {
        let index = usize::from(self.tail & (RING_BUFFERS - 1));
        let buf = &mut self.bufs[usize::from(id)];
        let base = self.entries.as_mut_slice().as_mut_ptr().cast::<BufRingEntry>();
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: `index` is inside the RING_BUFFERS entries; the kernel does not read an entry before the tail passes
        // it. The tail lies in the unused bytes of the first entry, which setting address, length and id leaves alone.
        unsafe {
            let entry = &mut *base.add(index);
            entry.set_addr(buf.spare_ptr() as u64);
            entry.set_len(buf.spare_len() as u32);
            entry.set_bid(id);
            AtomicU16::from_ptr(BufRingEntry::tail(base).cast_mut()).store(self.tail, Ordering::Release);
        }
    }

    /// Takes the buffer out that the kernel put `count` bytes into, and lends a fresh one in its place. `None` when the
    /// completion carried no buffer; a buffer without bytes is lent again as it is.
    /// In a crowd, few bytes are copied.
    pub(super) fn take(&mut self, flags: u32, count: usize, is_crowd: bool) -> Option<Buf> {
        let id = cqueue::buffer_select(flags)?;
        let buf = &mut self.bufs[usize::from(id)];
        // SAFETY: the kernel said in this completion that it wrote `count` bytes at the buffer's spare pointer.
        unsafe { buf.advance(count) };
        let taken = match count {
            0 => None,
            1..=CROWD_COPIED_MAX if is_crowd => {
                self.copied += count as u64;
                let mut small = Buf::with_capacity(count);
                small.extend_from_slice(buf.as_slice());
                Some(small)
            }
            _ => Some(std::mem::replace(buf, Buf::with_capacity(ANY_BYTES))),
        };
        buf.clear();
        self.lend(id);
        taken
    }
}

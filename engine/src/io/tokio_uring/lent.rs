//! Buffers lent to the kernel for receives that bring none, one entry for each: the crate drives ops that complete once,
//! and with those the older kind of provided buffers is to be had, but not the ring of them.

use super::shot;
use crate::io::limits::{ANY_BYTES, RING_BUFFERS};
use crate::mem::Buf;
use io_uring_06::{cqueue, opcode};

/// The one buffer group of a ring.
pub(super) const GROUP: u16 = 0;

/// Buffers lent to the kernel, by buffer id.
pub(super) struct Lent(Vec<Buf>);

impl Lent {
    /// Lends fresh buffers. Within the runtime.
    pub(super) fn new() -> Lent {
        let mut lent = Lent((0..RING_BUFFERS).map(|_| Buf::with_capacity(ANY_BYTES)).collect());
        (0..RING_BUFFERS).for_each(|id| lent.lend(id));
        lent
    }

    fn lend(&mut self, id: u16) {
        let buf = &mut self.0[usize::from(id)];
        let (address, len) = (buf.spare_ptr(), buf.spare_len() as i32);
        // The buffer stays in the table until the kernel has put bytes into it, or the ring is gone.
        shot::forgotten(opcode::ProvideBuffers::new(address, len, 1, GROUP, id).build());
    }

    /// Takes the buffer out that the kernel put `count` bytes into, and lends a fresh one in its place. `None` when the
    /// completion carried no buffer; a buffer without bytes is lent again as it is. Within the runtime.
    pub(super) fn take(&mut self, flags: u32, count: usize) -> Option<Buf> {
        let id = cqueue::buffer_select(flags)?;
        let buf = &mut self.0[usize::from(id)];
        // SAFETY: the kernel said in this completion that it wrote `count` bytes at the buffer's spare pointer.
        unsafe { buf.advance(count) };
        let taken = match count {
            0 => None,
            _ => Some(std::mem::replace(buf, Buf::with_capacity(ANY_BYTES))),
        };
        buf.clear();
        self.lend(id);
        taken
    }
}

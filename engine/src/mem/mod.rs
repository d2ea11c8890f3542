//! Memory of a shard: page-aligned buffers that are written by one owner and then shared without copying.
//!
//! * [`Buf`] is unique and writable, taken from a per-thread pool of size classes.
//! * [`Slice`] is a shared, immutable range of a buffer; cloning it is a reference count.
//! * [`Gauge`] counts the memory of the buffers made with it for as long as it lives.
//! * [`Tail`] is an append-only chunk: what was published is frozen and shared as slices while the rest is still being
//!   written by its one owner. A [`Lease`] lends the next bytes of it to a receive.
//!
//! Recycled memory holds what its last user left there. No type here hands out a byte that was not written through it:
//! every safe face ends at `len`, and [`Buf::fill_zero`] is the way to pad.
//!
//! A buffer dropped on another thread joins *that* thread's pool. Home queues would keep pools balanced, but every path
//! that moves memory between cores (produce to the owner, fetch back) also copies or returns it, so they are not worth
//! their atomics; the pool's bound catches the imbalance.

mod buf;
mod gauge;
mod limits;
#[cfg(test)]
mod oracle;
mod poison;
mod pool;
mod region;
mod slice;
mod tail;
mod track;

pub use buf::Buf;
pub use gauge::Gauge;
pub use limits::BLOCK;
pub use pool::{pooled_bytes, release_idle, trim};
pub use slice::Slice;
pub use tail::{Lease, Tail};
#[cfg(loom)]
pub use track::scribble;

/// `bytes` rounded up to whole blocks.
pub const fn round_up_to_block(bytes: usize) -> usize {
    bytes.next_multiple_of(BLOCK)
}

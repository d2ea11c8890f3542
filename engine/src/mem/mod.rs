//! Memory of a shard: page-aligned buffers that are written by one owner and then shared without copying.
//!
//! * [`Buf`] is unique and writable, taken from a per-thread pool of size classes.
//! * [`Slice`] is a shared, immutable range of a buffer; cloning it is a reference count.
//! * [`Tail`] is an append-only chunk: what was published is frozen and shared as slices while the rest is still being
//!   written by its one owner.

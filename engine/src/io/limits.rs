//! Bounds of the drivers.

/// Size of the buffers that receives into [`RecvInto::Any`](super::RecvInto::Any) get, in bytes. A small request wastes
/// most of it, so consumers give it back soon, or copy what they keep; a page that nobody touched costs nothing.
pub(super) const ANY_BYTES: usize = 64 << 10;

/// Buffers that wait in a ring for bytes of any connection; a power of two, as the kernel wants.
pub(super) const RING_BUFFERS: u16 = 64;

/// Most pieces in one vectored call: the kernel's UIO_MAXIOV.
pub(super) const IOVECS_MAX: usize = 1024;

/// Ring entries asked for, and the fewest that are worth having. Halved while the kernel says ENOMEM, because rings
/// count against the locked-memory limit since Linux 6.14.
pub(super) const RING_ENTRIES: std::ops::RangeInclusive<u32> = 64..=1024;

/// How long a dropped driver over a ring waits for the kernel to let go of memory before it leaks the rest, in
/// milliseconds.
pub(super) const LET_GO_MS: u64 = 1000;

/// How long a peer may take none of what was sent to it without a copy once its connection was shut down, in milliseconds:
/// until then the kernel reads our buffers.
pub(super) const UNTAKEN_MS: u32 = 1000;

/// Of receives that one reap of a driver brings, those behind so many are copied out of their buffer where they are
/// small: a crowd that speaks at once would take a large buffer for each of its few bytes.
pub(super) const CROWD: usize = 16;

/// What counts as small there, in bytes.
pub(super) const CROWD_COPIED_MAX: usize = 4 << 10;

/// epoll events taken at once.
pub(super) const EVENTS_MAX: usize = 256;

const _: () = assert!(RING_BUFFERS.is_power_of_two(), "the kernel masks the ring index");
const _: () = assert!(ANY_BYTES.is_power_of_two(), "a size class of its own wastes no memory");

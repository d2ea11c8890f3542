//! Every bound of the transport, and how they fit together.

/// Up to here a frame holds what arrived and no room at all, in bytes: ten thousand that only begin one must cost little.
/// Less than a page, since no room is smaller than that.
pub(crate) const EARLY_MAX: usize = 2 << 10;

/// Room for each byte that arrived, until [`EARNED_AT`]. With twice as much every byte would be copied twice on average.
pub(crate) const ROOM_FACTOR: usize = 4;

/// Once this much of a frame has arrived, it is received straight into its own memory, in bytes.
pub(crate) const EARNED_AT: usize = 32 << 10;

/// Room that [`EARNED_AT`] bytes earn at once, so that an ordinary large request is copied only as far as it arrived
/// before; beyond, room doubles with what arrived. In bytes.
pub(crate) const EARNED_ROOM: usize = 2 << 20;

/// Most of a large frame that is received apart, in bytes, to see what it is before its rest is received in place. Requests
/// have shorter heads, unless names are very long.
pub(crate) const HEAD_MAX: usize = 512;

/// Most connections that wait for the head of a large frame, each with a page of memory; the others wait without.
pub(crate) const HEADS_MAX: usize = 1024;

/// A frame in a receive buffer that holds no more than this, in bytes, gets memory of its own if it may stay: otherwise it
/// would keep the whole buffer, which is sixteen times as large.
pub(crate) const SPARSE_MAX: usize = 4 << 10;

/// Largest room that one receive must fill before we hear of it again, in bytes: slower clients than this per idle
/// limit would look idle.
pub(crate) const FILL_MAX: usize = 4 << 20;

/// Most frames of a shard in places of somebody else's at a time: they pin memory that we cannot count.
pub(crate) const PLACED_MAX: usize = 16;

/// Most pieces in one vectored send: the kernel's `IOV_MAX`.
pub(crate) const SEND_PIECES_MAX: usize = 1024;

/// Bytes after which a send takes no further piece, so that a slow reader shows progress.
pub(crate) const SEND_BYTES_SOFT: usize = 4 << 20;

/// Pause after a failed accept (out of descriptors, mostly), in milliseconds.
pub(crate) const ACCEPT_RETRY_MS: u64 = 100;

/// While the budget is spent, a peer that finished taking no part of its answers for this long is let go, in milliseconds:
/// shorter than clients wait for an answer, long enough for 4 MiB at 3 Mbit/s.
pub(crate) const STALLED_MS: u64 = 10_000;

/// As [`STALLED_MS`], for a frame that fills a room, in bytes a millisecond.
pub(crate) const STALLED_BYTES_PER_MS: u64 = 400;

/// A frame that has begun may bring nothing for this long, in milliseconds: as long as clients wait for an answer by default
/// (`request.timeout.ms`), so that whoever is slower has given up by itself.
pub(crate) const FRAME_GRACE_MS: u64 = 30_000;

/// What a frame must bring on average once the grace is used up, in bytes a millisecond: 1 MiB then takes a minute and a half,
/// three times what clients wait by default.
pub(crate) const FRAME_BYTES_PER_MS_MIN: u64 = 16;

/// Milliseconds between two looks for such peers.
pub(crate) const STALLED_CHECK_MS: u64 = 500;

/// Times to look at connections that may stay after those are gone, beside twice as many as there are connections.
pub(crate) const TIMES_KEPT: usize = 1024;

/// Bits of a connection id that name its slot; the rest counts connections.
pub(crate) const SLOT_BITS: u32 = 24;

const _: () = assert!(HEAD_MAX < EARLY_MAX, "a head is not a large frame");
const _: () = assert!(STALLED_MS < FRAME_GRACE_MS, "short memory makes less patient");
const _: () = assert!(EARLY_MAX < EARNED_AT && ROOM_FACTOR > 1, "rooms must grow");
const _: () = assert!(ROOM_FACTOR * EARNED_AT < EARNED_ROOM, "earned room must be more than the ones before");

/// What an operator may set.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest request frame in bytes (`socket.request.max.bytes`).
    pub frame_bytes_max: usize,
    /// Requests of one connection that may wait for their answer; beyond, its socket is not read.
    pub requests_in_flight_max: usize,
    /// Bytes of unanswered requests of one connection; beyond, its socket is not read.
    pub unanswered_bytes_max: usize,
    /// Answer bytes that one connection's peer has not taken; beyond, its socket is not read.
    pub unsent_bytes_max: usize,
    /// What all connections of this shard may hold together, received and unsent, in bytes.
    pub budget_bytes: usize,
    /// Whether a frame asks for an answer so large that two of them at a time are too many. Such a frame is handed out once
    /// the answer to the one before has been taken by the socket, as Kafka does with every frame; those behind it wait too.
    /// It gets a reply, or its connection is closed.
    pub is_large_ask: fn(&[u8]) -> bool,
    /// Whether a frame is done with in the turn that it is handed out in, so that it may lie in the large buffer that it was
    /// received into. Others get memory of their own where they would waste much of that.
    pub is_brief: fn(&[u8]) -> bool,
    /// A connection that moves no byte for this long is closed, in milliseconds (`connections.max.idle.ms`).
    pub idle_ms: Option<u64>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            frame_bytes_max: 100 << 20,
            requests_in_flight_max: 256,
            unanswered_bytes_max: 16 << 20,
            unsent_bytes_max: 16 << 20,
            budget_bytes: 256 << 20,
            is_large_ask: |_| false,
            is_brief: |_| false,
            idle_ms: Some(600_000),
        }
    }
}

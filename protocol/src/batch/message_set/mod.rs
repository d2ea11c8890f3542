//! Messages of magic 0 and 1, which clients before 0.11 write and read in place of record batches, and their conversion:
//! [`up`] makes a produced set one batch, [`down`] makes stored batches a set. Neither format is ever stored.
//!
//! ```text
//!  0        8        12       16   17     18 (magic 1)  18 / 26
//!  ┌────────┬────────┬────────┬────┬──────┬───────────┬──────────────────┬──────────────────┐
//!  │ offset │ size   │ crc    │ ma │ attr │ timestamp │ key length, key  │ value length,    │
//!  │ i64    │ i32    │ 32     │ gic│ i8   │ i64, ms   │ i32, -1: null    │ value; i32       │
//!  └────────┴────────┴────────┴────┴──────┴───────────┴──────────────────┴──────────────────┘
//!           └ counts the bytes from 12 on
//!                    └ covers the bytes from 16 on: CRC-32 of IEEE 802.3, not Castagnoli's
//! ```
//! All integers are big-endian. A set is messages back to back; in answers the last may be cut short. Attributes: codec in
//! bits 0 to 2 (gzip, snappy, lz4; never zstd), with magic 1 bit 3 for LogAppendTime. A message with a codec is a *wrapper*:
//! its value is a compressed set, its offset that of the last message inside. Inside, magic 0 has absolute offsets and
//! magic 1 such as count from the first (KIP-31). Wrappers do not nest, and lz4 in magic 0 has a header checksum of its
//! own (KAFKA-3160).
//!
//! Which request or answer carries which magic is for the broker to say.

mod down;
mod error;
mod message;
mod up;

pub use down::{Down, DownRules, First, down};
pub use error::MessageSetError;
pub use message::{Magic, Message, Messages, messages};
pub use up::{UpRules, up};

use super::layout;

/// The magic byte of the first message or batch of a record set, if that many bytes are there.
#[must_use]
pub fn magic_of(set: &[u8]) -> Option<i8> {
    set.get(layout::MAGIC).map(|magic| *magic as i8)
}

//! Record batches of magic 2: reading, checking, patching and building them, without a copy of what is only read.
//!
//! Here is the format and what Kafka demands of one record set. Deliberately elsewhere: which offset a batch gets, whether
//! its sequence follows the producer's last one, and where its bytes lie on disk.
//!
//! ```text
//!  0        8        12       16  17       21     23       27        35        43       51     53       57       61
//!  ┌────────┬────────┬────────┬───┬────────┬──────┬────────┬─────────┬─────────┬────────┬──────┬────────┬────────┬──────────
//!  │ base   │ batch  │ leader │ m │ crc    │ attr │ last   │ base    │ max     │ prod.  │ prod.│ base   │ record │ records …
//!  │ offset │ length │ epoch  │ a │ 32c    │ i16  │ offset │ time-   │ time-   │ id     │ epoch│ seq.   │ count  │ plain or
//!  │ i64    │ i32    │ i32    │ g │ u32    │      │ Δ i32  │ stamp   │ stamp   │ i64    │ i16  │ i32    │ i32    │ compressed
//!  └────────┴────────┴────────┴───┴────────┴──────┴────────┴─────────┴─────────┴────────┴──────┴────────┴────────┴──────────
//!           └ counts the bytes from 12 on          └──────────────── the CRC covers 21 to the end ─────────────────
//! ```
//! All integers are big-endian; inside records they are zigzag varints. The bytes before 21 can change without touching the
//! CRC, which is why a broker can assign offsets to a batch that it never rebuilds ([`patch`]).

mod builder;
mod check;
mod control;
mod edit;
mod error;
mod fields;
mod header;
pub mod layout;
pub mod limits;
pub mod message_set;
mod produce;
mod quick;
mod rebuild;
mod records;
mod scan;
mod thin;
mod varint;
mod view;

pub use builder::BatchBuilder;
pub use control::{ControlError, ControlRecord, EndTxnMarker};
pub use edit::{patch, set_log_append_time};
pub use error::BatchError;
pub use header::{Attributes, BatchHeader, TimestampType};
pub use layout::HEADER_LEN;
pub use limits::Limits;
pub use produce::{Depth, ProduceRules, TimestampWindow, Validated, validate_produce};
pub use rebuild::recompress;
pub use records::{Header, Headers, Record, Records, RecordsIter};
pub use scan::{Batches, iter_batches};
pub use thin::{Opened, RawRecord, Thinned, Thinner, Walk};
pub use view::BatchView;

/// The only batch format that is read and written.
pub const MAGIC: i8 = 2;
/// The producer id of a batch whose producer is not idempotent.
pub const NO_PRODUCER_ID: i64 = -1;
/// The producer epoch that goes with [`NO_PRODUCER_ID`].
pub const NO_PRODUCER_EPOCH: i16 = -1;
/// The base sequence that goes with [`NO_PRODUCER_ID`].
pub const NO_SEQUENCE: i32 = -1;
/// The timestamp of a record or batch that has none, in milliseconds.
pub const NO_TIMESTAMP: i64 = -1;
/// The leader epoch of a batch that no leader has appended yet.
pub const NO_LEADER_EPOCH: i32 = -1;

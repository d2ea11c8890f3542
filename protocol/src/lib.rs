//! Kafka's wire format: messages, headers, error codes, record batches, compression.
//!
//! Pure: no clock, no I/O, no unsafe. What a request *means* is the broker's business; which of the versions in
//! [`VERSIONS`] are advertised is the broker's choice.
//!
//! ```text
//! frame ─► Reader ─► RequestHeader ─► messages::ProduceRequest ─► Records::Bytes ─► batch
//!                    ResponseHeader ◄ messages::FetchResponse ◄── Records::External
//! frame ◄─ Writer ◄───────┘
//! ```
//!
//! Messages are generated from readable tables in `protocol/schema` by `cargo xtask codegen`; `protocol/README.md`
//! describes their language.

pub mod batch;
pub mod compress;
pub mod crc;
pub mod error;
pub mod error_code;
pub mod header;
pub mod large_produce;
pub mod limits;
pub mod messages;
pub mod reader;
pub mod types;
pub mod uuid;
pub mod version;
pub mod writer;

pub use error::{DecodeError, EncodeError};
pub use error_code::ErrorCode;
pub use header::{RequestHeader, ResponseHeader};
pub use messages::keys::{ApiKey, VERSIONS, legacy, supported};
pub use reader::Reader;
pub use types::{Bytes, Records, Str};
pub use uuid::Uuid;
pub use version::{ApiVersionRow, VersionRange};
pub use writer::{Piece, Writer};

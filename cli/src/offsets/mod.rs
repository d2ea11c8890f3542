//! Where partitions begin and end: `ringlog offsets`, and in [`kafka`] `kafka-get-offsets`.

pub mod kafka;
mod own;
mod which;

pub use own::{OffsetsArgs, run};

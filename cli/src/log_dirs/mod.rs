//! Where brokers keep logs and how much they take: `ringlog log-dirs`, and in [`kafka`] `kafka-log-dirs`.

pub mod kafka;
mod own;
mod read;

pub use own::{LogDirsArgs, run};

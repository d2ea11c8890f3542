//! Deleting records from the front of partitions: `ringlog delete-records`, and in [`kafka`] `kafka-delete-records`.

pub mod kafka;
mod own;
mod plan;
mod purge;

pub use own::{DeleteRecordsArgs, run};

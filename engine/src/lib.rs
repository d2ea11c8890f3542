//! One core's runtime and its logs.
//!
//! Reading order: [`time`] and [`mem`] are the vocabulary, [`io`] is the one seam to the world, [`mailbox`] carries
//! messages between cores, [`shard`] runs tasks over the seam, [`log`] is the storage engine itself. Nothing here knows
//! Kafka's requests; the record batch layout comes from the `protocol` crate.

mod sync;

pub mod time;

pub mod mem;

pub mod io;

pub mod mailbox;

pub mod shard;

pub mod log;

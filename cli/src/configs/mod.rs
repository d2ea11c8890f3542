//! Settings of topics, brokers, loggers, client metrics and groups. The operations are in [`resource`]; here is our own face on them,
//! `ringlog configs …`, and in [`kafka`] that of `kafka-configs`.

mod grammar;
pub mod kafka;
pub mod names;
mod own;
mod resource;

pub use own::{ConfigsArgs, run};

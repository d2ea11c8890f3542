//! The ringlog binary: command line, boot, the one loop.
//!
//! Reading order: [`boot`] tells the story of a start, [`crew`] brings the threads up, [`recover`] opens the logs, and
//! [`shard`] is the loop that then runs. What requests mean is the `broker` crate's; how bytes get to disk is the engine's.

pub mod args;
pub mod boot;
pub mod budget;
pub mod cold;
pub mod config;
pub mod counts;
pub mod crew;
pub mod data_dir;
pub mod driver;
pub mod dump;
pub mod endpoints;
pub mod identity;
pub mod links;
pub mod listen;
pub mod live;
pub mod log_dirs;
pub mod logging;
pub mod machine;
pub mod peer_log;
pub mod place;
pub mod recover;
pub mod report;
pub mod shard;
pub mod stages;
pub mod store;
pub mod sys;
pub mod verify;

//! The simulator: everything a shard does to its logs, from one seed, on a disk that loses what it may lose.
//!
//! One run drives a [`LogSet`](engine::log::LogSet) in a [`SimWorld`](engine::io::sim::SimWorld): appends, reads, cuts at both
//! ends, retention, deletion, clean restarts, kills and power cuts, also in the middle of a recovery. Beside it runs a
//! model that remembers every batch; after each step, and after each start, the log is held against it:
//!
//! - what was reported durable is there, byte for byte, at its offset;
//! - what is there is a prefix of what was appended, without holes, and nothing that was taken back;
//! - a clean stop loses nothing; snapshots and producers' batches come back as they were.
//!
//! Reading order: `model` is what must be true, `shard` the loop, `step` what may happen, `run` puts them together.
//! Deliberately absent so far: the broker, the network, several shards, disk errors.

mod batches;
mod limits;
mod model;
mod run;
mod shard;
mod step;
mod violation;

pub use limits::STEPS_DEFAULT;
pub use run::{Finding, Summary, run};
pub use violation::Violation;

//! One shard's logs by themselves: a [`LogSet`](engine::log::LogSet) in a world, without a broker or clients above it.
//!
//! Appends, reads, cuts at both ends, retention, deletion, clean restarts, kills and power cuts, also in the middle of a
//! recovery. Beside it runs a model that remembers every batch; after each step, and after each start, the log is held
//! against it:
//!
//! - what was reported durable is there, byte for byte, at its offset;
//! - what is there is a prefix of what was appended, without holes, and nothing that was taken back;
//! - a clean stop loses nothing; snapshots and producers' batches come back as they were.
//!
//! It reaches what no client can ask for, such as a cut at the log's end. Reading order: `model` is what must be true,
//! `shard` the loop, `step` what may happen, `run` puts them together.

mod batches;
mod limits;
mod model;
mod run;
mod shard;
mod step;
mod violation;

pub use limits::STEPS_DEFAULT;
pub use run::{Finding, Summary, run, run_drawn, run_moving};
pub use violation::Violation;

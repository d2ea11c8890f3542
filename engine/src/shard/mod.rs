//! One core's runtime: a driver, and a small deterministic executor for long sequential work over it.
//!
//! Machines submit ops with their own [`Owner`](crate::io::Owner) and get the completions from [`Io::turn`]; tasks await
//! [`Io::call`]. The order of a turn is the loop's business and lives with the loop, in the node and in tests. A task
//! owns no shard state: it ends by handing one value to the machine that started it.

mod class;
mod executor;
mod io;
mod op_future;

pub use class::{Class, Permit};
pub use io::Io;
pub use op_future::{OpFuture, YieldNow};

#[cfg(test)]
mod tests;

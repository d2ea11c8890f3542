//! How a consumer group is doing: OK, WARN, STOP, STALL or REWIND for each partition, and why.
//!
//! The rules are those of LinkedIn's Burrow, whose verdicts people's alerts are built on. They look at a sliding window of
//! a partition's last commits instead of at one number of lag, so that no threshold has to be chosen. Unlike Burrow, which
//! has to watch a cluster for ten intervals before it knows anything, one call reads the past: the commits with their times
//! from `__consumer_offsets`, and what each log's end was then from the records' timestamps.
//!
//! ```text
//! __consumer_offsets ─► history ─► window ─┐
//! ListOffsets at those times ──────────────┴► rules ─► verdict ─► group
//! ```
//! Here is no connection: what is read comes in as values. The command that reads and prints is [`crate::groups`].

pub(crate) mod group;
pub(crate) mod history;
pub(crate) mod rules;
pub(crate) mod window;

pub(crate) use group::{GroupVerdict, judge_group};
pub(crate) use window::{Commit, Partition, Window};

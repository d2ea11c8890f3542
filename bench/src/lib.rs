//! A load generator for any Kafka broker, and the comparison that runs ours, Kafka and others on the same core.
//!
//! The generator: [`frames`] encodes requests once, [`load`] drives connections from one thread, [`stats`] counts; [`append`]
//! drives our engine without a broker, [`compaction`] watches a log get small, [`members`] are groups that join, leave and
//! live. The comparison: [`scenario`] has workloads and their [`goal`]s as data, [`peers`]
//! starts and measures processes, [`measure`] carries a scenario out, [`compare`] decides what runs when ([`drivers`]: between our own), [`results`] keeps
//! it, [`estimate`] says how far it can be trusted, [`report`] tells it. [`machine`] and [`disk`] know the host.

pub mod frames;

pub mod stats;

pub mod load;

pub mod append;
pub mod compaction;
pub mod members;

pub mod peers;

pub mod disk;
pub mod machine;

pub mod estimate;
pub mod goal;
pub mod scenario;

pub mod measure;

pub mod results;

pub mod compare;
pub mod drivers;

pub mod report;

//! The whole node with its clients: boot, shards, transport, broker and engine as they are in production, over a simulated
//! disk, network and clock, in one thread, from one seed.
//!
//! Producers, consumers and an administrator speak Kafka's protocol to it while a nemesis kills it, cuts its power, breaks
//! its disk and its network and moves its clock. What they were told and what they read must fit together; when the
//! faults have stopped, everything must be answered.
//!
//! Reading order: `plan` is what a seed comes to, `truth` what must be true, `run` the loop; `process` brings the node up,
//! `producer`, `consumer`, `admin`, `operator` and `auditor` are its clients. N is one node until there are clusters.

mod admin;
mod auditor;
mod client;
mod configs;
mod consumer;
mod groups;
mod holders;
mod keyed;
mod member;
mod nemesis;
mod old;
mod operator;
mod plan;
pub mod process;
mod producer;
mod remote;
mod run;
mod truth;
mod violation;
mod wire;

pub use plan::{Feature, Plan};
pub use run::{Finding, Summary, run};
pub use truth::BatchKey;
pub use violation::{Place, Violation};

//! The simulator: Ringlog's own code on a disk, a network and a clock that misbehave, from one seed.
//!
//! Two levels: [`cluster`] is the whole node with clients that speak Kafka's protocol, [`logs`] one shard's logs by
//! themselves, driven harder than any client could. A seed says everything about a run of either. [`campaign`] runs many,
//! [`planted`] examines whether they would notice, [`reach`] whether they came everywhere.

pub mod campaign;
pub mod cluster;
pub mod logs;
pub mod planted;
pub mod reach;

//! Consumer groups of both protocols: a pure coordinator machine, its record formats, and how the broker wires it. The APIs'
//! requests are decoded and their answers encoded in `api`.

pub(crate) mod answers;
pub(crate) mod commit;
pub(crate) mod consumer;
mod coordinator;
pub(crate) mod delete;
pub(crate) mod describe;
pub(crate) mod effects;
mod expiry;
mod fetch;
pub(crate) mod gather;
mod hash;
pub(crate) mod heartbeat;
mod hold;
pub(crate) mod ids;
pub(crate) mod join;
pub(crate) mod leave;
mod limits;
mod load;
pub(crate) mod member;
mod memory;
pub(crate) mod offsets;
mod rebalance;
pub(crate) mod records;
mod replay;
mod settings;
mod state;
mod subscription;
pub(crate) mod sync;
mod timers;
pub(crate) mod wiring;

pub use gather::{GroupAsk, GroupTell};

#[cfg(feature = "testing")]
pub(crate) use {coordinator::Coordinator, records::Fact, settings::GroupSettings, subscription::topics_of};

#[cfg(test)]
mod tests;

//! Kafka's semantics as a state machine: one [`Broker`] per shard, driven by [`Input`]s, answering with [`Effect`]s.
//!
//! Calling order: build with `Broker::new`, adopt what recovery found, then for every turn call `Broker::handle` for
//! each input, drain `Broker::poll_effect`, and wake it again at `Broker::next_deadline` with [`Input::Tick`].
//! There is no clock, no I/O and no thread in here: time comes in with each call, effects go out as values, and storage
//! is the synchronous [`Store`] trait. Sockets, files and mailboxes are the `node` crate's.

pub mod io;
pub mod limits;
pub mod settings;
pub mod store;

pub mod api;
pub mod append_then;
pub mod broker;
pub mod config;
pub mod controller;
pub mod cores;
mod disk;
pub mod front;
pub mod group;
pub mod image;
pub mod legacy;
pub mod log_dirs;
pub mod loggers;
pub mod partition;
pub mod replay;
pub mod request;

#[cfg(feature = "testing")]
#[expect(clippy::expect_used, reason = "a mistake of a test ends the test")]
pub mod testing;

pub use append_then::Then;
pub use broker::Broker;
pub use front::{Baggage, Message};
pub use io::{ConnId, Effect, Input, Now, Origin, ShardId};
pub use partition::PartitionKey;
pub use partition::lifecycle::RecoveredLog;
pub use request::{Header, Refusal, Request};
pub use settings::BrokerSettings;
pub use store::{Chunk, LogId, Store};

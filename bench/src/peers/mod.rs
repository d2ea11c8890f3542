//! Who is measured. [`contender`] names systems and what their acknowledgement means; [`ringlog`], [`kafka`] and [`nats`]
//! say how each is started on one core; [`process`] starts, measures, kills and restarts them; [`group`] bounds their memory.

pub mod contender;
pub mod group;
pub mod kafka;
pub mod nats;
pub mod process;
pub mod ringlog;

pub use contender::{Class, Contender, Peer};
pub use group::MemoryGroup;
pub use process::{Broker, BrokerError, Setup, Tools, Usage};

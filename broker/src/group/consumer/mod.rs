//! Consumer groups of the new protocol (KIP-848): the coordinator assigns partitions itself and walks each member there by
//! heartbeats, revoking before it assigns. Offsets, deletion, expiry and the classic protocol are the folder's above; members of
//! the classic protocol inside such a group are in `classic`, how a group changes between the two in `migrate`.
//!
//! ```text
//! subscriptions, topics ──change──▶ group epoch ──assignor──▶ target assignment ──heartbeats──▶ each member's assignment
//! ```
//! A group epoch names one set of members, subscriptions and topics; the assignment epoch is that of the last computed target; a
//! member's epoch is that of the target it has reached.

pub(crate) mod advance;
pub(crate) mod assignor;
pub(crate) mod classic;
pub(crate) mod describe;
pub(crate) mod heartbeat;
pub(crate) mod member;
pub(crate) mod membership;
pub(crate) mod migrate;
pub(crate) mod offsets;
pub(crate) mod partitions;
mod pattern;
mod range;
pub(crate) mod reconcile;
pub(crate) mod records;
pub(crate) mod replay;
pub(crate) mod settings;
pub(crate) mod state;
pub(crate) mod store;
mod subscriptions;
mod uniform;

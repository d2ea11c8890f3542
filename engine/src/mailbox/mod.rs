//! Messages between cores: one bounded ring for each ordered pair, and waking a parked reader without losing a wake-up.
//!
//! ```text
//!  shard A                                   shard B
//!  Endpoint::send ─▶ ring A→B (256 slots) ─▶ Endpoint::recv
//!        └ full: overflow, kept here ┘
//! ```
//! A push never fails and never waits, so shards cannot deadlock: what the ring has no room for stays with its sender
//! and moves up at the next flush. How much that is ([`Endpoint::pending`]) is for the node to act on, by reading no more
//! from sockets. Order is kept for each pair, and promised for nothing else.
//!
//! Every atomic comes from the crate's `sync`, so that the models in the `loom-tests` crate run this very code.

mod mesh;
mod park;
mod ring;
mod signal;

pub use mesh::{Endpoint, Parking, mesh, mesh_with_slots};
pub use park::ParkState;
pub use ring::{Receiver, Sender, ring};
pub use signal::Signal;

//! Kafka's framing over TCP: length-prefixed frames in, frames out in the order they were asked for.
//!
//! [`TcpTransport`] is a machine without I/O: sockets are the engine's ops, which it hands out by
//! [`TcpTransport::poll_op`] and takes back in [`TcpTransport::handle`]. It knows nothing of what a frame means; requests
//! and answers are the `broker` crate's, listeners and log lines the `node` crate's.
//!
//! Reading order: [`limits`] holds every bound, [`inbound`] turns received buffers into frames, [`replies`] keeps answers
//! in order, [`conn`] is one connection, [`moving`] its way to another shard, [`transport`] all of them.

pub mod limits;

mod inbound;
mod pace;
mod replies;
mod sniff;
mod tally;

mod admission;
mod conn;
mod event;
mod moving;
mod transport;

pub use admission::Admission;
pub use event::{CloseReason, ConnId, Event};
pub use limits::Limits;
pub use moving::{Leaving, Moving};
pub use sniff::Sniffed;
pub use tally::Tally;
pub use transport::TcpTransport;

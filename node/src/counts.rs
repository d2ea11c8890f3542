//! What a shard has done so far, in one line of the log: at its end, and whenever the process gets SIGUSR1. In particular how
//! many bytes were copied in user space, by place, beside those that were produced and fetched.

use std::fmt;
use transport_tcp::Tally;

/// Counts of one shard since its start.
///
/// ```text
///  socket ──► receive buffer ──► frame ──► tail ──► disk          tail ──► socket
///        moved: head of a large frame    copied: unless received there      never
///               kept: small, and waits   edges: less than a block a write
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Of connections and their bytes.
    pub net: Tally,
    /// Connections that are open now.
    pub connections: usize,
    /// Bytes that the I/O driver copied by itself.
    pub driver_bytes: u64,
    /// Record bytes of clients that were appended as they came.
    pub produced_bytes: u64,
    /// Bytes of batches that were copied into tails: those above that were not received there, and our own.
    pub tail_bytes: u64,
    /// Bytes of begun blocks that were copied, less than a block for each write and chunk.
    pub edge_bytes: u64,
    /// Record bytes in answers.
    pub fetched_bytes: u64,
    /// Bytes of these that had to be copied.
    pub fetch_copied_bytes: u64,
    /// Messages to other shards.
    pub mail: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { receives, received_bytes, frames, moved_bytes, kept_bytes, answers, sends, sent_bytes, moved_away } =
            self.net;
        for (name, value) in [
            ("connections", self.connections as u64),
            ("receives", receives),
            ("received_bytes", received_bytes),
            ("requests", frames),
            ("answers", answers),
            ("sends", sends),
            ("sent_bytes", sent_bytes),
            ("mail", self.mail),
            ("moved_away", moved_away),
            ("produced_bytes", self.produced_bytes),
            ("fetched_bytes", self.fetched_bytes),
            ("copied_driver", self.driver_bytes),
            ("copied_moved", moved_bytes),
            ("copied_kept", kept_bytes),
            ("copied_tail", self.tail_bytes),
            ("copied_edges", self.edge_bytes),
        ] {
            write!(f, "{name}={value} ")?;
        }
        write!(f, "copied_fetched={}", self.fetch_copied_bytes)
    }
}

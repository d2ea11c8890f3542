//! A shard's mail: messages to and from the brokers of the other shards, in the engine's mailboxes.

use crate::store::Mem;
use broker::{Message, ShardId};
use engine::io::{Op, ShardId as EngineShard};
use engine::mailbox::{self, Endpoint, Parking};
use engine::shard::Io;

/// Messages without room in a mailbox beyond which a shard reads no new requests: they come from there.
const PENDING_MAX: usize = 1024;

/// One shard's end of all its links.
pub struct Links {
    ends: Endpoint<Message<Mem>>,
    /// Messages sent, ever.
    sent: u64,
}

/// The links of `shards` shards, by their number.
pub fn mesh(shards: usize) -> Vec<Links> {
    mailbox::mesh(shards).into_iter().map(|ends| Links { ends, sent: 0 }).collect()
}

impl Links {
    /// Sends a message; in order for each receiver.
    pub fn send(&mut self, to: ShardId, msg: Message<Mem>) {
        // A shard that has ended gets no mail: nobody has a connection any more that could wait for the answer.
        self.sent += 1;
        let _ = self.ends.send(EngineShard(to.0), msg);
    }

    /// Whose links these are.
    pub fn me(&self) -> ShardId {
        ShardId(self.ends.me().0)
    }

    /// Messages sent, ever.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// The next message.
    pub fn receive(&mut self) -> Option<(ShardId, Message<Mem>)> {
        self.ends.recv().map(|(from, msg)| (ShardId(from.0), msg))
    }

    /// Ends a turn: wakes everybody who sleeps on what it did.
    pub fn flush(&mut self, io: &Io) {
        self.ends.flush(|shard| io.detach(Op::Wake(shard)));
    }

    /// True while others cannot keep up with this shard.
    pub fn is_congested(&self) -> bool {
        self.ends.pending_total() > PENDING_MAX
    }

    /// Permission to sleep, to be held meanwhile; `None` when there is mail.
    pub fn park(&mut self) -> Option<Parking> {
        self.ends.park()
    }
}

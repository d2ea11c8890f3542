//! A shard's mail: messages to and from the brokers of the other shards, and connections that move between them, in the
//! engine's mailboxes.

use crate::store::Mem;
use broker::{Baggage, Message, ShardId};
use engine::io::{Loose, Op, ShardId as EngineShard};
use engine::mailbox::{self, Endpoint, Parking};
use engine::shard::Io;
use transport_tcp::Moving;

/// Messages without room in a mailbox beyond which a shard reads no new requests: they come from there.
const PENDING_MAX: usize = 1024;

/// What travels between shards.
pub enum Mail {
    /// From broker to broker.
    Message(Message<Mem>),
    /// A connection for the receiver.
    Connection(Box<Arrival>),
}

/// A connection without requests, with all that is known of it.
pub struct Arrival {
    /// Its socket, released by the sender's driver.
    pub socket: Loose,
    /// For the transport.
    pub moving: Moving,
    /// For the broker.
    pub baggage: Baggage,
}

/// One shard's end of all its links.
pub struct Links {
    ends: Endpoint<Mail>,
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
        let _ = self.ends.send(EngineShard(to.0), Mail::Message(msg));
    }

    /// Sends a connection; it comes back when that shard has ended.
    pub fn send_connection(&mut self, to: ShardId, arrival: Box<Arrival>) -> Result<(), Box<Arrival>> {
        match self.ends.send(EngineShard(to.0), Mail::Connection(arrival)) {
            Err(Mail::Connection(arrival)) => Err(arrival),
            Ok(()) | Err(Mail::Message(_)) => Ok(()),
        }
    }

    /// Whose links these are.
    pub fn me(&self) -> ShardId {
        ShardId(self.ends.me().0)
    }

    /// Messages sent, ever; connections do not count.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// The next piece of mail.
    pub fn receive(&mut self) -> Option<(ShardId, Mail)> {
        self.ends.recv().map(|(from, mail)| (ShardId(from.0), mail))
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

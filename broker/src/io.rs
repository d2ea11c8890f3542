//! What goes into the machine and what comes out of it.

use crate::log_dirs::Volume;
use crate::store::{Chunk, LogId, ReadRange, StoreEvent};
use std::net::SocketAddr;

/// One core of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u16);

/// One client connection of one shard. Never reused within a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u64);

/// Both clocks, as of this turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Monotonic milliseconds.
    pub mono_ms: u64,
    /// Milliseconds since the Unix epoch.
    pub wall_ms: i64,
}

/// Where a request came from and where its answer belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// The shard that holds the connection.
    pub shard: ShardId,
    /// The connection.
    pub conn: ConnId,
    /// Position of the request on its connection, from 0; the transport sends answers in this order.
    pub seq: u64,
}

/// Why reading from disk failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadFault {
    /// The bytes there do not match their checksum; the text names file, position and offsets.
    Corrupt(String),
    /// The device or file system answered with an error.
    Io(String),
    /// The log was deleted or truncated meanwhile.
    Gone,
}

/// One event for the machine.
#[derive(Debug)]
pub enum Input<C: Chunk> {
    /// A connection was accepted.
    Opened {
        /// Its id.
        conn: ConnId,
        /// The client's address.
        peer: SocketAddr,
        /// Our address as the client reached it: what a wildcard listener advertises.
        local: SocketAddr,
    },
    /// A connection came from another shard, where [`Broker::depart`](crate::Broker::depart) gave its baggage.
    Arrived {
        /// Its id here.
        conn: ConnId,
        /// The client's address.
        peer: SocketAddr,
        /// Our address as the client reached it.
        local: SocketAddr,
        /// What it brings.
        baggage: crate::front::Baggage,
    },
    /// A connection is gone; no reply for it is needed any more.
    Closed {
        /// Its id.
        conn: ConnId,
    },
    /// One request frame, without its length prefix.
    Frame {
        /// The connection.
        conn: ConnId,
        /// Position on the connection, from 0, without gaps.
        seq: u64,
        /// The bytes.
        frame: C,
    },
    /// A Produce request whose one record set lies apart from the rest.
    SplitFrame {
        /// The connection.
        conn: ConnId,
        /// Position on the connection, from 0, without gaps.
        seq: u64,
        /// The request with an empty record set.
        frame: C,
        /// The record set. Storage may take its memory over ([`Store::append_chunk`](crate::Store::append_chunk)).
        records: C,
    },
    /// A message of another shard's broker.
    Peer {
        /// Who sent it.
        from: ShardId,
        /// The message.
        msg: crate::front::Message<C>,
    },
    /// Storage found something out.
    Store(StoreEvent),
    /// The answer to [`Effect::ReadDisk`].
    ReadDone {
        /// As in the effect.
        ticket: u64,
        /// Whole batches, the first containing the wanted offset; empty at the end.
        result: Result<Vec<C>, ReadFault>,
    },
    /// The answer to [`Effect::FindTime`].
    TimeFound {
        /// As in the effect.
        ticket: u64,
        /// The first batch whose largest timestamp is at or past the wanted one, whole.
        result: Result<Option<C>, ReadFault>,
    },
    /// The answer to [`Effect::MeasureDirs`].
    DirsMeasured {
        /// As in the effect.
        ticket: u64,
        /// Of each directory of `log.dirs`, in order; none where the system does not say.
        volumes: Vec<Option<Volume>>,
    },
    /// The process stops: what may wait for long is answered.
    Stopping,
    /// Time has passed.
    Tick,
}

/// A piece of an answer, in sending order.
#[derive(Clone, Debug)]
pub enum ReplyPart<C> {
    /// Encoded bytes.
    Bytes(Vec<u8>),
    /// Log memory, sent as it is.
    Chunk(C),
}

/// One effect on the world.
#[derive(Debug)]
pub enum Effect<C: Chunk> {
    /// Answer a request. The parts start with the four-byte frame length.
    Reply {
        /// The connection.
        conn: ConnId,
        /// As in [`Input::Frame`].
        seq: u64,
        /// The frame.
        parts: Vec<ReplyPart<C>>,
    },
    /// The request gets no answer (acks=0); later answers need not wait for it.
    NoReply {
        /// The connection.
        conn: ConnId,
        /// As in [`Input::Frame`].
        seq: u64,
    },
    /// Close the connection, after the answers before `seq` were sent.
    Close {
        /// The connection.
        conn: ConnId,
        /// The request that caused it.
        seq: u64,
        /// For the log: what the peer did.
        reason: String,
    },
    /// Another shard does nearly all the work of this connection: it may go there, once its requests are answered.
    Move {
        /// The connection.
        conn: ConnId,
        /// Where to.
        to: ShardId,
    },
    /// Broker configuration that others than the broker act on is another now; the image has it. On shard 0.
    Reconfigured,
    /// Our loggers have these levels from now on. On shard 0.
    Loggers(crate::loggers::Loggers),
    /// A message for another shard's broker.
    Send {
        /// To whom.
        to: ShardId,
        /// The message.
        msg: crate::front::Message<C>,
    },
    /// Read batches that are not in memory.
    ReadDisk {
        /// Comes back in [`Input::ReadDone`].
        ticket: u64,
        /// Which log.
        log: LogId,
        /// What to read.
        range: ReadRange,
        /// Nothing is an answer too: who asked asks again. It must be given in bounded time, because the parts of one fetch
        /// hold what they have found until the last of them is there.
        may_be_empty: bool,
    },
    /// Ask how large the volumes of all log directories are, and what is free there.
    MeasureDirs {
        /// Comes back in [`Input::DirsMeasured`].
        ticket: u64,
    },
    /// Find the first batch whose largest timestamp is at or past `timestamp`.
    FindTime {
        /// Comes back in [`Input::TimeFound`].
        ticket: u64,
        /// Which log.
        log: LogId,
        /// Milliseconds since the Unix epoch.
        timestamp: i64,
    },
}

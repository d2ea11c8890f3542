//! What the transport reports, and why a connection ended.

use crate::sniff::Sniffed;
use engine::mem::{Buf, Slice};
use std::io;
use std::net::SocketAddr;

/// One connection of this transport. Never reused within a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u64);

/// Something that happened on a socket.
#[derive(Debug)]
pub enum Event {
    /// A connection was accepted.
    Opened {
        /// Its id.
        conn: ConnId,
        /// The other side.
        peer: SocketAddr,
        /// Our address as the peer reached it.
        local: SocketAddr,
    },
    /// One whole frame arrived. It wants exactly one of `reply`, `no_reply` or `close`.
    Frame {
        /// Where.
        conn: ConnId,
        /// Its position on the connection, from 0, without gaps.
        seq: u64,
        /// Its bytes, without the length prefix.
        frame: Slice,
    },
    /// As `Frame`, for a frame of which a part went where [`TcpTransport::place`](crate::TcpTransport::place) said.
    Placed {
        /// Where.
        conn: ConnId,
        /// Its position on the connection, from 0, without gaps.
        seq: u64,
        /// What comes before the placed part, without the length prefix.
        head: Slice,
        /// The placed part: all the rest of the frame, in the buffer that was given.
        rest: Buf,
    },
    /// A connection is over; answers to it are ignored from here on.
    Closed {
        /// Its id.
        conn: ConnId,
        /// The other side.
        peer: SocketAddr,
        /// Why.
        reason: CloseReason,
    },
    /// A connection was turned away before it was opened.
    Refused {
        /// The other side.
        peer: SocketAddr,
        /// Why.
        reason: CloseReason,
    },
    /// Accepting failed; it is tried again shortly.
    AcceptFailed(io::Error),
}

/// Why a connection ended or was refused.
#[derive(Debug, thiserror::Error)]
pub enum CloseReason {
    /// The peer closed it between two frames.
    #[error("the peer closed the connection")]
    PeerClosed,
    /// The peer closed it inside a frame.
    #[error("the peer closed the connection after {arrived} bytes of a frame of {len} bytes")]
    PeerClosedInFrame {
        /// Bytes of the frame that had arrived.
        arrived: usize,
        /// Bytes that the frame announced.
        len: usize,
    },
    /// The length prefix was not a usable length.
    #[error("frame length {len} is not in 1..={max}: {guess}")]
    FrameLength {
        /// The four bytes as a length.
        len: i32,
        /// The largest allowed length, in bytes.
        max: usize,
        /// What those bytes look like.
        guess: Sniffed,
    },
    /// Nothing moved for too long.
    #[error("no byte moved for {ms} ms")]
    Idle {
        /// The limit, in milliseconds.
        ms: u64,
    },
    /// A frame began and does not come on.
    #[error("{arrived} bytes of a frame of {len} bytes came in {ms} ms, slower than any client waits for its answer")]
    Slow {
        /// Bytes of the frame that had arrived, as far as was known.
        arrived: usize,
        /// Bytes that the frame announced.
        len: usize,
        /// How long ago it began, in milliseconds.
        ms: u64,
    },
    /// The user of the transport asked for it.
    #[error("{0}")]
    Requested(String),
    /// The socket failed.
    #[error("the connection failed: {0}")]
    Io(io::Error),
    /// As many connections as allowed are open.
    #[error("{max} connections are open already (max.connections)")]
    TooMany {
        /// The limit.
        max: usize,
    },
    /// As many connections from this address as allowed are open.
    #[error("{max} connections from this address are open already (max.connections.per.ip)")]
    TooManyFromIp {
        /// The limit.
        max: usize,
    },
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

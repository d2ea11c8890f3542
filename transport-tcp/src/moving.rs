//! A connection on its way from the transport of one shard to that of another. It leaves when no request of it is under
//! way and all answers were taken by the socket; what has arrived of the next request travels with it.
//!
//! ```text
//!  move_to ─► stop reading ─► cancel the receive ─► answers sent ─► Leaving ══ mail ══► adopt ─► read on
//! ```

use crate::conn::Conn;
use crate::inbound::Inbound;
use crate::limits::Limits;
use crate::pace::Pace;
use engine::io::ConnId as Socket;
use engine::time::Mono;
use std::net::SocketAddr;

/// Everything that is known of a connection without requests, but its socket.
#[derive(Debug)]
pub struct Moving {
    /// The other side.
    pub peer: SocketAddr,
    /// Our address as the peer reached it.
    pub local: SocketAddr,
    pub(crate) inbound: Inbound,
    pub(crate) pace: Pace,
    pub(crate) moved_at: Mono,
}

/// A connection that another shard is to have.
#[derive(Debug)]
pub struct Leaving {
    /// Which shard.
    pub to: usize,
    /// Its id here, if it was opened here.
    pub conn: Option<crate::ConnId>,
    /// To be released by the driver. Nothing is pending on it.
    pub socket: Socket,
    /// The rest.
    pub moving: Moving,
}

impl Moving {
    /// A connection that was accepted just now.
    pub(crate) fn fresh(peer: SocketAddr, local: SocketAddr, limits: &Limits, now: Mono) -> Moving {
        Moving { peer, local, inbound: Inbound::new(limits.frame_bytes_max), pace: Pace::default(), moved_at: now }
    }

    /// What is left of a connection that is quiet.
    pub(crate) fn of(conn: Conn) -> Moving {
        let Conn { peer, local, inbound, pace, moved_at, .. } = conn;
        Moving { peer, local, inbound, pace, moved_at }
    }
}

//! Connections that come, go, and move between shards; and what the log says of them.

use super::Shard;
use crate::links::{Arrival, Mail};
use crate::place;
use crate::store::Mem;
use broker::{Baggage, Input, Now, ShardId};
use engine::io::Op;
use engine::time::Mono;
use std::net::SocketAddr;
use transport_tcp::{CloseReason, Event, Leaving};

impl Shard {
    /// Connections that other shards are to have leave.
    pub(super) fn send_connections(&mut self) {
        while let Some(Leaving { to, conn, socket, moving }) = self.transport.poll_leaving() {
            let baggage = conn.map_or_else(Baggage::default, |conn| self.broker.depart(broker::ConnId(conn.0)));
            let Some(socket) = self.io.with_driver(|driver| driver.release_conn(socket)) else {
                unreachable!("only a driver that hands over shares its connections")
            };
            if conn.is_some() {
                marks::reached!("node: a connection moved to another shard");
            }
            let to = ShardId(u16::try_from(to).unwrap_or_else(|_| unreachable!("shards have 16 bits")));
            if let Err(arrival) = self.links.send_connection(to, Box::new(Arrival { socket, moving, baggage })) {
                self.turn_away(Mail::Connection(arrival));
            }
        }
    }

    pub(super) fn arrive(&mut self, arrival: Arrival, mono: Mono, now: Now) {
        let Arrival { socket, moving, baggage } = arrival;
        let (peer, local) = (moving.peer, moving.local);
        let socket = match self.io.with_driver(|driver| driver.adopt_conn(socket)) {
            Ok(socket) => socket,
            Err(error) => {
                self.transport.lose(&moving);
                return tracing::error!(%peer, "a connection was lost between two shards: {error}");
            }
        };
        if let Some(conn) = self.transport.adopt(socket, moving, mono) {
            self.broker.handle(Input::Arrived { conn: broker::ConnId(conn.0), peer, local, baggage }, now);
        }
    }

    /// Closes a connection that nobody will serve any more.
    pub(super) fn turn_away(&mut self, mail: Mail) {
        if let Mail::Connection(arrival) = mail
            && let Ok(conn) = self.io.with_driver(|driver| driver.adopt_conn(arrival.socket))
        {
            self.io.detach(Op::CloseConn { conn });
        }
    }

    pub(super) fn transport_event(&mut self, event: Event, now: Now) {
        let input = match event {
            Event::Opened { conn, peer, local } => {
                tracing::debug!(%peer, "connected");
                Input::Opened { conn: broker::ConnId(conn.0), peer, local }
            }
            Event::Frame { conn, seq, frame } => {
                Input::Frame { conn: broker::ConnId(conn.0), seq, frame: Mem::Slice(frame) }
            }
            Event::Placed { conn, seq, head, rest } => place::input(broker::ConnId(conn.0), seq, &head, rest),
            Event::Closed { conn, peer, reason } => {
                self.note_end("disconnected", peer, &reason);
                Input::Closed { conn: broker::ConnId(conn.0) }
            }
            Event::Refused { peer, reason } => return self.note_end("connection refused", peer, &reason),
            Event::AcceptFailed(error) => return self.note_accept(&error),
        };
        self.broker.handle(input, now);
    }

    /// A peer's mistake is worth a warning, its coming and going is not.
    pub(super) fn note_end(&mut self, what: &str, peer: SocketAddr, reason: &CloseReason) {
        let is_mistake = match reason {
            CloseReason::PeerClosed | CloseReason::Idle { .. } | CloseReason::Stopping => {
                return tracing::debug!(%peer, "{what}: {reason}");
            }
            CloseReason::Io(_) | CloseReason::PeerClosedInFrame { .. } => false,
            CloseReason::FrameLength { .. }
            | CloseReason::Slow { .. }
            | CloseReason::Requested(_)
            | CloseReason::TooMany { .. }
            | CloseReason::TooManyFromIp { .. } => true,
        };
        match self.peer_log.admit(self.io.now()) {
            Some(hidden) if is_mistake => tracing::warn!(%peer, "{what}: {reason}{hidden}"),
            Some(hidden) => tracing::info!(%peer, "{what}: {reason}{hidden}"),
            None => {}
        }
    }

    pub(super) fn note_accept(&mut self, error: &std::io::Error) {
        if let Some(hidden) = self.peer_log.admit(self.io.now()) {
            tracing::error!("cannot accept connections, trying again: {error}{hidden}");
        }
    }
}

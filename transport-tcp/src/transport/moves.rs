//! Connections between shards: dealt out as they come, moved while nothing of them is under way, taken over. What travels is in
//! `crate::moving`; who should move is for the owner to say.

use super::{Kind, TcpTransport, token};
use crate::conn::Phase;
use crate::event::ConnId;
use crate::moving::{Leaving, Moving};
use engine::io::{ConnId as Socket, Op};
use engine::time::Mono;

impl TcpTransport {
    /// From now on connections are dealt out among the shards that said so, with the same [`Admission`], and may move
    /// between them; `me` is the number of this one.
    pub fn share(&mut self, me: usize) {
        self.admission.deal_to(me);
        self.me = Some(me);
    }

    /// Lets the connection go to shard `to` as soon as all that it asked is answered; until then nothing new is read.
    pub fn move_to(&mut self, conn: ConnId, to: usize) {
        let Some(slot) = self.slot_of(conn).filter(|_| self.me.is_some_and(|me| me != to) && !self.is_stopping) else {
            return;
        };
        if let Some(conn) = self.conns[slot].as_mut().filter(|conn| conn.phase == Phase::Open) {
            conn.moves_to = Some(to);
        }
        self.mark(slot);
    }

    /// The next connection that another shard is to have: nothing is known of it here any more.
    pub fn poll_leaving(&mut self) -> Option<Leaving> {
        self.leaving.pop_front()
    }

    /// Takes over a connection that left another shard for this one. `None` if it is closed at once, because the server
    /// stops.
    pub fn adopt(&mut self, socket: Socket, moving: Moving, now: Mono) -> Option<ConnId> {
        if self.is_stopping {
            self.admission.leave(moving.peer.ip(), self.me);
            self.refuse(socket);
            return None;
        }
        Some(self.enter(socket, moving, now))
    }

    /// A connection that left another shard for this one never came.
    pub fn lose(&mut self, moving: &Moving) {
        self.admission.leave(moving.peer.ip(), self.me);
    }

    /// Brings a connection that is to move a step nearer to that.
    pub(super) fn depart(&mut self, slot: usize, to: usize) {
        let Some(conn) = self.conns[slot].as_mut() else { return };
        if conn.inbound.is_placed() {
            // The place is this shard's: its frame ends here.
            if !conn.recv_pending {
                self.read(slot);
            }
            return;
        }
        if conn.recv_pending {
            if !std::mem::replace(&mut conn.is_cancelled, true) {
                self.ops.push_back((token(Kind::Cancel, slot), Op::Cancel(token(Kind::Recv, slot))));
            }
            return;
        }
        let (true, Some(me)) = (conn.is_quiet(), self.me) else { return };
        let Some(conn) = self.conns[slot].take() else { return };
        self.admission.moves(me, to);
        self.tally.moved_away += 1;
        self.spent_bytes -= conn.cost_bytes();
        self.favoured = self.favoured.filter(|id| *id != conn.id);
        self.free.push(slot);
        self.forget_times_of_closed();
        let (id, socket) = (conn.id, conn.socket);
        self.leaving.push_back(Leaving { to, conn: Some(id), socket, moving: Moving::of(conn) });
    }
}

//! The ways in which a connection ends: told to, idle, too slow, in the way of all others; and what is given back.

use super::{Kind, TcpTransport, slot_in, token};
use crate::conn::Phase;
use crate::event::{CloseReason, ConnId, Event};
use crate::limits::{FRAME_GRACE_MS, STALLED_CHECK_MS, STALLED_MS, TIMES_KEPT};
use engine::io::Op;
use engine::time::Mono;
use std::cmp::Reverse;

impl TcpTransport {
    /// Accepts nothing any more and closes every connection as soon as its requests are answered.
    pub fn stop(&mut self) {
        self.is_stopping = true;
        for (index, listener) in self.listeners.iter().enumerate() {
            if listener.accept_pending {
                self.ops.push_back((token(Kind::Cancel, index), Op::Cancel(token(Kind::Accept, index))));
            }
        }
        (0..self.conns.len()).for_each(|slot| self.mark(slot));
    }

    /// Closes every connection now, whatever it waits for.
    pub fn close_all(&mut self) {
        (0..self.conns.len()).for_each(|slot| self.end(slot, CloseReason::Stopping));
    }

    pub(super) fn check_idle(&mut self, id: ConnId, now: Mono) {
        let (Some(slot), Some(ms)) = (self.slot_of(id), self.limits.idle_ms) else { return };
        let conn = self.conn(slot);
        // A request that waits for us is not the peer's idleness.
        let active_at = if conn.phase == Phase::Open && conn.replies.waiting() > 0 && conn.is_flushed() {
            now
        } else {
            conn.moved_at
        };
        let at = active_at.plus_millis(ms);
        if at > now {
            self.idle.push(Reverse((at, id)));
        } else if conn.phase == Phase::LastWords {
            self.shut_down(slot);
        } else {
            self.end(slot, CloseReason::Idle { ms });
        }
    }

    /// A frame that has begun must come on; while we do not read, it is not the peer's fault.
    pub(super) fn check_pace(&mut self, id: ConnId, now: Mono) {
        let Some(slot) = self.slot_of(id) else { return };
        let Some(conn) = self.conns[slot].as_mut().filter(|conn| conn.phase == Phase::Open) else { return };
        let Some(begun_at) = conn.pace.begun_at() else {
            conn.is_timed = false;
            return;
        };
        let at = if conn.recv_pending { conn.pace.deadline() } else { now.plus_millis(FRAME_GRACE_MS) };
        if at > now {
            return self.timed.push(Reverse((at, id)));
        }
        let (arrived, len) = conn.inbound.progress();
        let ms = u64::try_from(now.since(begun_at).as_millis()).unwrap_or(u64::MAX);
        self.end(slot, CloseReason::Slow { arrived, len, ms });
    }

    /// Short memory keeps everybody waiting: those who take nothing of what they asked for, or do not finish what they
    /// began, give theirs back, the largest first.
    pub(super) fn end_stalled(&mut self, now: Mono) {
        self.stalled_check_at = None;
        let mut over_bytes = self.over_bytes();
        if over_bytes == 0 {
            return;
        }
        self.stalled_check_at = Some(now.plus_millis(STALLED_CHECK_MS));
        let looked =
            self.conns.iter_mut().enumerate().filter_map(|(slot, conn)| Some((conn.as_mut()?.look(now), slot)));
        let mut stalled: Vec<(usize, usize)> = looked.filter(|(bytes, _)| *bytes > 0).collect();
        stalled.sort_unstable();
        // What a receive holds comes back a moment after its connection ended.
        while over_bytes > 0 {
            let Some((bytes, slot)) = stalled.pop() else { return };
            over_bytes = over_bytes.saturating_sub(bytes);
            let why = if self.conn(slot).is_flushed() {
                format!("memory is short, and a frame that holds {bytes} bytes does not come on")
            } else {
                format!("memory is short, and the peer took none of {bytes} answer bytes for {STALLED_MS} ms")
            };
            self.end(slot, CloseReason::Requested(why));
        }
    }

    /// Ends a connection now; answers that were not sent are dropped.
    pub(super) fn end(&mut self, slot: usize, reason: CloseReason) {
        let Some(conn) = self.conns[slot].as_mut() else { return };
        match conn.phase {
            Phase::Open => {
                self.waiting -= conn.asked();
                let (conn, peer) = (conn.id, conn.peer);
                self.events.push_back(Event::Closed { conn, peer, reason });
            }
            Phase::LastWords => {}
            Phase::Ending | Phase::Closing => return,
        }
        self.shut_down(slot);
    }

    pub(super) fn shut_down(&mut self, slot: usize) {
        let Some(conn) = self.conns[slot].as_mut() else { return };
        self.spent_bytes -= conn.cost_bytes();
        self.placed -= conn.placed();
        conn.drop_answers();
        self.placed += conn.placed();
        self.spent_bytes += conn.cost_bytes();
        conn.phase = Phase::Ending;
        conn.shutdown_pending = true;
        if self.favoured == Some(conn.id) {
            self.favoured = None;
        }
        self.ops.push_back((token(Kind::Shutdown, slot), Op::Shutdown { conn: conn.socket }));
        self.mark(slot);
    }

    pub(super) fn was_shut_down(&mut self, slot: usize) {
        if let Some(conn) = self.conns[slot].as_mut() {
            conn.shutdown_pending = false;
        }
        self.mark(slot);
    }

    pub(super) fn closed(&mut self, slot: usize) {
        let Some(conn) = self.conns[slot].take() else { return };
        self.spent_bytes -= conn.cost_bytes();
        self.placed -= conn.placed();
        self.admission.leave(conn.peer.ip(), self.me);
        self.free.push(slot);
        self.forget_times_of_closed();
    }

    /// A flood must not leave an entry for each of its connections until their idle time has passed.
    pub(super) fn forget_times_of_closed(&mut self) {
        let entries_max = 2 * self.connection_count() + TIMES_KEPT;
        if self.idle.len() > entries_max || self.timed.len() > entries_max {
            let conns = &self.conns;
            let is_open = |id: ConnId| matches!(conns.get(slot_in(id)), Some(Some(conn)) if conn.id == id);
            self.idle.retain(|Reverse((_, id))| is_open(*id));
            self.timed.retain(|Reverse((_, id))| is_open(*id));
        }
    }
}

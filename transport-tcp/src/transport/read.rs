//! Reading: bytes to frames, and when no more is asked for, because a connection or the shard holds as much as it may.

use super::{Kind, TcpTransport, token};
use crate::conn::Phase;
use crate::event::{CloseReason, Event};
use crate::inbound::Whole;
use crate::limits::{HEADS_MAX, SPARSE_MAX, STALLED_CHECK_MS};
use engine::io::{Op, RecvInto};
use engine::mem::{Buf, Slice};
use engine::time::Mono;
use std::cmp::Reverse;
use std::io;

impl TcpTransport {
    /// While on, no connection starts a new frame; those inside one go on.
    pub fn set_read_pressure(&mut self, on: bool) {
        self.is_pressed = on;
    }

    /// Others wait for so many bytes, which answers that nobody takes may hold: those are looked for while this is not 0.
    pub fn set_wanted(&mut self, bytes: usize) {
        self.wanted_bytes = bytes;
        if bytes > 0 && self.stalled_check_at.is_none() {
            self.stalled_check_at = Some(self.now.plus_millis(STALLED_CHECK_MS));
        }
    }

    pub(super) fn received(&mut self, slot: usize, result: io::Result<u32>, into: RecvInto, now: Mono) {
        let Some(conn) = self.conns[slot].as_mut() else { unreachable!("a connection outlives its ops") };
        conn.recv_pending = false;
        let is_cancelled = std::mem::take(&mut conn.is_cancelled);
        self.heads -= usize::from(std::mem::take(&mut conn.awaits_head));
        let bytes = u64::from(*result.as_ref().unwrap_or(&0));
        self.tally.receives += u64::from(bytes > 0);
        self.tally.received_bytes += bytes;
        self.mark(slot);
        let outcome = match (result, into) {
            (Ok(0), _) => Err(self.conn(slot).inbound.at_end()),
            (Ok(_), RecvInto::Buf(buf) | RecvInto::Fill(buf)) => self.take_frames(slot, buf, now),
            (Ok(_), RecvInto::Any) => unreachable!("the driver replaces Any by the buffer it picked"),
            (Err(error), _) if error.kind() == io::ErrorKind::ConnectionReset => Err(self.conn(slot).inbound.at_end()),
            (Err(error), into) if is_cancelled && error.kind() == io::ErrorKind::Interrupted => match into {
                RecvInto::Buf(buf) | RecvInto::Fill(buf) => self.take_frames(slot, buf, now),
                RecvInto::Any => Ok(()),
            },
            (Err(error), _) => Err(CloseReason::Io(error)),
        };
        if let Err(reason) = outcome {
            self.end(slot, reason);
        }
    }

    /// Cuts `buf` into frames. Good frames before a bad length are served first, as if they had come alone.
    pub(super) fn take_frames(&mut self, slot: usize, buf: Buf, now: Mono) -> Result<(), CloseReason> {
        let mut frames = std::mem::take(&mut self.frames);
        let Some(conn) = self.conns[slot].as_mut().filter(|conn| conn.phase == Phase::Open) else { return Ok(()) };
        let before = conn.cost_bytes();
        conn.moved_at = now;
        let (was_at, _) = conn.inbound.progress();
        let is_sparse = buf.len() <= SPARSE_MAX && buf.capacity() > SPARSE_MAX;
        let moved_bytes = conn.inbound.moved_bytes();
        let outcome = conn.inbound.received(buf, &mut frames);
        self.tally.moved_bytes += conn.inbound.moved_bytes() - moved_bytes;
        let count = frames.len();
        self.tally.frames += count as u64;
        for mut whole in frames.drain(..) {
            if is_sparse {
                self.tally.kept_bytes += keep(&mut whole, self.limits.is_brief) as u64;
            }
            conn.hold(whole);
        }
        let (arrived, is_begun) = (conn.inbound.progress().0, conn.inbound.is_begun());
        conn.pace.received(arrived.saturating_sub(was_at), is_begun, count > 0, now);
        if is_begun && !std::mem::replace(&mut conn.is_timed, true) {
            self.timed.push(Reverse((conn.pace.deadline(), conn.id)));
        }
        if conn.inbound.take_offer() {
            self.large.push_back(conn.id);
        }
        self.spent_bytes = self.spent_bytes - before + conn.cost_bytes();
        if self.favoured == Some(conn.id) && !conn.inbound.is_in_body() {
            self.favoured = None;
        }
        self.frames = frames;
        self.hand_out(slot);
        if let Some(conn) = self.conns[slot].as_mut() {
            self.tally.kept_bytes += conn.settle(count) as u64;
        }
        outcome
    }

    /// Reports the frames whose turn has come.
    pub(super) fn hand_out(&mut self, slot: usize) {
        let Some(conn) = self.conns[slot].as_mut().filter(|conn| conn.phase == Phase::Open) else { return };
        while let Some((seq, whole)) = conn.next_frame(&self.limits) {
            self.waiting += 1;
            self.events.push_back(match whole {
                Whole::Frame(frame) => Event::Frame { conn: conn.id, seq, frame },
                Whole::Placed { head, rest } => {
                    self.placed -= 1;
                    Event::Placed { conn: conn.id, seq, head, rest }
                }
            });
        }
    }

    /// Starts the next receive, or lists the connection as paused if only the shard's memory forbids it.
    pub(super) fn read(&mut self, slot: usize) {
        let confined = self.is_short();
        let allowed = self.may_read(slot);
        let Some(conn) = self.conns[slot].as_mut() else { return };
        if !conn.is_within(&self.limits) {
            return conn.pace.hold_up();
        }
        if !allowed {
            conn.pace.hold_up();
            if !std::mem::replace(&mut conn.is_paused, true) {
                self.paused.push_back(slot);
            }
            return;
        }
        let before = conn.inbound.held_bytes();
        let moved_bytes = conn.inbound.moved_bytes();
        conn.awaits_head = conn.inbound.expects_large() && self.heads < HEADS_MAX;
        self.heads += usize::from(conn.awaits_head);
        let into = if conn.awaits_head { conn.inbound.target_head() } else { conn.inbound.target(confined) };
        self.tally.moved_bytes += conn.inbound.moved_bytes() - moved_bytes;
        conn.pace.asked(if let RecvInto::Fill(buf) = &into { buf.spare_len() } else { 0 }, self.now);
        self.spent_bytes = self.spent_bytes - before + conn.inbound.held_bytes();
        conn.recv_pending = true;
        self.ops.push_back((token(Kind::Recv, slot), Op::Recv { conn: conn.socket, into }));
    }

    /// No new frame may start.
    pub(super) fn is_short(&self) -> bool {
        self.is_pressed || self.spent_bytes >= self.limits.budget_bytes
    }

    /// New frames start while the budget lasts. Frames under way use the room they have; more room is again the budget's,
    /// except that one connection may always go on while nothing else could free memory.
    pub(super) fn may_read(&mut self, slot: usize) -> bool {
        let conn = self.conn(slot);
        let (id, growth_bytes) = (conn.id, conn.inbound.growth_bytes(self.is_short()));
        if !conn.inbound.is_in_body() {
            return !self.is_short();
        }
        if growth_bytes == 0 || self.spent_bytes + growth_bytes <= self.limits.budget_bytes {
            return true;
        }
        if self.favoured.is_none() && self.waiting == 0 {
            self.favoured = Some(id);
        }
        self.favoured == Some(id)
    }

    /// What must be given back for everybody to go on, in bytes.
    pub(super) fn over_bytes(&self) -> usize {
        (self.spent_bytes + 1).saturating_sub(self.limits.budget_bytes).max(self.wanted_bytes)
    }

    /// Looks at paused connections again once there is room.
    pub(super) fn resume(&mut self) {
        let has_room = self.spent_bytes < self.limits.budget_bytes;
        if !has_room && self.waiting > 0 {
            return;
        }
        for _ in 0..self.paused.len() {
            let Some(slot) = self.paused.pop_front() else { return };
            if let Some(conn) = self.conns[slot].as_mut() {
                conn.is_paused = false;
                self.mark(slot);
            }
        }
    }
}

/// Gives a frame that may stay memory of its own; how many bytes that moved.
fn keep(whole: &mut Whole, is_brief: fn(&[u8]) -> bool) -> usize {
    match whole {
        Whole::Frame(frame) if !is_brief(frame) => {
            *frame = Slice::from(frame.to_vec());
            frame.len()
        }
        Whole::Frame(_) | Whole::Placed { .. } => 0,
    }
}

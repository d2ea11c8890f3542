//! One connection: what it holds, whether it may read, and what it sends next.

use crate::event::ConnId;
use crate::inbound::{Inbound, Whole};
use crate::limits::{EARNED_AT, Limits, SEND_BYTES_SOFT, SEND_PIECES_MAX, STALLED_MS};
use crate::moving::Moving;
use crate::pace::Pace;
use crate::replies::{Answer, Replies};
use engine::io::ConnId as Socket;
use engine::mem::Slice;
use engine::time::Mono;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Reads and answers.
    Open,
    /// Sends what is due, reads nothing, then ends.
    LastWords,
    /// Shut down; waits for its ops to return.
    Ending,
    /// Waits for the socket to be given back.
    Closing,
}

/// The one large answer of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Large {
    /// There is none.
    Free,
    /// Its request was handed out.
    Asked(u64),
    /// It is known and not sent yet.
    Known,
}

/// State of one connection. The transport moves it; nothing in here submits anything.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) id: ConnId,
    pub(crate) socket: Socket,
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) phase: Phase,
    pub(crate) inbound: Inbound,
    pub(crate) pace: Pace,
    pub(crate) replies: Replies,
    /// Frames with their sequence numbers that wait behind a large answer.
    held: VecDeque<(u64, Whole)>,
    large: Large,
    /// Answers in order that wait for the socket.
    outbox: VecDeque<Slice>,
    /// Bytes in `outbox` and in the send under way.
    unsent_bytes: usize,
    /// Bytes of answers whose turn has not come.
    held_back_bytes: usize,
    pub(crate) recv_pending: bool,
    /// The receive under way is for the head of a large frame.
    pub(crate) awaits_head: bool,
    pub(crate) send_pending: bool,
    pub(crate) shutdown_pending: bool,
    /// The shard that is to have it.
    pub(crate) moves_to: Option<usize>,
    /// The receive under way was asked to end early.
    pub(crate) is_cancelled: bool,
    /// Is in the transport's list of connections to look at.
    pub(crate) is_dirty: bool,
    /// Is in the transport's list of connections that wait for the budget.
    pub(crate) is_paused: bool,
    /// Is in the transport's list of frames under way.
    pub(crate) is_timed: bool,
    /// When a byte last moved.
    pub(crate) moved_at: Mono,
    /// When it was first seen that the peer takes nothing of the present answers.
    stalled_since: Option<Mono>,
}

impl Conn {
    pub(crate) fn new(id: ConnId, socket: Socket, moving: Moving) -> Conn {
        let Moving { peer, local, inbound, pace, moved_at } = moving;
        Conn {
            id,
            socket,
            peer,
            local,
            phase: Phase::Open,
            inbound,
            pace,
            replies: Replies::default(),
            held: VecDeque::new(),
            large: Large::Free,
            outbox: VecDeque::new(),
            unsent_bytes: 0,
            held_back_bytes: 0,
            recv_pending: false,
            awaits_head: false,
            send_pending: false,
            shutdown_pending: false,
            is_dirty: false,
            is_paused: false,
            is_timed: false,
            moves_to: None,
            is_cancelled: false,
            moved_at,
            stalled_since: None,
        }
    }

    /// What this connection takes of the shard's budget, in bytes.
    pub(crate) fn cost_bytes(&self) -> usize {
        self.inbound.held_bytes() + self.replies.waiting_bytes() + self.held_back_bytes + self.unsent_bytes
    }

    /// Its own limits leave room for another request.
    pub(crate) fn is_within(&self, limits: &Limits) -> bool {
        self.replies.len() < limits.requests_in_flight_max
            && self.replies.waiting_bytes() < limits.unanswered_bytes_max
            && self.held_back_bytes + self.unsent_bytes < limits.unsent_bytes_max
    }

    /// Takes a frame in, which [`Conn::next_frame`] hands out.
    pub(crate) fn hold(&mut self, frame: Whole) {
        let seq = self.replies.expect(frame.len());
        self.held.push_back((seq, frame));
    }

    /// The next frame to be worked on, if there is one and its answer may be made now.
    pub(crate) fn next_frame(&mut self, limits: &Limits) -> Option<(u64, Whole)> {
        let (seq, frame) = self.held.front()?;
        if matches!(frame, Whole::Frame(frame) if (limits.is_large_ask)(frame)) {
            if self.large != Large::Free {
                return None;
            }
            self.large = Large::Asked(*seq);
        }
        self.held.pop_front()
    }

    /// Frames that stay, out of the last `count` taken in, get memory of their own: the buffer that they were cut out of is
    /// many times as large. Returns how many bytes were moved.
    pub(crate) fn settle(&mut self, count: usize) -> usize {
        let first = self.held.len().saturating_sub(count);
        let mut bytes = 0;
        for (_, frame) in self.held.range_mut(first..) {
            if let Whole::Frame(frame) = frame
                && frame.len() < EARNED_AT
            {
                bytes += frame.len();
                *frame = Slice::from(frame.to_vec());
            }
        }
        bytes
    }

    /// Requests that were handed out and wait for their answer.
    pub(crate) fn asked(&self) -> usize {
        self.replies.waiting() - self.held.len()
    }

    /// Its frames in a place that was given: one that arrives, and those that wait.
    pub(crate) fn placed(&self) -> usize {
        let waiting = self.held.iter().filter(|(_, frame)| matches!(frame, Whole::Placed { .. })).count();
        waiting + usize::from(self.inbound.is_placed())
    }

    /// Notes an answer and moves what is in order to the outbox. Returns the reason if the connection is to end behind it.
    pub(crate) fn answer(&mut self, seq: u64, answer: Answer) -> Option<String> {
        if self.large == Large::Asked(seq) {
            self.large = Large::Known;
        }
        self.held_back_bytes += bytes_of(&answer);
        self.replies.answer(seq, answer);
        while let Some(answer) = self.replies.pop() {
            let bytes = bytes_of(&answer);
            self.held_back_bytes -= bytes;
            match answer {
                Answer::Send(parts) => {
                    self.unsent_bytes += bytes;
                    self.outbox.extend(parts.into_iter().filter(|part| !part.is_empty()));
                }
                Answer::Silence => {}
                Answer::Close(reason) => return Some(reason),
            }
        }
        None
    }

    /// The pieces of the next send; empty when nothing is due.
    pub(crate) fn next_send(&mut self) -> Vec<Slice> {
        let mut bytes = 0;
        let fits = |part: &&Slice| {
            let fits = bytes < SEND_BYTES_SOFT;
            bytes += part.len();
            fits
        };
        let count = self.outbox.iter().take(SEND_PIECES_MAX).take_while(fits).count();
        self.outbox.drain(..count).collect()
    }

    /// Notes that a send of `bytes` bytes is done.
    pub(crate) fn sent(&mut self, bytes: usize) {
        assert!(bytes <= self.unsent_bytes, "sent {bytes} of {} bytes", self.unsent_bytes);
        self.unsent_bytes -= bytes;
        self.stalled_since = None;
        if self.large == Large::Known && self.unsent_bytes + self.held_back_bytes == 0 {
            self.large = Large::Free;
        }
    }

    /// Looks whether the peer keeps memory from others: bytes that it does not take, or whose frame it does not finish.
    /// Calls must come more often than it may take.
    pub(crate) fn look(&mut self, now: Mono) -> usize {
        if self.unsent_bytes > 0 {
            let since = *self.stalled_since.get_or_insert(now);
            return if since.plus_millis(STALLED_MS) <= now { self.unsent_bytes } else { 0 };
        }
        if self.pace.is_stalled(now) && self.recv_pending { self.inbound.held_bytes() } else { 0 }
    }

    /// Everything that is known was sent.
    pub(crate) fn is_flushed(&self) -> bool {
        self.outbox.is_empty() && !self.send_pending
    }

    /// No op of its socket is under way.
    pub(crate) fn is_idle_in_kernel(&self) -> bool {
        !self.recv_pending && !self.send_pending && !self.shutdown_pending
    }

    /// No request waits for us and no byte for the peer.
    pub(crate) fn is_quiet(&self) -> bool {
        self.replies.len() == 0 && self.is_flushed()
    }

    /// Forgets everything that will not be sent any more.
    pub(crate) fn drop_answers(&mut self) {
        self.outbox.clear();
        self.held.clear();
        self.replies = Replies::default();
        self.held_back_bytes = 0;
        self.unsent_bytes = 0;
    }
}

fn bytes_of(answer: &Answer) -> usize {
    match answer {
        Answer::Send(parts) => parts.iter().map(|part| part.len()).sum(),
        Answer::Silence | Answer::Close(_) => 0,
    }
}

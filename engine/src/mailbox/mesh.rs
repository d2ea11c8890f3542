//! Rings between all pairs of shards, in the hands of each as one [`Endpoint`].

use super::park::ParkState;
use super::ring::{Receiver, Sender, ring};
use crate::io::ShardId;
use crate::sync::Arc;
use std::collections::VecDeque;

/// Values that a ring holds. Enough that a turn's worth of messages rarely overflows, few enough that the slots of a pair
/// stay in the second-level cache.
const SLOTS: usize = 256;

/// One shard's end of all its rings.
///
/// A turn calls [`Endpoint::recv`] until it is `None`, [`Endpoint::send`] as needed, and [`Endpoint::flush`] once at its
/// end; before it sleeps, [`Endpoint::park`].
pub struct Endpoint<T> {
    me: ShardId,
    /// By shard; `None` at `me`.
    out: Vec<Option<Outbox<T>>>,
    /// By shard; `None` at `me`.
    inbox: Vec<Option<Inbox<T>>>,
    /// By shard, ours too.
    parks: Vec<Arc<ParkState>>,
    /// The inbox to look into first, so that no shard starves another.
    turn: usize,
}

struct Outbox<T> {
    sender: Sender<T>,
    /// What found the ring full, oldest first; nothing is pushed while something waits here.
    overflow: VecDeque<T>,
    /// Something was pushed since the last flush.
    pushed: bool,
}

struct Inbox<T> {
    receiver: Receiver<T>,
    /// Something was popped since the last flush.
    popped: bool,
}

/// Endpoints of `shards` shards, by [`ShardId`].
pub fn mesh<T>(shards: usize) -> Vec<Endpoint<T>> {
    mesh_with_slots(shards, SLOTS)
}

/// As [`mesh`], with rings of `slots` slots, a power of two.
pub fn mesh_with_slots<T>(shards: usize, slots: usize) -> Vec<Endpoint<T>> {
    let parks: Vec<_> = (0..shards).map(|_| Arc::new(ParkState::new())).collect();
    let mut endpoints: Vec<Endpoint<T>> = (0..shards)
        .map(|me| Endpoint {
            me: shard(me),
            out: Vec::with_capacity(shards),
            inbox: (0..shards).map(|_| None).collect(),
            parks: parks.iter().map(Arc::clone).collect(),
            turn: 0,
        })
        .collect();
    for from in 0..shards {
        for to in 0..shards {
            let outbox = (from != to).then(|| {
                let (sender, receiver) = ring(slots);
                endpoints[to].inbox[from] = Some(Inbox { receiver, popped: false });
                Outbox { sender, overflow: VecDeque::new(), pushed: false }
            });
            endpoints[from].out.push(outbox);
        }
    }
    endpoints
}

fn shard(index: usize) -> ShardId {
    #[expect(clippy::expect_used, reason = "a machine has fewer than 65,536 cores")]
    ShardId(u16::try_from(index).expect("a shard number fits 16 bits"))
}

impl<T> Outbox<T> {
    /// Moves what waits into the ring as far as there is room.
    fn move_up(&mut self) {
        while let Some(value) = self.overflow.pop_front() {
            match self.sender.try_push(value) {
                Ok(()) => self.pushed = true,
                Err(value) => {
                    self.overflow.push_front(value);
                    // Room that appeared between the push and the announcement is used at once.
                    if self.sender.stall() {
                        return;
                    }
                }
            }
        }
    }
}

impl<T> Endpoint<T> {
    /// Whose endpoint this is.
    pub fn me(&self) -> ShardId {
        self.me
    }

    /// Sends `value` to another shard. It is on its way at once if there is room, and otherwise waits here for
    /// [`Endpoint::flush`]. Gives the value back only when that shard has ended.
    pub fn send(&mut self, to: ShardId, value: T) -> Result<(), T> {
        let outbox = self.out.get_mut(usize::from(to.0)).and_then(Option::as_mut);
        let Some(outbox) = outbox else {
            panic!("shard {} sends to shard {}, which is not another one", self.me.0, to.0)
        };
        if outbox.sender.is_orphan() {
            return Err(value);
        }
        if !outbox.overflow.is_empty() {
            outbox.overflow.push_back(value);
            return Ok(());
        }
        match outbox.sender.try_push(value) {
            Ok(()) => outbox.pushed = true,
            Err(value) => outbox.overflow.push_back(value),
        }
        Ok(())
    }

    /// The next message and who sent it; in turn from each shard that has any.
    pub fn recv(&mut self) -> Option<(ShardId, T)> {
        let count = self.inbox.len();
        for step in 0..count {
            let from = (self.turn + step) % count;
            if let Some(inbox) = &mut self.inbox[from]
                && let Some(value) = inbox.receiver.try_pop()
            {
                inbox.popped = true;
                self.turn = (from + 1) % count;
                return Some((shard(from), value));
            }
        }
        None
    }

    /// Ends a turn: moves waiting messages up and calls `wake` for every shard that sleeps on what this turn did.
    pub fn flush(&mut self, mut wake: impl FnMut(ShardId)) {
        for (to, outbox) in self.out.iter_mut().enumerate() {
            let Some(outbox) = outbox else { continue };
            outbox.move_up();
            if std::mem::take(&mut outbox.pushed)
                && self.parks[to].must_wake()
                && !marks::planted!("engine: lose a wake-up")
            {
                wake(shard(to));
            }
        }
        for (from, inbox) in self.inbox.iter_mut().enumerate() {
            let Some(inbox) = inbox else { continue };
            // It may be asleep with messages that had no room.
            if std::mem::take(&mut inbox.popped) && inbox.receiver.take_stalled() {
                wake(shard(from));
            }
        }
    }

    /// Messages to `to` that have found no room yet.
    pub fn pending(&self, to: ShardId) -> usize {
        let outbox = self.out.get(usize::from(to.0)).and_then(Option::as_ref);
        outbox.map_or(0, |outbox| outbox.overflow.len())
    }

    /// Messages to all shards that have found no room yet.
    pub fn pending_total(&self) -> usize {
        self.out.iter().flatten().map(|outbox| outbox.overflow.len()).sum()
    }

    /// Announces that this shard is about to sleep; `None` when there is something to receive instead. Hold the guard
    /// while asleep. Flush first: messages that wait here do not keep the shard awake, their receiver wakes it.
    pub fn park(&mut self) -> Option<Parking> {
        let parking = Parking(Arc::clone(&self.parks[usize::from(self.me.0)]));
        parking.0.announce();
        let quiet = self.inbox.iter_mut().flatten().all(|inbox| inbox.receiver.is_empty());
        quiet.then_some(parking)
    }
}

/// While this lives, its shard counts as asleep and senders wake it.
pub struct Parking(Arc<ParkState>);

impl Drop for Parking {
    fn drop(&mut self) {
        self.0.retract();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const A: ShardId = ShardId(0);
    const B: ShardId = ShardId(1);

    fn flushed<T>(endpoint: &mut Endpoint<T>) -> Vec<ShardId> {
        let mut woken = Vec::new();
        endpoint.flush(|shard| woken.push(shard));
        woken
    }

    fn pair(slots: usize) -> (Endpoint<u32>, Endpoint<u32>) {
        let mut ends = mesh_with_slots(2, slots).into_iter();
        match (ends.next(), ends.next()) {
            (Some(a), Some(b)) => (a, b),
            _ => panic!("two shards have two ends"),
        }
    }

    #[test]
    fn a_pair_is_first_in_first_out_beyond_the_ring() {
        let (mut a, mut b) = pair(2);
        for value in 0..10 {
            a.send(B, value).expect("b lives");
        }
        assert_eq!((a.pending(B), a.pending_total()), (8, 8));
        let mut got = Vec::new();
        while got.len() < 10 {
            flushed(&mut a);
            got.extend(std::iter::from_fn(|| b.recv()));
        }
        assert_eq!(got, (0..10).map(|value| (A, value)).collect::<Vec<_>>());
        assert_eq!(a.pending_total(), 0);
    }

    #[test]
    fn a_sleeper_is_woken_once_and_only_if_asleep() {
        let (mut a, mut b) = pair(4);
        a.send(B, 1).expect("b lives");
        assert_eq!(flushed(&mut a), []);
        assert!(b.park().is_none(), "there is something to receive");
        assert_eq!(b.recv(), Some((A, 1)));
        let asleep = b.park().expect("nothing is there");
        assert_eq!(flushed(&mut a), [], "nothing was sent since");
        a.send(B, 2).expect("b lives");
        a.send(B, 3).expect("b lives");
        assert_eq!(flushed(&mut a), [B]);
        a.send(B, 4).expect("b lives");
        assert_eq!(flushed(&mut a), [], "it was told already");
        drop(asleep);
    }

    #[test]
    fn a_sender_that_waits_for_room_is_woken_by_the_reader() {
        let (mut a, mut b) = pair(1);
        a.send(B, 1).expect("b lives");
        a.send(B, 2).expect("b lives");
        flushed(&mut a);
        let _asleep = a.park().expect("nothing for a");
        assert_eq!(b.recv(), Some((A, 1)));
        assert_eq!(flushed(&mut b), [A]);
        assert_eq!(flushed(&mut b), [], "told once");
        flushed(&mut a);
        assert_eq!(b.recv(), Some((A, 2)));
    }

    #[test]
    fn nobody_starves() {
        let mut ends = mesh_with_slots(3, 4).into_iter();
        let (mut a, mut b, mut c) = (ends.next().unwrap(), ends.next().unwrap(), ends.next().unwrap());
        for value in 0..3 {
            a.send(ShardId(2), value).expect("c lives");
            b.send(ShardId(2), value).expect("c lives");
        }
        let order: Vec<_> = std::iter::from_fn(|| c.recv()).map(|(from, _)| from.0).collect();
        assert_eq!(order, [0, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn a_shard_that_ended_takes_nothing() {
        let (mut a, b) = pair(1);
        drop(b);
        assert_eq!(a.send(B, 7), Err(7));
    }
}

//! The mailbox on real threads, at a capacity that overflows all the time and with readers that really sleep. If a
//! wake-up gets lost the test does not end; the limit on each sleep turns that into a failure.
#![cfg(not(any(loom, shuttle)))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use engine::io::ShardId;
use engine::mailbox::{Endpoint, mesh_with_slots};
use std::sync::Arc;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

const SHARDS: usize = 4;
/// Miri has time for fewer.
const MESSAGES: u64 = if cfg!(miri) { 40 } else { 20_000 };

/// A longer sleep than this is a lost wake-up: somebody always has something to send.
const SLEEP_MAX: Duration = Duration::from_secs(20);

/// Sleeping and waking as an eventfd does: a wake before the sleep ends the sleep.
#[derive(Default)]
struct Bed {
    woken: Mutex<bool>,
    alarm: Condvar,
}

impl Bed {
    fn wake(&self) {
        *self.woken.lock().unwrap() = true;
        self.alarm.notify_one();
    }

    fn sleep(&self) {
        let woken = self.woken.lock().unwrap();
        let (mut woken, slept) = self.alarm.wait_timeout_while(woken, SLEEP_MAX, |woken| !*woken).unwrap();
        assert!(!slept.timed_out(), "a wake-up was lost");
        *woken = false;
    }
}

/// Sends MESSAGES numbers to every other shard, receives as many from each, and checks their order.
fn shard(mut endpoint: Endpoint<u64>, beds: &[Arc<Bed>]) -> (Endpoint<u64>, usize) {
    let me = usize::from(endpoint.me().0);
    let mut expected = [0; SHARDS];
    expected[me] = MESSAGES;
    let (mut sent, mut sleeps) = (0, 0);
    loop {
        while let Some((from, value)) = endpoint.recv() {
            assert_eq!(value, expected[usize::from(from.0)], "order from shard {}", from.0);
            expected[usize::from(from.0)] += 1;
        }
        // Back-pressure as the node applies it: no new work while old work has found no room.
        for _ in 0..16 {
            if sent < MESSAGES && endpoint.pending_total() == 0 {
                (0..SHARDS).filter(|to| *to != me).for_each(|to| endpoint.send(ShardId(to as u16), sent).unwrap());
                sent += 1;
            }
        }
        endpoint.flush(|shard| beds[usize::from(shard.0)].wake());
        if sent == MESSAGES && endpoint.pending_total() == 0 && expected == [MESSAGES; SHARDS] {
            return (endpoint, sleeps);
        }
        if (sent == MESSAGES || endpoint.pending_total() > 0)
            && let Some(_asleep) = endpoint.park()
        {
            sleeps += 1;
            beds[me].sleep();
        }
    }
}

fn stress(slots: usize) -> usize {
    let beds: Vec<Arc<Bed>> = (0..SHARDS).map(|_| Arc::default()).collect();
    let threads: Vec<_> = mesh_with_slots(SHARDS, slots)
        .into_iter()
        .map(|endpoint| {
            let beds = beds.clone();
            std::thread::spawn(move || shard(endpoint, &beds))
        })
        .collect();
    // Endpoints stay until all are done: one that is gone refuses messages.
    let ended: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    ended.into_iter().map(|(_, sleeps)| sleeps).sum()
}

#[test]
fn every_message_arrives_in_order_through_tiny_rings() {
    assert!(stress(1) > 0, "nobody ever slept, so nothing was woken");
}

#[test]
fn every_message_arrives_in_order_through_usual_rings() {
    stress(64);
}

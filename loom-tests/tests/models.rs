//! The interleavings of the mailbox at capacity 1 and 2. Run with
//! `RUSTFLAGS="--cfg loom" cargo test -p loom-tests --release`.
//!
//! The controls at the end are copies of the parking protocol with one piece missing: if loom does not find them wanting,
//! a green model above proves nothing.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use engine::io::ShardId;
use engine::mailbox::{ParkState, mesh_with_slots, ring};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use loom::thread;
use loom_tests::{Bed, bounded};
use std::collections::VecDeque;
use std::mem::ManuallyDrop;

fn push_through(slots: usize, count: usize) {
    loom::model(move || {
        let (mut sender, mut receiver) = ring(slots);
        let pushing = thread::spawn(move || {
            let mut refused = 0;
            for value in 0..count {
                let mut value = Some(value);
                while let Some(again) = value.take().and_then(|value| sender.try_push(value).err()) {
                    refused += 1;
                    value = Some(again);
                    thread::yield_now();
                }
            }
            refused
        });
        let mut oracle: VecDeque<usize> = (0..count).collect();
        while !oracle.is_empty() {
            match receiver.try_pop() {
                Some(value) => assert_eq!(Some(value), oracle.pop_front()),
                None => thread::yield_now(),
            }
        }
        assert_eq!(receiver.try_pop(), None);
        pushing.join().unwrap();
    });
}

#[test]
fn one_slot_wraps_in_order() {
    push_through(1, 3);
}

#[test]
fn two_slots_wrap_in_order() {
    push_through(2, 3);
}

/// What one end did, and what came of it.
#[derive(Clone, Copy, Debug)]
enum Act {
    Push { value: usize, taken: bool },
    Pop(Option<usize>),
}

/// True if some order of what both ends did is one that a bounded queue would have had.
fn is_explained(pushes: &[Act], pops: &[Act], queue: &VecDeque<usize>, slots: usize) -> bool {
    let allowed = |act: Act| {
        let mut queue = queue.clone();
        let as_seen = match act {
            Act::Push { value, taken } => {
                let has_room = queue.len() < slots;
                if has_room {
                    queue.push_back(value);
                }
                taken == has_room
            }
            Act::Pop(popped) => queue.pop_front() == popped,
        };
        as_seen.then_some(queue)
    };
    let first = |acts: &[Act]| acts.first().copied().and_then(allowed);
    (pushes.is_empty() && pops.is_empty())
        || first(pushes).is_some_and(|queue| is_explained(&pushes[1..], pops, &queue, slots))
        || first(pops).is_some_and(|queue| is_explained(pushes, &pops[1..], &queue, slots))
}

/// What an end did that the other one can notice.
fn noticed(acts: &[Act]) -> Vec<Act> {
    let is_noticed = |act: &&Act| matches!(act, Act::Push { taken: true, .. } | Act::Pop(Some(_)));
    acts.iter().filter(is_noticed).copied().collect()
}

/// Runs `pushes` and `pops` at the same time, none of them repeated, each end calling `between` after each, and hands
/// what came of it to `judge`.
fn race(slots: usize, pushes: usize, pops: usize, between: fn(), judge: fn(&[Act], &[Act], usize) -> bool) {
    loom::model(move || {
        let (mut sender, mut receiver) = ring(slots);
        let push = move |value| {
            let taken = sender.try_push(value).is_ok();
            between();
            Act::Push { value, taken }
        };
        let pushing = thread::spawn(move || (0..pushes).map(push).collect::<Vec<_>>());
        let pop = |_| {
            let popped = receiver.try_pop();
            between();
            Act::Pop(popped)
        };
        let popped: Vec<_> = (0..pops).map(pop).collect();
        let pushed = pushing.join().unwrap();
        assert!(judge(&pushed, &popped, slots), "no queue of {slots} does this: {pushed:?} {popped:?}");
    });
}

/// One queue explains both ends.
fn at_once(pushed: &[Act], popped: &[Act], slots: usize) -> bool {
    is_explained(pushed, popped, &VecDeque::new(), slots)
}

/// Each end sees a queue on which the other may be late.
fn lately(pushed: &[Act], popped: &[Act], slots: usize) -> bool {
    at_once(pushed, &noticed(popped), slots) && at_once(&noticed(pushed), popped, slots)
}

/// Pushes and pops of a race.
const SCRIPTS: [(usize, usize); 7] = [(1, 1), (1, 3), (2, 2), (3, 1), (3, 2), (3, 3), (4, 3)];

#[test]
fn with_fences_every_race_is_explained_by_one_queue() {
    let fenced = || fence(Ordering::SeqCst);
    SCRIPTS.iter().for_each(|&(pushes, pops)| {
        race(1, pushes, pops, fenced, at_once);
        race(2, pushes, pops, fenced, at_once);
    });
}

#[test]
fn every_race_is_explained_by_a_queue_that_may_be_late() {
    SCRIPTS.iter().for_each(|&(pushes, pops)| {
        race(1, pushes, pops, || (), lately);
        race(2, pushes, pops, || (), lately);
    });
}

/// Full and empty may both be old news at the same time: why `stall` and `announce` fence before they look again.
#[test]
#[should_panic(expected = "no queue of 2 does this")]
fn control_without_fences_one_queue_does_not_explain_it() {
    race(2, 3, 2, || (), at_once);
}

#[test]
fn control_the_oracle_refuses_what_no_queue_does() {
    let taken = |value| Act::Push { value, taken: true };
    for (pushes, pops) in [
        (&[taken(0), taken(1)][..], &[Act::Pop(Some(1))][..]),
        (&[taken(0)], &[Act::Pop(Some(0)), Act::Pop(Some(0))]),
        (&[taken(0), taken(1)], &[Act::Pop(None)]),
        (&[taken(0)], &[Act::Pop(Some(0)), Act::Pop(Some(1))]),
        (&[Act::Push { value: 0, taken: false }], &[Act::Pop(None)]),
    ] {
        assert!(!lately(pushes, pops, 1) && !at_once(pushes, pops, 1), "{pushes:?} {pops:?}");
    }
}

#[test]
fn what_is_queued_is_dropped_once() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    loom::model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let (mut sender, mut receiver) = ring(2);
        let count = Arc::clone(&drops);
        let pushing = thread::spawn(move || {
            for _ in 0..3 {
                // A value that is refused is dropped here.
                drop(sender.try_push(Counted(Arc::clone(&count))));
            }
        });
        drop(receiver.try_pop());
        drop(receiver);
        pushing.join().unwrap();
        assert_eq!(drops.load(Ordering::Relaxed), 3);
    });
}

#[test]
fn no_wake_up_is_lost() {
    loom::model(|| {
        let (mut sender, mut receiver) = ring(1);
        let park = Arc::new(ParkState::new());
        let bed = Arc::new(Bed::new());
        let (parked, alarm) = (Arc::clone(&park), Arc::clone(&bed));
        let writer = thread::spawn(move || {
            sender.try_push(7).unwrap();
            if parked.must_wake() {
                alarm.notify();
            }
        });
        let got = loop {
            if let Some(value) = receiver.try_pop() {
                break value;
            }
            park.announce();
            if receiver.is_empty() {
                bed.wait();
            }
            park.retract();
        };
        assert_eq!(got, 7);
        writer.join().unwrap();
    });
}

#[test]
fn of_two_writers_one_wakes_and_nothing_is_lost() {
    bounded(|| {
        let park = Arc::new(ParkState::new());
        let bed = Arc::new(Bed::new());
        let mut receivers = Vec::new();
        let writers: Vec<_> = (0..2)
            .map(|value| {
                let (mut sender, receiver) = ring(1);
                receivers.push(receiver);
                let (parked, alarm) = (Arc::clone(&park), Arc::clone(&bed));
                thread::spawn(move || {
                    sender.try_push(value).unwrap();
                    if parked.must_wake() {
                        alarm.notify();
                    }
                })
            })
            .collect();
        let mut got = Vec::new();
        while got.len() < 2 {
            got.extend(receivers.iter_mut().filter_map(|receiver| receiver.try_pop()));
            park.announce();
            if got.len() < 2 && receivers.iter_mut().all(|receiver| receiver.is_empty()) {
                bed.wait();
            }
            park.retract();
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
    });
}

#[test]
fn a_sender_without_room_is_woken() {
    loom::model(|| {
        let (mut sender, mut receiver) = ring(1);
        let bed = Arc::new(Bed::new());
        let alarm = Arc::clone(&bed);
        let reader = thread::spawn(move || {
            let mut got = Vec::new();
            while got.len() < 2 {
                match receiver.try_pop() {
                    Some(value) => got.push(value),
                    None => thread::yield_now(),
                }
                if receiver.take_stalled() {
                    alarm.notify();
                }
            }
            got
        });
        sender.try_push(1).unwrap();
        let mut value = 2;
        while let Err(again) = sender.try_push(value) {
            value = again;
            if sender.stall() {
                bed.wait();
            }
        }
        assert_eq!(reader.join().unwrap(), [1, 2]);
    });
}

#[test]
fn endpoints_at_capacity_one() {
    const A: ShardId = ShardId(0);
    const B: ShardId = ShardId(1);
    bounded(|| {
        let mut ends = mesh_with_slots(2, 1).into_iter();
        let (mut a, mut b) = (ends.next().unwrap(), ends.next().unwrap());
        let beds = [Arc::new(Bed::new()), Arc::new(Bed::new())];
        let bs = [Arc::clone(&beds[0]), Arc::clone(&beds[1])];
        let reader = thread::spawn(move || {
            let mut got = Vec::new();
            while got.len() < 2 {
                while let Some((from, value)) = b.recv() {
                    assert_eq!(from, A);
                    got.push(value);
                }
                b.flush(|shard| bs[usize::from(shard.0)].notify());
                if got.len() < 2
                    && let Some(_asleep) = b.park()
                {
                    bs[1].wait();
                }
            }
            (got, b)
        });
        a.send(B, 1).unwrap();
        a.send(B, 2).unwrap();
        loop {
            a.flush(|shard| beds[usize::from(shard.0)].notify());
            if a.pending_total() == 0 {
                break;
            }
            if let Some(_asleep) = a.park() {
                beds[0].wait();
            }
        }
        assert_eq!(reader.join().unwrap().0, [1, 2]);
    });
}

/// What a broken copy leaves out.
#[derive(Clone, Copy, PartialEq)]
enum Missing {
    ReaderFence,
    WriterFence,
    SecondLook,
}

fn broken(missing: Missing) {
    loom::model(move || {
        // The deadlock is reported by a panic in here, and loom's own Arc must not be dropped while that unwinds.
        let (mut sender, receiver) = ring(1);
        let mut receiver = ManuallyDrop::new(receiver);
        let parked = std::sync::Arc::new(AtomicBool::new(false));
        let bed = std::sync::Arc::new(Bed::new());
        let (flag, alarm) = (parked.clone(), bed.clone());
        let writer = thread::spawn(move || {
            sender.try_push(7).unwrap();
            if missing != Missing::WriterFence {
                fence(Ordering::SeqCst);
            }
            if flag.load(Ordering::Relaxed) && flag.swap(false, Ordering::AcqRel) {
                alarm.notify();
            }
        });
        while receiver.try_pop().is_none() {
            parked.store(true, Ordering::Relaxed);
            if missing != Missing::ReaderFence {
                fence(Ordering::SeqCst);
            }
            if missing == Missing::SecondLook || receiver.is_empty() {
                bed.wait();
            }
            parked.store(false, Ordering::Relaxed);
        }
        writer.join().unwrap();
        drop(ManuallyDrop::into_inner(receiver));
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn control_without_the_readers_fence() {
    broken(Missing::ReaderFence);
}

#[test]
#[should_panic(expected = "deadlock")]
fn control_without_the_writers_fence() {
    broken(Missing::WriterFence);
}

#[test]
#[should_panic(expected = "deadlock")]
fn control_without_the_second_look() {
    broken(Missing::SecondLook);
}

//! The interleavings of the mailbox at capacity 1 and 2. Run with
//! `RUSTFLAGS="--cfg loom" cargo test -p loom-tests --release`.
//!
//! The controls at the end are copies of the parking protocol with one piece missing: if loom does not find them wanting,
//! a green model above proves nothing.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use engine::io::ShardId;
use engine::mailbox::{ParkState, mesh_with_slots, ring};
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use std::collections::VecDeque;
use std::mem::ManuallyDrop;

/// For the models with too many interleavings: those with at most three preemptions, where most bugs show.
fn bounded(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

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

/// Sleeping and waking as an eventfd does: a wake before the sleep ends the sleep.
struct Bed {
    woken: Mutex<bool>,
    alarm: Condvar,
}

impl Bed {
    fn new() -> Bed {
        Bed { woken: Mutex::new(false), alarm: Condvar::new() }
    }

    fn notify(&self) {
        *self.woken.lock().unwrap() = true;
        self.alarm.notify_one();
    }

    fn wait(&self) {
        let mut woken = self.woken.lock().unwrap();
        while !*woken {
            woken = self.alarm.wait(woken).unwrap();
        }
        *woken = false;
    }
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

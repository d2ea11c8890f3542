//! Starting and stopping together: `node/src/stages.rs` itself, with shards that do what the node's do about it
//! (`Shard::advance_stop`) and sleep behind the engine's own flag. What would break: a shard sleeps through the stop, or
//! closes its logs while another still has connections.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../node/src/stages.rs"]
#[allow(dead_code, unreachable_pub, reason = "the node uses all of it, and shows it to others")]
mod stages;

use engine::io::Waker;
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;
use loom_tests::{Bell, bounded};
use stages::Stages;
use std::sync::Arc;

const SHARDS: usize = 2;

fn crew() -> (Arc<Stages>, Vec<Arc<Bell>>) {
    let bells: Vec<_> = (0..SHARDS).map(|_| Arc::new(Bell::new())).collect();
    let wakers = bells.iter().map(|bell| Arc::clone(bell) as Arc<dyn Waker>).collect();
    (Arc::new(Stages::new(wakers)), bells)
}

/// Turns and sleeps until all are drained; `connections` are those of all shards, each with one.
fn serve_until_stopped(stages: &Stages, bell: &Bell, connections: &AtomicUsize) {
    let mut drained = false;
    loop {
        if !drained && stages.is_stop_requested() {
            connections.fetch_sub(1, Ordering::Relaxed);
            drained = true;
            stages.note_drained();
        }
        if drained && stages.is_drained() {
            assert_eq!(connections.load(Ordering::Relaxed), 0, "closed before the last connection had gone");
            return;
        }
        bell.sleep();
    }
}

#[test]
fn every_shard_hears_of_the_stop_and_closes_after_the_last_connection() {
    bounded(|| {
        let (stages, bells) = crew();
        let connections = Arc::new(AtomicUsize::new(SHARDS));
        let shards: Vec<_> = bells
            .into_iter()
            .map(|bell| {
                let (stages, connections) = (Arc::clone(&stages), Arc::clone(&connections));
                thread::spawn(move || serve_until_stopped(&stages, &bell, &connections))
            })
            .collect();
        stages.request_stop();
        shards.into_iter().for_each(|shard| shard.join().unwrap());
    });
}

#[test]
fn who_is_let_in_finds_the_metadata_complete() {
    loom::model(|| {
        let (stages, bells) = crew();
        let metadata = Arc::new(UnsafeCell::new(0));
        let (open, complete) = (Arc::clone(&stages), Arc::clone(&metadata));
        let starter = thread::spawn(move || {
            // SAFETY: loom reports any access that is not ordered after.
            complete.with_mut(|at| unsafe { *at = 7 });
            open.open();
        });
        while !stages.is_open() {
            bells[1].sleep();
        }
        // SAFETY: loom reports a write that is not ordered before.
        assert_eq!(metadata.with(|at| unsafe { *at }), 7);
        starter.join().unwrap();
    });
}

#[test]
fn who_sleeps_hears_that_memory_is_wanted() {
    loom::model(|| {
        let (stages, bells) = crew();
        let wanting = Arc::clone(&stages);
        let reader = thread::spawn(move || {
            wanting.want(0, 5);
            wanting.want(5, 8);
        });
        while stages.wanted_bytes() == 0 {
            bells[1].sleep();
        }
        reader.join().unwrap();
        assert_eq!(stages.wanted_bytes(), 8);
        stages.want(8, 0);
        assert_eq!(stages.wanted_bytes(), 0);
    });
}

/// A copy that wakes everybody and only then says why.
#[test]
#[should_panic(expected = "deadlock")]
fn control_woken_before_the_stop_is_said() {
    loom::model(|| {
        let (stop, bell) = (Arc::new(AtomicBool::new(false)), Arc::new(Bell::new()));
        let (said, waker) = (Arc::clone(&stop), Arc::clone(&bell));
        let signals = thread::spawn(move || {
            waker.wake();
            said.store(true, Ordering::Release);
        });
        while !stop.load(Ordering::Acquire) {
            bell.sleep();
        }
        signals.join().unwrap();
    });
}

/// A copy that counts a shard as drained before its connection is gone.
#[test]
#[should_panic(expected = "closed before")]
fn control_drained_before_the_connection_is_gone() {
    loom::model(|| {
        let (stages, bells) = crew();
        let connections = Arc::new(AtomicUsize::new(SHARDS));
        let (early, left) = (Arc::clone(&stages), Arc::clone(&connections));
        stages.request_stop();
        let shard = thread::spawn(move || {
            early.note_drained();
            left.fetch_sub(1, Ordering::Relaxed);
        });
        serve_until_stopped(&stages, &bells[1], &connections);
        shard.join().unwrap();
    });
}

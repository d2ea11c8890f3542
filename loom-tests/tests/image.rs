//! How the metadata image gets to the shards: a counted reference through a mailbox, one for each version, in order. The
//! publisher edits in place what nobody else holds, and a copy otherwise (`Arc::make_mut` in `broker/src/image.rs`). What
//! would break: a shard sees half of two versions, misses one, or goes back.
//!
//! The mailbox is the engine's. The image is a small one of two cells that must agree, behind loom's `Arc` in place of
//! std's, which the broker uses.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use engine::io::ShardId;
use engine::mailbox::{Endpoint, mesh_with_slots};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use loom_tests::{Bed, bounded};
use std::mem::ManuallyDrop;

const READER: ShardId = ShardId(1);
const VERSIONS: u64 = 2;

/// Two parts of one version.
struct Image {
    topics: UnsafeCell<u64>,
    ids: UnsafeCell<u64>,
}

impl Image {
    fn of(version: u64) -> Image {
        Image { topics: UnsafeCell::new(version), ids: UnsafeCell::new(version) }
    }

    fn version(&self) -> u64 {
        // SAFETY: loom reports any write that is not ordered before.
        let parts = [&self.topics, &self.ids].map(|part| part.with(|at| unsafe { *at }));
        assert_eq!(parts[0], parts[1], "half of two versions");
        parts[0]
    }

    fn edit(&self, version: u64) {
        // SAFETY: loom reports any access that is not ordered before or after.
        [&self.topics, &self.ids].iter().for_each(|part| part.with_mut(|at| unsafe { *at = version }));
    }
}

/// Moves `newest` on by one version, as the controller does.
fn make_next(newest: &mut Arc<Image>) {
    let next = newest.version() + 1;
    match Arc::get_mut(newest) {
        Some(alone) => alone.edit(next),
        None => *newest = Arc::new(Image::of(next)),
    }
}

/// Takes every version in turn and holds the newest.
fn follow(mut mail: Endpoint<Arc<Image>>, beds: &[std::sync::Arc<Bed>; 2]) {
    let mut held: Option<Arc<Image>> = None;
    let mut seen = 0;
    while seen < VERSIONS {
        while let Some((_, image)) = mail.recv() {
            if let Some(old) = &held {
                assert_eq!(old.version(), seen, "what is held does not change");
            }
            assert_eq!(image.version(), seen + 1, "one version after the other");
            seen += 1;
            held = Some(image);
        }
        mail.flush(|shard| beds[usize::from(shard.0)].notify());
        if seen < VERSIONS
            && let Some(_asleep) = mail.park()
        {
            beds[1].wait();
        }
    }
}

#[test]
fn every_version_arrives_whole_and_in_order() {
    bounded(|| {
        let beds = [Bed::new(), Bed::new()].map(std::sync::Arc::new);
        let mut ends = mesh_with_slots(2, 2).into_iter();
        let (mut mail, theirs) = (ends.next().unwrap(), ends.next().unwrap());
        let reader = {
            let beds = beds.clone();
            thread::spawn(move || follow(theirs, &beds))
        };
        let mut newest = Arc::new(Image::of(0));
        for _ in 0..VERSIONS {
            make_next(&mut newest);
            assert!(mail.send(READER, Arc::clone(&newest)).is_ok());
            mail.flush(|shard| beds[usize::from(shard.0)].notify());
        }
        // The reader may have let go of it by now: then this is in place.
        make_next(&mut newest);
        assert_eq!(newest.version(), VERSIONS + 1);
        reader.join().unwrap();
    });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_an_edit_in_place_that_asks_nobody() {
    loom::model(|| {
        let newest = ManuallyDrop::new(Arc::new(Image::of(1)));
        let held = Arc::clone(&newest);
        let reader = thread::spawn(move || assert_eq!(ManuallyDrop::new(held).version(), 1));
        newest.edit(2);
        reader.join().unwrap();
    });
}

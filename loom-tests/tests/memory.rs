//! Buffers, slices and tails between threads: the engine's own types, with each byte of their memory watched (see
//! `engine/src/mem/track.rs`). What would break: a reader sees bytes change, memory is used again while somebody reads it,
//! or comes back twice or never.
//!
//! The controls are the same scenes with one forbidden act, or copies of the protocol with a weaker order.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use engine::mailbox::ring;
use engine::mem::{BLOCK, Buf, Gauge, Lease, Slice, Tail, pooled_bytes, scribble};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;
use loom_tests::bounded;

/// A tail with `ab` published, and the slice of it.
fn published() -> (Tail, Slice) {
    let mut tail = Tail::new(16);
    tail.append(b"ab");
    tail.publish();
    let slice = tail.slice(0..2);
    (tail, slice)
}

#[test]
fn readers_of_the_frozen_part_and_a_writer_behind_it() {
    bounded(|| {
        let (mut tail, slice) = published();
        let readers = [slice.clone(), slice].map(|slice| {
            thread::spawn(move || {
                let part = slice.slice(1..2);
                assert_eq!(&*slice, b"ab");
                drop(slice);
                part
            })
        });
        assert_eq!(tail.append(b"cd"), 2..4);
        tail.unpublished_mut()[0] = b'C';
        tail.publish();
        assert_eq!(&*tail.slice(0..4), b"abCd");
        drop(tail);
        for reader in readers {
            assert_eq!(&*reader.join().unwrap(), b"b");
        }
    });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_a_writer_inside_the_frozen_part() {
    loom::model(|| {
        let (_tail, slice) = published();
        let part = slice.slice(1..2);
        let reader = thread::spawn(move || assert_eq!(&*slice, b"ab"));
        scribble(&part);
        reader.join().unwrap();
    });
}

/// A lease is filled and given up elsewhere; the owner may use the same room only after that.
#[test]
fn a_lease_dropped_elsewhere_ends_before_its_room_is_written_again() {
    loom::model(|| {
        let (mut tail, slice) = published();
        let mut buf = tail.lease(4).into_buf();
        let receiver = thread::spawn(move || {
            buf.extend_from_slice(b"wxyz");
            assert_eq!(buf.as_slice(), b"wxyz");
        });
        while tail.is_leased() {
            thread::yield_now();
        }
        assert_eq!(tail.append(b"cd"), 2..4);
        tail.publish();
        assert_eq!(&*tail.slice(0..4), b"abcd");
        receiver.join().unwrap();
        assert_eq!(&*slice, b"ab");
    });
}

#[test]
fn a_lease_filled_elsewhere_is_accepted_while_readers_read() {
    loom::model(|| {
        let (mut tail, slice) = published();
        let (mut there, mut here) = ring(1);
        let mut buf = tail.lease(4).into_buf();
        let receiver = thread::spawn(move || {
            buf.extend_from_slice(b"cd");
            assert_eq!(&*slice, b"ab");
            assert!(there.try_push(buf).is_ok());
        });
        let buf = loop {
            match here.try_pop() {
                Some(buf) => break buf,
                None => thread::yield_now(),
            }
        };
        assert_eq!(tail.accept(Lease::from_buf(buf).unwrap()), 2..4);
        tail.publish();
        assert_eq!(&*tail.slice(1..4), b"bcd");
        assert!(!tail.is_leased());
        receiver.join().unwrap();
    });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_a_lease_that_ends_without_release() {
    loom::model(|| {
        let leased = Arc::new(AtomicBool::new(true));
        let room = Arc::new(UnsafeCell::new(0u8));
        let (flag, lent) = (Arc::clone(&leased), Arc::clone(&room));
        let receiver = thread::spawn(move || {
            lent.with_mut(|_| ());
            flag.store(false, Ordering::Relaxed);
        });
        while leased.load(Ordering::Acquire) {
            thread::yield_now();
        }
        room.with_mut(|_| ());
        receiver.join().unwrap();
    });
}

/// Memory goes to the pool of whoever lets go last, once, and is written there only after everybody has read it.
#[test]
fn frozen_memory_comes_back_once_and_after_its_readers() {
    bounded(|| {
        let gauge = Gauge::default();
        let mut buf = Buf::counted(2, &gauge);
        buf.extend_from_slice(b"ab");
        let slice = buf.freeze();
        let let_go = |slice: Slice| {
            assert_eq!(&*slice, b"ab");
            drop(slice);
            let kept = pooled_bytes();
            let mut again = Buf::with_capacity(2);
            again.extend_from_slice(b"xy");
            kept
        };
        let others = [slice.clone(), slice.slice(0..2)].map(|slice| thread::spawn(move || let_go(slice)));
        let mine = let_go(slice);
        let kept: usize = others.into_iter().map(|other| other.join().unwrap()).sum();
        assert_eq!((mine + kept, gauge.bytes()), (BLOCK, 0));
    });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_a_count_without_order() {
    loom::model(|| {
        let shared = Arc::new((AtomicUsize::new(2), UnsafeCell::new(0u8)));
        let let_go = |shared: &(AtomicUsize, UnsafeCell<u8>)| {
            shared.1.with(|_| ());
            if shared.0.fetch_sub(1, Ordering::Relaxed) == 1 {
                // Memory that nobody else holds is used again.
                shared.1.with_mut(|_| ());
            }
        };
        let other = Arc::clone(&shared);
        let other = thread::spawn(move || let_go(&other));
        let_go(&shared);
        other.join().unwrap();
    });
}

/// How memory gets home today: what comes back through a mailbox is dropped by its owner, whose pool it joins.
#[test]
fn a_slice_that_is_sent_back_joins_its_owners_pool() {
    bounded(|| {
        let (mut there, mut inbox) = ring(1);
        let (mut back, mut home) = ring(1);
        let other = thread::spawn(move || {
            let slice: Slice = loop {
                match inbox.try_pop() {
                    Some(slice) => break slice,
                    None => thread::yield_now(),
                }
            };
            assert_eq!(&*slice, b"ab");
            assert!(back.try_push(slice).is_ok());
            pooled_bytes()
        });
        assert!(there.try_push(Slice::copy_of(b"ab")).is_ok());
        while home.try_pop().is_none() {
            thread::yield_now();
        }
        assert_eq!(pooled_bytes(), BLOCK);
        let mut again = Buf::with_capacity(2);
        again.extend_from_slice(b"xy");
        assert_eq!(other.join().unwrap(), 0);
    });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_memory_used_again_while_it_is_read() {
    loom::model(|| {
        let slice = Slice::copy_of(b"ab");
        let mine = slice.clone();
        let reader = thread::spawn(move || assert_eq!(&*slice, b"ab"));
        // As if the pool had it already.
        scribble(&mine);
        reader.join().unwrap();
    });
}

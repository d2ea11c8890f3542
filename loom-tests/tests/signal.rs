//! The flag in front of every driver's eventfd: many wakes ring once, and none is lost. Without the models' order
//! (silence the bell, then lower the flag, then look) a wake falls between; the control has the first two swapped.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use engine::io::Waker;
use engine::mailbox::Signal;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use loom_tests::{Bed, Bell, bounded};

const WRITERS: usize = 2;

/// Sends one message each, in the weakest order there is: the bell alone must make it visible.
fn writers(mail: &Arc<AtomicUsize>, bell: &Arc<Bell>) -> Vec<thread::JoinHandle<()>> {
    let send = |_| {
        let (mail, bell) = (Arc::clone(mail), Arc::clone(bell));
        thread::spawn(move || {
            mail.fetch_add(1, Ordering::Relaxed);
            bell.wake();
        })
    };
    (0..WRITERS).map(send).collect()
}

#[test]
fn a_sleeper_hears_of_every_message() {
    bounded(|| {
        let (mail, bell) = (Arc::new(AtomicUsize::new(0)), Arc::new(Bell::new()));
        let writers = writers(&mail, &bell);
        while mail.load(Ordering::Relaxed) < WRITERS {
            bell.sleep();
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
    });
}

#[test]
fn who_looks_in_between_loses_nothing() {
    bounded(|| {
        let (mail, bell) = (Arc::new(AtomicUsize::new(0)), Arc::new(Bell::new()));
        let writers = writers(&mail, &bell);
        bell.drain();
        while mail.load(Ordering::Relaxed) < WRITERS {
            bell.sleep();
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn control_lowered_before_the_bell_is_silent() {
    bounded(|| {
        // std's Arc: the deadlock is a panic in here, and loom's own must not be dropped while that unwinds.
        let mail = std::sync::Arc::new(AtomicUsize::new(0));
        let bell = std::sync::Arc::new((Signal::new(), Bed::new()));
        let send = |_| {
            let (mail, bell) = (mail.clone(), bell.clone());
            thread::spawn(move || {
                mail.fetch_add(1, Ordering::Relaxed);
                if bell.0.raise() {
                    bell.1.notify();
                }
            })
        };
        let writers: Vec<_> = (0..WRITERS).map(send).collect();
        bell.0.lower();
        bell.1.silence();
        while mail.load(Ordering::Relaxed) < WRITERS {
            bell.1.wait();
            bell.0.lower();
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
    });
}

//! Waking a glommio executor: `engine/src/io/glommio/signal.rs` itself, between a task that waits and whoever wakes it. What
//! would break: a message is sent, and the executor sleeps. The control looks at the flag before it leaves its waker.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../engine/src/io/glommio/signal.rs"]
#[allow(dead_code, reason = "the driver uses all of it")]
mod signal;

/// What the file names of the engine.
mod io {
    pub(crate) use engine::io::Waker;
}

mod sync {
    pub(crate) use loom::sync::atomic::{AtomicBool, Ordering};
    pub(crate) use loom::sync::{Mutex, MutexGuard};
}

use engine::io::Waker;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use loom_tests::{Bed, bounded};
use signal::Signal;
use std::sync::Arc;
use std::task::{self, Wake};

const WRITERS: usize = 2;

/// The executor's sleep.
struct Executor(Bed);

impl Wake for Executor {
    fn wake(self: Arc<Executor>) {
        self.0.notify();
    }
}

/// Messages in the weakest order there is, from as many threads, and what wakes for them.
fn writers(mail: &Arc<AtomicUsize>, wake: impl Fn() + Clone + 'static) -> Vec<thread::JoinHandle<()>> {
    let send = |_| {
        let (mail, wake) = (Arc::clone(mail), wake.clone());
        thread::spawn(move || {
            mail.fetch_add(1, Ordering::Relaxed);
            wake();
        })
    };
    (0..WRITERS).map(send).collect()
}

#[test]
fn a_task_that_waits_hears_of_every_message() {
    bounded(|| {
        let (mail, signal) = (Arc::new(AtomicUsize::new(0)), Arc::new(Signal::default()));
        let executor = Arc::new(Executor(Bed::new()));
        let waker = task::Waker::from(Arc::clone(&executor));
        let ringing = Arc::clone(&signal);
        let writers = writers(&mail, move || ringing.wake());
        while mail.load(Ordering::Relaxed) < WRITERS {
            if !signal.take(&waker) {
                executor.0.wait();
            }
        }
        signal.forget();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn control_looked_before_the_waker_is_left() {
    bounded(|| {
        let (mail, signal) =
            (Arc::new(AtomicUsize::new(0)), Arc::new((sync::AtomicBool::new(false), sync::Mutex::new(None))));
        let executor = Arc::new(Executor(Bed::new()));
        let ringing = Arc::clone(&signal);
        let wake = move || {
            if !ringing.0.swap(true, Ordering::AcqRel) {
                let sleeper: Option<task::Waker> = ringing.1.lock().unwrap().take();
                sleeper.into_iter().for_each(task::Waker::wake);
            }
        };
        let writers = writers(&mail, wake);
        while mail.load(Ordering::Relaxed) < WRITERS {
            let fired = signal.0.swap(false, Ordering::AcqRel);
            *signal.1.lock().unwrap() = Some(task::Waker::from(Arc::clone(&executor)));
            if !fired {
                executor.0.wait();
            }
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
    });
}

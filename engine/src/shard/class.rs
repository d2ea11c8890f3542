//! A class of background work: at most so many of its tasks do I/O at a time, so that clients go first.

use super::executor::TaskId;
use super::io::Io;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// A counting semaphore for the tasks of one shard. Waiters are served in order. Clones share the permits.
#[derive(Clone)]
pub struct Class {
    io: Io,
    state: Rc<RefCell<State>>,
}

struct State {
    free: usize,
    waiting: VecDeque<TaskId>,
}

/// The right to work; given back when dropped.
pub struct Permit(Class);

struct Acquire {
    class: Class,
    queued: bool,
}

impl Class {
    /// A class of which at most `permits` tasks work at a time.
    pub fn new(io: &Io, permits: usize) -> Class {
        assert!(permits > 0, "a class without permits would never work");
        Class { io: io.clone(), state: Rc::new(RefCell::new(State { free: permits, waiting: VecDeque::new() })) }
    }

    /// Waits for a permit.
    pub async fn acquire(&self) -> Permit {
        Acquire { class: self.clone(), queued: false }.await
    }

    fn release(&self) {
        let mut state = self.state.borrow_mut();
        state.free += 1;
        if let Some(next) = state.waiting.pop_front() {
            self.io.executor().wake(next);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl Future for Acquire {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Permit> {
        let task = self.class.io.executor().current();
        let mut state = self.class.state.borrow_mut();
        // A newcomer does not overtake those who wait already.
        if state.free > 0 && (self.queued || state.waiting.is_empty()) {
            state.free -= 1;
            drop(state);
            return Poll::Ready(Permit(self.class.clone()));
        }
        if !state.waiting.contains(&task) {
            state.waiting.push_back(task);
        }
        drop(state);
        self.queued = true;
        Poll::Pending
    }
}

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
    queued: Option<TaskId>,
}

impl Class {
    /// A class of which at most `permits` tasks work at a time.
    pub fn new(io: &Io, permits: usize) -> Class {
        assert!(permits > 0, "a class without permits would never work");
        Class { io: io.clone(), state: Rc::new(RefCell::new(State { free: permits, waiting: VecDeque::new() })) }
    }

    /// Waits for a permit.
    pub async fn acquire(&self) -> Permit {
        Acquire { class: self.clone(), queued: None }.await
    }

    fn release(&self) {
        self.state.borrow_mut().free += 1;
        self.wake_first();
    }

    /// The first who waits stays first until it runs, so that nobody passes it in between.
    fn wake_first(&self) {
        let state = self.state.borrow();
        if let Some(&first) = state.waiting.front().filter(|_| state.free > 0) {
            self.io.executor().wake(first);
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
        if self.queued.is_none() {
            state.waiting.push_back(task);
        }
        let is_first = state.waiting.front() == Some(&task);
        if state.free == 0 || !is_first {
            drop(state);
            self.queued = Some(task);
            return Poll::Pending;
        }
        state.free -= 1;
        state.waiting.pop_front();
        drop(state);
        self.queued = None;
        self.class.wake_first();
        Poll::Ready(Permit(self.class.clone()))
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        let Some(task) = self.queued else { return };
        self.class.state.borrow_mut().waiting.retain(|&waiting| waiting != task);
        self.class.wake_first();
    }
}

//! The run queue: which task is polled next. First in, first out, so that equal inputs give equal runs.
//!
//! There are no `std::task::Waker`s behind this: a leaf future remembers the number of the task that polled it and wakes
//! that number. It is why only our own leaves may be awaited here.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};

/// A task of this shard, by its place in the table. Places are reused after the task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TaskId(u32);

type BoxedTask = Pin<Box<dyn Future<Output = ()>>>;

#[derive(Default)]
pub(super) struct Executor {
    tasks: RefCell<Vec<Entry>>,
    free: RefCell<Vec<u32>>,
    ready: RefCell<VecDeque<TaskId>>,
    /// Tasks that gave up their turn; they are ready again in the next one.
    yielded: RefCell<Vec<TaskId>>,
    current: Cell<Option<TaskId>>,
    running: Cell<usize>,
}

#[derive(Default)]
struct Entry {
    /// Absent while the task is being polled and after it ended.
    task: Option<BoxedTask>,
    /// True while the id lies in `ready` or `yielded`, so that it lies there once.
    queued: bool,
}

impl Executor {
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let id = self.free.borrow_mut().pop().unwrap_or_else(|| {
            let mut tasks = self.tasks.borrow_mut();
            tasks.push(Entry::default());
            u32::try_from(tasks.len() - 1).unwrap_or_else(|_| unreachable!("memory ends before 2^32 tasks"))
        });
        self.tasks.borrow_mut()[id as usize].task = Some(Box::pin(task));
        self.running.set(self.running.get() + 1);
        self.wake(TaskId(id));
    }

    /// Puts a task at the end of the queue unless it is there already.
    pub(super) fn wake(&self, id: TaskId) {
        let mut tasks = self.tasks.borrow_mut();
        // The table is empty once the tasks were cleared; what they held may still wake them while it drops.
        let Some(entry) = tasks.get_mut(id.0 as usize) else { return };
        if !std::mem::replace(&mut entry.queued, true) {
            self.ready.borrow_mut().push_back(id);
        }
    }

    /// The task being polled. Our leaves may be awaited inside a task only.
    pub(super) fn current(&self) -> TaskId {
        let Some(id) = self.current.get() else { panic!("an engine future was polled outside a task of its shard") };
        id
    }

    /// Makes the current task ready again in the next turn.
    pub(super) fn yield_current(&self) {
        let id = self.current();
        self.tasks.borrow_mut()[id.0 as usize].queued = true;
        self.yielded.borrow_mut().push(id);
    }

    pub(super) fn begin_turn(&self) {
        self.ready.borrow_mut().extend(self.yielded.borrow_mut().drain(..));
    }

    /// Polls ready tasks until none is left.
    pub(super) fn run_ready(&self) {
        while let Some(id) = self.next_ready() {
            self.poll(id);
        }
    }

    pub(super) fn has_work(&self) -> bool {
        !self.ready.borrow().is_empty() || !self.yielded.borrow().is_empty()
    }

    pub(super) fn running(&self) -> usize {
        self.running.get()
    }

    fn next_ready(&self) -> Option<TaskId> {
        self.ready.borrow_mut().pop_front()
    }

    fn poll(&self, id: TaskId) {
        let taken = {
            let mut tasks = self.tasks.borrow_mut();
            let entry = &mut tasks[id.0 as usize];
            entry.queued = false;
            entry.task.take()
        };
        // A wake may outlive its task; the place is then empty or belongs to a task that tolerates one more poll.
        let Some(mut task) = taken else { return };
        let outer = self.current.replace(Some(id));
        let done = task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        self.current.set(outer);
        if done {
            drop(task);
            self.running.set(self.running.get() - 1);
            self.free.borrow_mut().push(id.0);
        } else {
            self.tasks.borrow_mut()[id.0 as usize].task = Some(task);
        }
    }

    /// Drops every task that has not ended.
    pub(super) fn clear(&self) {
        let tasks = std::mem::take(&mut *self.tasks.borrow_mut());
        self.ready.borrow_mut().clear();
        self.yielded.borrow_mut().clear();
        self.free.borrow_mut().clear();
        self.running.set(0);
        drop(tasks);
    }
}

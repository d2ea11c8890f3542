//! The handle that everything on one shard shares: the driver, the tasks, and who waits for which op.

use super::executor::Executor;
use super::op_future::{OpFuture, PendingOps, YieldNow};
use crate::io::{Caps, Done, Driver, Op, Owner, Token};
use crate::time::{Mono, Wall};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;

/// One shard's way to the world. Clones are the same shard.
///
/// Calling order of a loop: [`Io::turn`], hand its completions to their owners, let the machines submit, [`Io::park`].
#[derive(Clone)]
pub struct Io(Rc<Inner>);

struct Inner {
    driver: RefCell<Box<dyn Driver>>,
    caps: Caps,
    pending: RefCell<PendingOps>,
    executor: Executor,
    reaped: RefCell<Vec<Done>>,
    abandoning: Cell<bool>,
}

impl Io {
    /// A shard over `driver`.
    pub fn new(driver: Box<dyn Driver>) -> Io {
        let caps = driver.caps().clone();
        Io(Rc::new(Inner {
            driver: RefCell::new(driver),
            caps,
            pending: RefCell::default(),
            executor: Executor::default(),
            reaped: RefCell::default(),
            abandoning: Cell::new(false),
        }))
    }

    /// Starts an op of a machine; its completion comes out of [`Io::turn`].
    pub fn submit(&self, token: Token, op: Op) {
        assert!(token.owner() != Owner::Task, "tasks use Io::call, which owns the tokens of Owner::Task");
        self.0.driver.borrow_mut().submit(token, op);
    }

    /// Starts an op now; await the result in a task.
    pub fn call(&self, op: Op) -> OpFuture {
        let slot = self.begin(op, false);
        OpFuture::new(self.clone(), slot)
    }

    /// Starts an op whose result nobody needs. Nothing happens while tasks are abandoned: what they close may still have
    /// ops in flight, and the driver closes everything when it goes.
    pub fn detach(&self, op: Op) {
        if !self.0.abandoning.get() {
            self.begin(op, true);
        }
    }

    /// Waits until `at` or a little longer.
    pub async fn sleep_until(&self, at: Mono) {
        self.call(Op::Timer { at }).await;
    }

    /// Lets everything else that is ready go first.
    pub fn yield_now(&self) -> YieldNow {
        YieldNow::new(self.clone())
    }

    /// Starts a task; it is polled for the first time in this or the next turn.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.0.executor.spawn(task);
    }

    /// Reaps completions, gives tasks theirs, runs ready tasks until none is left, and appends everybody else's
    /// completions to `out`.
    pub fn turn(&self, out: &mut Vec<Done>) {
        self.0.executor.begin_turn();
        let mut reaped = self.0.reaped.take();
        self.0.driver.borrow_mut().reap(&mut reaped);
        for done in reaped.drain(..) {
            match done.token.owner() {
                Owner::Task => self.complete(done),
                _ => out.push(done),
            }
        }
        self.0.reaped.replace(reaped);
        self.0.executor.run_ready();
    }

    /// Waits until something completes, a waker fires or `until` passes; returns at once while tasks are ready.
    pub fn park(&self, until: Option<Mono>) {
        if !self.0.executor.has_work() {
            self.0.driver.borrow_mut().park(until);
        }
    }

    /// Turns and parks until `task` has ended, and returns its value. For boot and tests: completions of machines are
    /// handed to `other`.
    pub fn block_on<T: 'static>(&self, task: impl Future<Output = T> + 'static, mut other: impl FnMut(Done)) -> T {
        let result = Rc::new(RefCell::new(None));
        let slot = Rc::clone(&result);
        self.spawn(async move {
            let value = task.await;
            slot.replace(Some(value));
        });
        let mut dones = Vec::new();
        loop {
            self.turn(&mut dones);
            dones.drain(..).for_each(&mut other);
            if let Some(value) = result.take() {
                return value;
            }
            self.park(None);
        }
    }

    /// Monotonic time.
    pub fn now(&self) -> Mono {
        self.0.driver.borrow().now()
    }

    /// Wall-clock time.
    pub fn wall(&self) -> Wall {
        self.0.driver.borrow().wall()
    }

    /// A random number: seeded in the simulator, from the kernel otherwise.
    pub fn random(&self) -> u64 {
        self.0.driver.borrow_mut().random()
    }

    /// What the driver can do.
    pub fn caps(&self) -> &Caps {
        &self.0.caps
    }

    /// Reaches what is not an op: listeners, wakers, peers. Not to be nested.
    pub fn with_driver<T>(&self, then: impl FnOnce(&mut dyn Driver) -> T) -> T {
        then(self.0.driver.borrow_mut().as_mut())
    }

    /// Tasks that have not ended.
    pub fn tasks_running(&self) -> usize {
        self.0.executor.running()
    }

    /// Drops every task. Tasks hold this handle, so without it a shard with unfinished tasks would never be freed.
    pub fn abandon_tasks(&self) {
        self.0.abandoning.set(true);
        self.0.executor.clear();
        self.0.abandoning.set(false);
    }

    fn begin(&self, op: Op, forgotten: bool) -> u32 {
        let slot = self.0.pending.borrow_mut().begin(forgotten);
        self.0.driver.borrow_mut().submit(Token::new(Owner::Task, u64::from(slot)), op);
        slot
    }

    fn complete(&self, done: Done) {
        let waiter = self.0.pending.borrow_mut().complete(done);
        if let Some(task) = waiter {
            self.0.executor.wake(task);
        }
    }

    pub(super) fn executor(&self) -> &Executor {
        &self.0.executor
    }

    pub(super) fn with_pending<T>(&self, then: impl FnOnce(&mut PendingOps) -> T) -> T {
        then(&mut self.0.pending.borrow_mut())
    }
}

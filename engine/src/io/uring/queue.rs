//! The ring's two queues: entries go in whatever its size, waits end in time, completions come out.

use io_uring::squeue::Entry;
use io_uring::{IoUring, types};
use std::collections::VecDeque;
use std::time::Duration;

/// A completion: user data, result, flags.
pub(super) type Completion = (u64, i32, u32);

pub(super) struct Queue {
    ring: IoUring,
    /// Entries that found the submission queue full, in order.
    backlog: VecDeque<Entry>,
}

impl Queue {
    pub(super) fn new(ring: IoUring) -> Queue {
        Queue { ring, backlog: VecDeque::new() }
    }

    pub(super) fn ring(&self) -> &IoUring {
        &self.ring
    }

    /// Queues an entry; the kernel sees it at the next [`Queue::submit`] or [`Queue::wait`] at the latest.
    ///
    /// # Safety
    /// What the entry points to stays where it is until its completion was taken, or for ever.
    pub(super) unsafe fn push(&mut self, entry: Entry) {
        self.backlog.push_back(entry);
        self.fill();
        if !self.backlog.is_empty() {
            self.enter();
            self.fill();
        }
    }

    fn fill(&mut self) {
        let mut queue = self.ring.submission();
        while let Some(entry) = self.backlog.front() {
            // SAFETY: `push` was promised that everything the entry points to stays.
            if unsafe { queue.push(entry) }.is_err() {
                return;
            }
            self.backlog.pop_front();
        }
    }

    /// Gives the kernel what is queued and lets it finish what it deferred. Nothing to do costs no system call.
    pub(super) fn submit(&mut self) {
        loop {
            let queue = self.ring.submission();
            let queued = queue.len();
            let work = queued > 0 || queue.taskrun() || queue.cq_overflow();
            drop(queue);
            if !work {
                return;
            }
            self.enter();
            // While the kernel takes entries (it refuses with EBUSY until completions are reaped), the backlog moves up.
            let took_none = self.ring.submission().len() == queued;
            if self.backlog.is_empty() || took_none {
                return;
            }
            self.fill();
        }
    }

    fn enter(&self) {
        // EINTR, EAGAIN and EBUSY leave the entries queued; the next turn tries again. Nothing else can fail here.
        let _ = self.ring.submit();
    }

    /// As [`Queue::submit`], and then waits for a completion, at most `limit`.
    pub(super) fn wait(&mut self, limit: Option<Duration>) {
        if !self.backlog.is_empty() {
            return self.submit();
        }
        if !self.ring.completion().is_empty() {
            return;
        }
        // As in `enter`, and ETIME: all of them only end the wait.
        let _ = match limit {
            None => self.ring.submitter().submit_and_wait(1),
            Some(limit) => {
                let limit = types::Timespec::from(limit);
                self.ring.submitter().submit_with_args(1, &types::SubmitArgs::new().timespec(&limit))
            }
        };
    }

    /// Moves all completions that are there to `out`.
    pub(super) fn drain(&mut self, out: &mut Vec<Completion>) {
        out.extend(self.ring.completion().map(|entry| (entry.user_data(), entry.result(), entry.flags())));
    }
}

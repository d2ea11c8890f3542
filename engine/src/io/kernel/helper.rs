//! The helper thread: runs disk ops that would block a shard, one after the other, and wakes the shard's driver.

use super::files::Files;
use super::fs::{self, Performed};
use crate::io::{Done, Op, Token, Waker};
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

/// An op with everything it needs; its memory travels along, so nobody else can touch it meanwhile.
struct Job {
    token: Token,
    op: Op,
    fd: RawFd,
    /// A file to close, once every earlier job on it is done.
    close: Option<OwnedFd>,
}

/// A disk op that the thread has done.
pub(in crate::io) struct Reply {
    pub(in crate::io) token: Token,
    pub(in crate::io) op: Op,
    pub(in crate::io) performed: Performed,
}

/// The driver's end of the helper.
pub(in crate::io) struct Helper {
    jobs: Option<Sender<Job>>,
    replies: Receiver<Reply>,
    thread: Option<JoinHandle<()>>,
    /// Jobs whose reply has not been taken yet.
    pending: usize,
}

impl Helper {
    /// Starts the thread, which wakes `waker` after each reply.
    pub(in crate::io) fn start(waker: Arc<dyn Waker>) -> io::Result<Helper> {
        let (jobs, inbox) = channel::<Job>();
        let (outbox, replies) = channel();
        let run = move || {
            for Job { token, mut op, fd, close } in inbox {
                let performed = match close {
                    Some(file) => {
                        drop(file);
                        Performed { result: Ok(0), opened: None, lost_direct: false }
                    }
                    None => fs::perform(&mut op, fd),
                };
                if outbox.send(Reply { token, op, performed }).is_err() {
                    return;
                }
                waker.wake();
            }
        };
        let thread = std::thread::Builder::new().name("disk-helper".to_owned()).spawn(run)?;
        Ok(Helper { jobs: Some(jobs), replies, thread: Some(thread), pending: 0 })
    }

    /// Queues a disk op.
    pub(in crate::io) fn submit(&mut self, token: Token, op: Op, files: &mut Files) {
        let (fd, close) = match &op {
            Op::Close { file } => (-1, Some(files.remove(*file))),
            Op::Read { file, .. } | Op::WriteV { file, .. } | Op::WriteSynced { file, .. } => (files.fd(*file), None),
            Op::SyncData { file } => (files.fd(*file), None),
            Op::Allocate { file, .. } | Op::SetLen { file, .. } => (files.fd(*file), None),
            _ => (-1, None),
        };
        self.send(Job { token, op, fd, close });
    }

    /// Queues a disk op on `fd`, for a driver that keeps its files itself; -1 for an op on a path.
    #[cfg(feature = "glommio")]
    pub(in crate::io) fn run(&mut self, token: Token, op: Op, fd: RawFd) {
        self.send(Job { token, op, fd, close: None });
    }

    fn send(&mut self, job: Job) {
        self.pending += 1;
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        assert!(sent, "the helper thread lives as long as its driver");
    }

    /// The next op that is done.
    pub(in crate::io) fn next(&mut self) -> Option<Reply> {
        if self.pending == 0 {
            return None;
        }
        match self.replies.try_recv() {
            Ok(reply) => {
                self.pending -= 1;
                Some(reply)
            }
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => unreachable!("the helper thread lives as long as its driver"),
        }
    }

    /// Moves the ops that are done to `out`; `direct` turns false when a file fell back to buffered I/O.
    pub(in crate::io) fn reap(&mut self, files: &mut Files, direct: &mut bool, out: &mut Vec<Done>) {
        while let Some(Reply { token, op, performed }) = self.next() {
            *direct &= !performed.lost_direct;
            let result = match performed.opened {
                Some(file) => performed.result.map(|_| files.insert(file).0),
                None => performed.result,
            };
            out.push(Done { token, result, op });
        }
    }
}

impl Drop for Helper {
    /// Lets the thread finish what was queued.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has already been reported by the thread itself.
            let _ = thread.join();
        }
    }
}

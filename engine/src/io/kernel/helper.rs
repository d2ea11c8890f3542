//! The helper thread: runs disk ops that would block a shard, one after the other, and wakes the shard's driver.

use super::files::Files;
use super::fs::{self, Performed};
use super::wake::EventWaker;
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

struct Reply {
    token: Token,
    op: Op,
    performed: Performed,
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
    pub(in crate::io) fn start(waker: Arc<EventWaker>) -> io::Result<Helper> {
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
        self.pending += 1;
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(Job { token, op, fd, close }).is_ok());
        assert!(sent, "the helper thread lives as long as its driver");
    }

    /// Moves the ops that are done to `out`; `direct` turns false when a file fell back to buffered I/O.
    pub(in crate::io) fn reap(&mut self, files: &mut Files, direct: &mut bool, out: &mut Vec<Done>) {
        while self.pending > 0 {
            let Reply { token, op, performed } = match self.replies.try_recv() {
                Ok(reply) => reply,
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => unreachable!("the helper thread lives as long as its driver"),
            };
            self.pending -= 1;
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

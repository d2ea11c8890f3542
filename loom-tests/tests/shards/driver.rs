//! A driver in shuttle's world: every op goes to a helper thread, as disk ops of the posix driver do, and a bell ends its
//! sleep. Time does not pass: a timer completes when the helper gets to it.

use engine::io::{Caps, Done, Driver, ListenerId, Op, Token, Waker};
use engine::time::{Mono, Wall};
use loom_tests::Bell;
use shuttle::sync::mpsc::{Receiver, Sender, channel};
use shuttle::thread::{self, JoinHandle};
use std::io;
use std::sync::Arc;

/// What a reap looks at first.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum ReapOrder {
    /// As the real drivers: what comes after the bell was silenced rings again.
    BellFirst,
    /// Wrong: a reply in between is silenced unseen.
    RepliesFirst,
}

/// See the top of this file.
pub(super) struct HelperDriver {
    bell: Arc<Bell>,
    peers: Vec<Arc<dyn Waker>>,
    jobs: Option<Sender<(Token, Op)>>,
    replies: Receiver<(Token, Op)>,
    helper: Option<JoinHandle<()>>,
    /// Completions of ops that need no helper.
    ready: Vec<Done>,
    order: ReapOrder,
    caps: Caps,
}

impl HelperDriver {
    /// A driver woken by `bell`.
    pub(super) fn new(bell: Arc<Bell>, order: ReapOrder) -> HelperDriver {
        let (jobs, inbox) = channel();
        let (outbox, replies) = channel();
        let waker = Arc::clone(&bell);
        let helper = thread::spawn(move || {
            for job in inbox {
                if outbox.send(job).is_err() {
                    return;
                }
                waker.wake();
            }
        });
        let (jobs, helper) = (Some(jobs), Some(helper));
        HelperDriver { bell, peers: Vec::new(), jobs, replies, helper, ready: Vec::new(), order, caps: Caps::default() }
    }

    fn take_replies(&mut self) {
        while let Ok((token, op)) = self.replies.try_recv() {
            self.ready.push(Done { token, result: Ok(0), op });
        }
    }
}

impl Driver for HelperDriver {
    fn submit(&mut self, token: Token, op: Op) {
        if let Op::Wake(shard) = op {
            self.peers[usize::from(shard.0)].wake();
            return self.ready.push(Done { token, result: Ok(0), op });
        }
        assert!(
            self.jobs.as_ref().is_some_and(|jobs| jobs.send((token, op)).is_ok()),
            "the helper lives as long as we"
        );
    }

    fn reap(&mut self, out: &mut Vec<Done>) -> usize {
        if self.order == ReapOrder::BellFirst {
            self.bell.drain();
            self.take_replies();
        } else {
            self.take_replies();
            self.bell.drain();
        }
        let count = self.ready.len();
        out.append(&mut self.ready);
        count
    }

    fn park(&mut self, _: Option<Mono>) {
        if self.ready.is_empty() {
            self.bell.sleep();
        }
    }

    fn now(&self) -> Mono {
        Mono(0)
    }

    fn wall(&self) -> Wall {
        Wall(0)
    }

    fn random(&mut self) -> u64 {
        4
    }

    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn waker(&self) -> Arc<dyn Waker> {
        Arc::<Bell>::clone(&self.bell)
    }

    fn set_peers(&mut self, peers: Vec<Arc<dyn Waker>>) {
        self.peers = peers;
    }

    fn adopt_listener(&mut self, _: std::net::TcpListener) -> io::Result<ListenerId> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Drop for HelperDriver {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(helper) = self.helper.take() {
            // A panic there has already been reported by the thread itself.
            let _ = helper.join();
        }
    }
}

//! What goes wrong in a simulated world, and when.

use super::super::Op;
use std::ops::Range;

/// The kinds of ops that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the kind of the Op of the same name")]
pub enum OpKind {
    Open,
    Read,
    WriteV,
    SyncData,
    Allocate,
    SetLen,
    Rename,
    Unlink,
    MakeDir,
    RemoveDir,
    SyncDir,
    List,
    FreeSpace,
    Accept,
    Recv,
    Send,
}

impl OpKind {
    /// The kind of `op`, `None` for ops that cannot fail.
    pub fn of(op: &Op) -> Option<OpKind> {
        Some(match op {
            Op::Open { .. } => OpKind::Open,
            Op::Read { .. } => OpKind::Read,
            Op::WriteV { .. } => OpKind::WriteV,
            Op::SyncData { .. } => OpKind::SyncData,
            Op::Allocate { .. } => OpKind::Allocate,
            Op::SetLen { .. } => OpKind::SetLen,
            Op::Rename { .. } => OpKind::Rename,
            Op::Unlink { .. } => OpKind::Unlink,
            Op::MakeDir { .. } => OpKind::MakeDir,
            Op::RemoveDir { .. } => OpKind::RemoveDir,
            Op::SyncDir { .. } => OpKind::SyncDir,
            Op::List { .. } => OpKind::List,
            Op::FreeSpace { .. } => OpKind::FreeSpace,
            Op::Accept { .. } => OpKind::Accept,
            Op::Recv { .. } => OpKind::Recv,
            Op::Send { .. } => OpKind::Send,
            Op::Close { .. } | Op::Shutdown { .. } | Op::CloseConn { .. } => return None,
            Op::Timer { .. } | Op::Wake(_) | Op::Cancel(_) => return None,
        })
    }
}

/// The plan of a world's misfortunes. Change it at any time with [`SimWorld::faults`](super::SimWorld::faults).
#[derive(Clone, Debug)]
pub struct SimFaults {
    /// How long an op of the disk takes, in nanoseconds; each op draws its own, so ops overtake each other.
    pub disk_latency_ns: Range<u64>,
    /// How long bytes and connections travel, in nanoseconds.
    pub net_latency_ns: Range<u64>,
    /// Size of the disk in bytes; what goes beyond fails with ENOSPC.
    pub capacity: u64,
    failures: Vec<Failure>,
}

#[derive(Clone, Debug)]
struct Failure {
    kind: OpKind,
    /// Ops of that kind still to succeed before the one that fails.
    spare: u64,
    errno: i32,
}

impl Default for SimFaults {
    fn default() -> SimFaults {
        SimFaults {
            disk_latency_ns: 20_000..200_000,
            net_latency_ns: 1_000..50_000,
            capacity: u64::MAX,
            failures: Vec::new(),
        }
    }
}

impl SimFaults {
    /// Makes the `nth` op of `kind` from now on (1 is the next) fail once with `errno`.
    pub fn fail_nth(&mut self, kind: OpKind, nth: u64, errno: i32) {
        assert!(nth > 0, "the first op is number 1");
        self.failures.push(Failure { kind, spare: nth - 1, errno });
    }

    /// Counts an op and says with which error it must fail.
    pub(super) fn strike(&mut self, op: &Op) -> Option<i32> {
        let kind = OpKind::of(op)?;
        let mut struck = None;
        self.failures.retain_mut(|failure| {
            if failure.kind != kind {
                return true;
            }
            if failure.spare == 0 && struck.is_none() {
                struck = Some(failure.errno);
                return false;
            }
            failure.spare = failure.spare.saturating_sub(1);
            true
        });
        struck
    }
}

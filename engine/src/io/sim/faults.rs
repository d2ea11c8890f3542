//! What goes wrong in a simulated world, and when.

use super::super::Op;
use super::rng::Rng;
use crate::time::Mono;
use std::collections::BTreeMap;
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
            Op::WriteV { .. } | Op::WriteSynced { .. } => OpKind::WriteV,
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

/// A million, which odds are counted in.
const MILLION: u64 = 1_000_000;

/// Kinds of misfortune that come by chance, and how many came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chance {
    /// A read fails once with EIO.
    ReadError,
    /// A write fails with EIO; some of its sectors are written.
    WriteError,
    /// A sync fails with EIO once; what it covered is readable, and no later sync makes it durable.
    SyncError,
    /// A sector of a write can never be read again, until it is written anew.
    LatentSector,
    /// A bit of a write changes on the medium.
    BitFlip,
    /// A write lands in another block of its file.
    Misdirected,
    /// A write is reported done and never happens.
    Phantom,
    /// Bytes on the network are lost and sent again after a time-out, or arrive out of order and wait for the others.
    PacketLoss,
    /// A connection breaks.
    Reset,
}

impl Chance {
    /// True for what no disk ever reports: the data is wrong and the system was told that all went well.
    pub fn is_damage(self) -> bool {
        matches!(self, Chance::LatentSector | Chance::BitFlip | Chance::Misdirected | Chance::Phantom)
    }
}

/// The plan of a world's misfortunes. Change it at any time with [`SimWorld::faults`](super::SimWorld::faults).
#[derive(Clone, Debug)]
pub struct SimFaults {
    /// How long an op of the disk takes, in nanoseconds; each op draws its own, so ops overtake each other.
    pub disk_latency_ns: Range<u64>,
    /// What the disk's latency is multiplied by.
    pub disk_slowness: u64,
    /// Until when the disk completes nothing.
    pub disk_stuck_until: Mono,
    /// How long bytes and connections travel, in nanoseconds.
    pub net_latency_ns: Range<u64>,
    /// Size of the disk in bytes; what goes beyond fails with ENOSPC.
    pub capacity: u64,
    /// How often each misfortune strikes an op that it can strike, per million.
    odds: BTreeMap<Chance, u64>,
    /// How often each has struck.
    pub(super) struck: BTreeMap<Chance, u64>,
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
            disk_slowness: 1,
            disk_stuck_until: Mono(0),
            net_latency_ns: 1_000..50_000,
            capacity: u64::MAX,
            odds: BTreeMap::new(),
            struck: BTreeMap::new(),
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

    /// From now on `chance` strikes so often per million; 0 ends it.
    pub fn set_odds(&mut self, chance: Chance, per_million: u64) {
        if per_million == 0 {
            self.odds.remove(&chance);
        } else {
            self.odds.insert(chance, per_million);
        }
    }

    /// Nothing comes by chance any more, and the disk is as fast as ever.
    pub fn end_all(&mut self) {
        self.odds.clear();
        self.failures.clear();
        (self.disk_slowness, self.disk_stuck_until, self.capacity) = (1, Mono(0), u64::MAX);
    }

    /// Draws whether `chance` strikes now. Draws nothing where it never does, so that runs without it do not depend on it.
    pub(super) fn draw(&mut self, chance: Chance, rng: &mut Rng) -> bool {
        let Some(&odds) = self.odds.get(&chance) else { return false };
        let strikes = rng.below(MILLION) < odds;
        if strikes {
            *self.struck.entry(chance).or_default() += 1;
        }
        strikes
    }

    /// Counts an op and says with which error it must fail.
    pub(super) fn strike(&mut self, op: &Op, rng: &mut Rng) -> Option<i32> {
        let kind = OpKind::of(op)?;
        let by_chance = match kind {
            OpKind::Read => self.draw(Chance::ReadError, rng),
            OpKind::WriteV => self.draw(Chance::WriteError, rng),
            OpKind::SyncData => self.draw(Chance::SyncError, rng),
            _ => false,
        };
        let mut struck = by_chance.then_some(libc::EIO);
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

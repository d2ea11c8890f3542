//! What `cargo xtask bench-regress` watches of this crate: the append path on a device that takes everything at once, mailboxes,
//! lookups in an index. What a real device costs is in `append`.

#![expect(clippy::unwrap_used, reason = "a bench that fails should stop")]

#[path = "../../protocol/benches/support/cpu_time.rs"]
mod cpu_time;

use cpu_time::CpuTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use engine::io::{Caps, Done, Driver, FileId, ListenerId, Op, Owner, ShardId, Token, Waker};
use engine::log::testing::positions;
use engine::log::{
    Append, AppendError, Durability, IndexEntry, LogConfig, LogId, LogLimits, LogName, LogSet, SegmentIndex, ShardDir,
};
use engine::mailbox::{mesh, ring};
use engine::shard::Io;
use engine::time::{Mono, Wall};
use protocol::batch::BatchBuilder;
use std::hint::black_box;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Every op succeeds at the next reap and leaves nothing behind: what is timed is the log, not a disk.
struct Instantly {
    done: Vec<Done>,
    files: u32,
    begin: Instant,
    caps: Caps,
}

struct Nobody;

impl Waker for Nobody {
    fn wake(&self) {}
}

impl Instantly {
    fn new() -> Instantly {
        let caps = Caps { name: "instantly", direct: true, block: 4096, notes: Vec::new() };
        Instantly { done: Vec::new(), files: 0, begin: Instant::now(), caps }
    }

    fn perform(&mut self, op: &mut Op) -> io::Result<u32> {
        match op {
            Op::Open { len, .. } => {
                *len = 0;
                self.files += 1;
                Ok(FileId(self.files).0)
            }
            Op::WriteV { bufs, .. } => Ok(bufs.iter().map(|b| b.len() as u32).sum()),
            Op::FreeSpace { free, .. } => {
                *free = 1 << 40;
                Ok(0)
            }
            _ => Ok(0),
        }
    }
}

impl Driver for Instantly {
    fn submit(&mut self, token: Token, mut op: Op) {
        let result = self.perform(&mut op);
        self.done.push(Done { token, result, op });
    }

    fn reap(&mut self, out: &mut Vec<Done>) -> usize {
        let count = self.done.len();
        out.append(&mut self.done);
        count
    }

    fn park(&mut self, _until: Option<Mono>) {}

    fn now(&self) -> Mono {
        Mono(self.begin.elapsed().as_nanos() as u64)
    }

    fn wall(&self) -> Wall {
        Wall(1_700_000_000_000)
    }

    fn random(&mut self) -> u64 {
        4
    }

    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn waker(&self) -> Arc<dyn Waker> {
        Arc::new(Nobody)
    }

    fn set_peers(&mut self, _peers: Vec<Arc<dyn Waker>>) {}

    fn adopt_listener(&mut self, _listener: std::net::TcpListener) -> io::Result<ListenerId> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

struct Log {
    io: Io,
    set: LogSet,
    id: LogId,
    dones: Vec<Done>,
}

impl Log {
    fn new() -> Log {
        let io = Io::new(Box::new(Instantly::new()));
        let dirs = vec![ShardDir { path: PathBuf::from("/nowhere"), incarnation: 1 }];
        let mut set = LogSet::new(io.clone(), LogLimits { spares_max: 0, ..LogLimits::default() }, 0, dirs);
        let config = LogConfig { durability: Durability::Fsync, retention_bytes: 1 << 30, ..LogConfig::default() };
        let id = set.create(LogName { dir: "/nowhere/hot-0".into() }, [1; 16], 0, config, 0);
        Log { io, set, id, dones: Vec::new() }
    }

    fn turn(&mut self) {
        self.io.turn(&mut self.dones);
        for done in self.dones.drain(..).filter(|done| done.token.owner() == Owner::Log) {
            self.set.handle(done);
        }
        self.set.pump(self.io.now(), self.io.wall());
        while self.set.poll_event().is_some() {}
    }

    /// Appends `count` batches, a turn's worth, and turns until all are durable.
    fn append(&mut self, batch: &[u8], count: usize) {
        for _ in 0..count {
            while !self.take(batch) {
                self.turn();
            }
        }
        while self.set.offsets(self.id).durable < self.set.offsets(self.id).end {
            self.turn();
        }
    }

    fn take(&mut self, batch: &[u8]) -> bool {
        let base = self.set.offsets(self.id).end;
        let append = Append {
            bytes: batch,
            base_offset: base,
            last_offset: base,
            leader_epoch: 0,
            max_timestamp: 1_700_000_000_000,
            offset_of_max_timestamp: base,
        };
        match self.set.append(self.id, append) {
            Ok(_) => true,
            Err(AppendError::Busy) => false,
            Err(error) => panic!("{error}"),
        }
    }
}

fn group<'c>(c: &'c mut Criterion<CpuTime>, name: &str) -> BenchmarkGroup<'c, CpuTime> {
    let mut group = c.benchmark_group(name);
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_millis(1_500)).sample_size(60);
    group
}

fn append(c: &mut Criterion<CpuTime>) {
    let mut group = group(c, "hot_append");
    for (value, count) in [(100, 64), (16 << 10, 16), (64 << 10, 4)] {
        let mut builder = BatchBuilder::new();
        builder.append(1_700_000_000_000, None, Some(&vec![7; value]), &[]);
        let batch = builder.build();
        let mut log = Log::new();
        group.throughput(Throughput::Bytes((batch.len() * count) as u64));
        group.bench_function(BenchmarkId::from_parameter(value), |b| b.iter(|| log.append(&batch, count)));
        log.io.abandon_tasks();
    }
    group.finish();
}

fn mailbox(c: &mut Criterion<CpuTime>) {
    let mut group = group(c, "hot_mailbox");
    group.throughput(Throughput::Elements(256));
    let (mut sender, mut receiver) = ring::<[u64; 8]>(256);
    group.bench_function("ring", |b| {
        b.iter(|| {
            for value in 0..256 {
                assert!(sender.try_push([value; 8]).is_ok());
            }
            for message in receiver.drain() {
                black_box(message);
            }
        });
    });
    let mut ends = mesh::<[u64; 8]>(2).into_iter();
    let (mut near, mut far) = (ends.next().unwrap(), ends.next().unwrap());
    group.bench_function("endpoint", |b| {
        b.iter(|| {
            for value in 0..256 {
                assert!(near.send(ShardId(1), [value; 8]).is_ok());
            }
            near.flush(|_| ());
            while let Some(message) = far.recv() {
                black_box(message);
            }
            far.flush(|_| ());
        });
    });
    group.finish();
}

fn index(c: &mut Criterion<CpuTime>) {
    let mut group = group(c, "hot_index");
    // Small enough for a core's own cache: what others do to the shared one is not ours to watch.
    for entries in [1_024_u32, 16_384] {
        let entry = |n: u32| IndexEntry {
            relative_offset: n * 16,
            position: n * 4096,
            max_timestamp_before: 1_700_000_000_000 + i64::from(n),
        };
        let index = SegmentIndex {
            base_offset: 0,
            end_offset: i64::from(entries) * 16,
            bytes: u64::from(entries) * 4096,
            batches: u64::from(entries),
            first_timestamp: 1_700_000_000_000,
            max_timestamp: 1_700_000_000_000 + i64::from(entries),
            offset_of_max_timestamp: i64::from(entries) * 16 - 1,
            header_crc: 0,
            entries: (0..entries).map(entry).collect(),
            epochs: vec![(0, 0)],
            plain: true,
        };
        let mut at = 0_i64;
        group.bench_function(BenchmarkId::from_parameter(entries), |b| {
            b.iter(|| {
                at = (at + 79_193) % index.end_offset;
                positions(&index, black_box(at), 1_700_000_000_000 + at / 16)
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = append, mailbox, index
}
criterion_main!(benches);

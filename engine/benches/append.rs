//! Appends through the whole engine on the default driver: bytes a second that are on the device, by batch size and
//! durability. `RINGLOG_BENCH_DIR` chooses the file system (a RAM disk measures nothing).

#![allow(missing_docs, clippy::unwrap_used, reason = "criterion's macro, and a bench that cannot go on fails")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::io::{Driver, Owner};
use engine::log::{Append, AppendError, Durability, LogConfig, LogId, LogLimits, LogName, LogSet, ShardDir};
use engine::shard::Io;
use protocol::batch::layout::{ATTRIBUTES, HEADER_LEN};
use protocol::batch::{Attributes, BatchHeader};
use std::path::Path;

/// Bytes appended an iteration.
const BYTES: usize = 64 << 20;

struct Bench {
    io: Io,
    set: LogSet,
    id: LogId,
}

impl Bench {
    fn new(data: &Path, durability: Durability) -> Bench {
        let driver: Box<dyn Driver> = match engine::io::uring::UringDriver::new() {
            Ok(driver) => Box::new(driver),
            Err(_) => Box::new(engine::io::posix::PosixDriver::new().unwrap()),
        };
        let io = Io::new(driver);
        let dirs = vec![ShardDir { path: data.to_owned(), incarnation: 1 }];
        let limits = LogLimits { retention_check_ms: 100, ..LogLimits::default() };
        let mut set = LogSet::new(io.clone(), limits, 0, dirs);
        let config =
            LogConfig { durability, segment_bytes: 256 << 20, retention_bytes: 512 << 20, ..LogConfig::default() };
        let id = set.create(LogName { dir: data.join("bench-0") }, [1; 16], 0, config, 0);
        Bench { io, set, id }
    }

    fn turn(&mut self) {
        let mut dones = Vec::new();
        self.io.turn(&mut dones);
        for done in dones.into_iter().filter(|done| done.token.owner() == Owner::Log) {
            self.set.handle(done);
        }
        self.set.pump(self.io.now(), self.io.wall());
        while self.set.poll_event().is_some() {}
        let deadline = self.set.next_deadline();
        self.io.park(deadline);
    }

    /// Appends [`BYTES`] and waits until they are durable; every 64 batches the loop turns, as requests would come.
    fn round(&mut self, batch: &[u8]) {
        for n in 0..BYTES / batch.len() {
            loop {
                let base = self.set.offsets(self.id).end;
                let append = Append {
                    bytes: batch,
                    base_offset: base,
                    last_offset: base,
                    leader_epoch: 0,
                    max_timestamp: self.io.wall().0,
                    offset_of_max_timestamp: base,
                };
                match self.set.append(self.id, append) {
                    Ok(_) => break,
                    Err(AppendError::Busy) => self.turn(),
                    Err(error) => panic!("{error}"),
                }
            }
            if n % 64 == 63 {
                self.turn();
            }
        }
        while self.set.offsets(self.id).durable < self.set.offsets(self.id).end {
            self.turn();
        }
    }
}

fn batch(bytes: usize) -> Vec<u8> {
    let mut header = BatchHeader {
        base_offset: 0,
        batch_length: (bytes - 12) as i32,
        leader_epoch: -1,
        magic: 2,
        crc: 0,
        attributes: Attributes(0),
        last_offset_delta: 0,
        base_timestamp: 0,
        max_timestamp: 0,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count: 1,
    };
    let mut batch = header.encode().to_vec();
    batch.resize(bytes, 7);
    header.crc = protocol::crc::crc32c(&batch[ATTRIBUTES..]);
    batch[..HEADER_LEN].copy_from_slice(&header.encode());
    batch
}

fn appends(criterion: &mut Criterion) {
    let root = std::env::var_os("RINGLOG_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    for (name, durability) in [("fsync", Durability::Fsync), ("none", Durability::None)] {
        let mut group = criterion.benchmark_group(format!("append/{name}"));
        group.throughput(Throughput::Bytes(BYTES as u64)).sample_size(10);
        for bytes in [170, 16 << 10, 1 << 20] {
            let folder = tempfile::tempdir_in(&root).unwrap();
            let mut bench = Bench::new(folder.path(), durability);
            let batch = batch(bytes);
            group.bench_function(format!("{bytes} bytes"), |bencher| bencher.iter(|| bench.round(&batch)));
            bench.io.abandon_tasks();
        }
        group.finish();
    }
}

criterion_group!(benches, appends);
criterion_main!(benches);

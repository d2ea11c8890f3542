//! CRC-32C: `crc-fast` against the `crc32c` crate, at the sizes of a header, a small batch, a usual batch and a large one.
//! `protocol::crc` rests on this table.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const SIZES: [usize; 8] = [40, 64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 1 << 20];

fn crc(criterion: &mut Criterion) {
    let data: Vec<u8> = (0..(1_u32 << 20) + 64).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut group = criterion.benchmark_group("crc32c");
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    for size in SIZES {
        // Odd on purpose: where a batch's checksummed bytes begin in a request is up to the topic's name.
        let bytes = &data[data.len() - size - 21..data.len() - 21];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("ours", size), |b| b.iter(|| protocol::crc::crc32c(black_box(bytes))));
        group.bench_function(BenchmarkId::new("crc-fast", size), |b| {
            b.iter(|| crc_fast::crc32_iscsi(black_box(bytes)));
        });
        group.bench_function(BenchmarkId::new("crc32c", size), |b| b.iter(|| crc32c::crc32c(black_box(bytes))));
    }
    group.finish();
}

criterion_group!(benches, crc);
criterion_main!(benches);

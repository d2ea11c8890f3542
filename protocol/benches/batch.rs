//! What a produced batch costs on the way in: the shallow and the deep check, by record size and codec, and the codecs.
//!
//! Throughput is in bytes of plain records, so that codecs compare.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use protocol::batch::{BatchBuilder, BatchError, BatchView, Depth, Limits, ProduceRules, validate_produce};
use protocol::compress::{Codec, compress, decompress_capped};

/// Plain bytes of a batch, by default `max.message.bytes` less a little.
const BATCH_BYTES: usize = 1_000_000;

fn build(codec: Codec, value_len: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new().producer(1, 0, 0).compression(codec, None);
    let mut state = 1_u32;
    let mut index = 0;
    while builder.plain_size_bytes() < BATCH_BYTES {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let line = format!("{{\"id\":{state},\"level\":\"info\",\"offset\":{index},\"text\":\"committed\"}}");
        let value: Vec<u8> = line.bytes().cycle().take(value_len).collect();
        builder.append(1_700_000_000_000 + index, Some(&line.as_bytes()[..10]), Some(&value), &[]);
        index += 1;
    }
    builder.build()
}

fn group<'c>(criterion: &'c mut Criterion, name: &str) -> BenchmarkGroup<'c, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1)).sample_size(20);
    group.throughput(Throughput::Bytes(BATCH_BYTES as u64));
    group
}

fn validate(criterion: &mut Criterion) {
    let mut group = group(criterion, "validate");
    for codec in Codec::ALL {
        for value_len in [100, 1_000] {
            let batch = build(codec, value_len);
            for depth in [Depth::Shallow, Depth::Deep] {
                let rules = ProduceRules::new(usize::MAX, depth);
                let id = BenchmarkId::new(format!("{}/{depth:?}", codec.name()), value_len);
                group.bench_function(id, |b| b.iter(|| validate_produce(black_box(&batch), &rules).is_ok()));
            }
        }
    }
    group.finish();
}

fn read(criterion: &mut Criterion) {
    let mut group = group(criterion, "records");
    for value_len in [100, 1_000] {
        let batch = build(Codec::None, value_len);
        group.bench_function(BenchmarkId::new("iterate", value_len), |b| {
            b.iter(|| {
                let (view, _) = BatchView::parse(black_box(&batch))?;
                Ok::<_, BatchError>(view.records(&Limits::default())?.iter().filter(Result::is_ok).count())
            });
        });
        group.bench_function(BenchmarkId::new("build", value_len), |b| b.iter(|| build(Codec::None, value_len)));
    }
    group.finish();
}

fn codecs(criterion: &mut Criterion) {
    let plain = build(Codec::None, 1_000);
    let mut group = group(criterion, "codec");
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let compressed = compress(codec, None, &plain);
        group.bench_function(BenchmarkId::new("compress", codec.name()), |b| {
            b.iter(|| compress(codec, None, black_box(&plain)));
        });
        group.bench_function(BenchmarkId::new("decompress", codec.name()), |b| {
            b.iter(|| decompress_capped(codec, black_box(&compressed), 4 * BATCH_BYTES));
        });
    }
    group.finish();
}

/// One small record, where the fixed cost of a batch shows.
fn small(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("validate-one-record");
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    for codec in Codec::ALL {
        let mut builder = BatchBuilder::new().compression(codec, None);
        builder.append(0, None, Some(&[7; 100]), &[]);
        let batch = builder.build();
        for depth in [Depth::Shallow, Depth::Deep] {
            let rules = ProduceRules::new(usize::MAX, depth);
            let id = BenchmarkId::new(codec.name(), format!("{depth:?}"));
            group.bench_function(id, |b| b.iter(|| validate_produce(black_box(&batch), &rules).is_ok()));
        }
    }
    group.finish();
}

criterion_group!(benches, validate, read, codecs, small);
criterion_main!(benches);

//! What `cargo xtask bench-regress` watches of this crate: checksums, the shallow check of a batch, decoding requests, encoding
//! answers. Few and short, so that they run often; the other benches have the whole tables.

#![expect(clippy::unwrap_used, reason = "a bench that fails should stop")]

#[path = "support/cpu_time.rs"]
mod cpu_time;

use cpu_time::CpuTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use protocol::batch::{BatchBuilder, Depth, ProduceRules, validate_produce};
use protocol::messages::{FetchRequest, FetchResponse, ProduceRequest, fetch, produce};
use protocol::{Reader, Records, RequestHeader, Uuid, Writer};
use std::hint::black_box;
use std::time::Duration;

/// Bytes of batches and checksummed pieces.
const SIZES: [usize; 4] = [1 << 10, 4 << 10, 16 << 10, 64 << 10];

fn group<'c>(c: &'c mut Criterion<CpuTime>, name: &str) -> BenchmarkGroup<'c, CpuTime> {
    let mut group = c.benchmark_group(name);
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_millis(1_200)).sample_size(60);
    group
}

fn batch(bytes: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    while builder.plain_size_bytes() < bytes {
        builder.append(1_700_000_000_000, None, Some(&[7; 900]), &[]);
    }
    builder.build()
}

fn checks(c: &mut Criterion<CpuTime>) {
    let mut crc = group(c, "hot_crc");
    for size in SIZES {
        let bytes = batch(size);
        crc.throughput(Throughput::Bytes(bytes.len() as u64));
        crc.bench_function(BenchmarkId::from_parameter(size), |b| b.iter(|| protocol::crc::crc32c(black_box(&bytes))));
    }
    crc.finish();
    let mut validate = group(c, "hot_validate");
    let rules = ProduceRules::new(usize::MAX, Depth::Shallow);
    for size in SIZES {
        let bytes = batch(size);
        validate.throughput(Throughput::Bytes(bytes.len() as u64));
        validate.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter(|| validate_produce(black_box(&bytes), &rules).is_ok());
        });
    }
    validate.finish();
}

fn produce_frame(partitions: i32) -> Vec<u8> {
    let records = [7; 1024];
    let partition = |index| produce::PartitionProduceData { index, records: Records::Bytes(&records) };
    let topic = produce::TopicProduceData {
        topic_id: Uuid([9; 16]),
        partition_data: (0..partitions).map(partition).collect(),
        ..Default::default()
    };
    let request = ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data: vec![topic], ..Default::default() };
    let mut w = Writer::new();
    request.encode(&mut w, 13).unwrap();
    w.into_bytes().unwrap()
}

fn fetch_frame(partitions: i32) -> Vec<u8> {
    let partition = |partition| fetch::FetchPartition { partition, fetch_offset: 5, ..Default::default() };
    let topic = fetch::FetchTopic {
        topic_id: Uuid([9; 16]),
        partitions: (0..partitions).map(partition).collect(),
        ..Default::default()
    };
    let mut w = Writer::new();
    FetchRequest { topics: vec![topic], ..Default::default() }.encode(&mut w, 17).unwrap();
    w.into_bytes().unwrap()
}

fn requests(c: &mut Criterion<CpuTime>) {
    let mut group = group(c, "hot_codec");
    for partitions in [1, 64] {
        let frame = produce_frame(partitions);
        group.bench_function(BenchmarkId::new("decode_produce", partitions), |b| {
            b.iter(|| ProduceRequest::decode(&mut Reader::new(black_box(&frame)), 13).unwrap().topic_data.len());
        });
        let frame = fetch_frame(partitions);
        group.bench_function(BenchmarkId::new("decode_fetch", partitions), |b| {
            b.iter(|| FetchRequest::decode(&mut Reader::new(black_box(&frame)), 17).unwrap().topics.len());
        });
    }
    let header = RequestHeader { api_key: 0, api_version: 9, correlation_id: 1, client_id: Some("producer-1".into()) };
    let mut w = Writer::new();
    header.encode(&mut w).unwrap();
    let bytes = w.into_bytes().unwrap();
    group.bench_function("decode_header", |b| {
        b.iter(|| RequestHeader::decode(&mut Reader::new(black_box(&bytes))).unwrap().correlation_id);
    });
    let partition = |n: i32| fetch::PartitionData {
        partition_index: n,
        high_watermark: 1000,
        records: Records::External { tag: n.cast_unsigned(), len: 1 << 20 },
        ..Default::default()
    };
    let topic = fetch::FetchableTopicResponse { partitions: (0..64).map(partition).collect(), ..Default::default() };
    let response = FetchResponse { responses: vec![topic], ..Default::default() };
    group.bench_function("encode_fetch/64", |b| {
        b.iter(|| {
            let mut w = Writer::new();
            response.encode(&mut w, 17).unwrap();
            w.finish().len()
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = checks, requests
}
criterion_main!(benches);

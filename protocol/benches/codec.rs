//! What the codec costs on the hot path: Produce requests in, Fetch responses out. Batches themselves are in `batch`.

#![expect(clippy::unwrap_used, reason = "a bench that fails should stop")]

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use protocol::messages::{FetchResponse, ProduceRequest, fetch, produce};
use protocol::{Reader, Records, RequestHeader, Uuid, Writer};

/// A Produce frame with one record set of 1 KiB in each of `partitions`.
fn produce_frame(version: i16, partitions: i32) -> Vec<u8> {
    let records = [7; 1024];
    let partition = |index| produce::PartitionProduceData { index, records: Records::Bytes(&records) };
    let by_id = version >= 13;
    let topic = produce::TopicProduceData {
        name: if by_id { "" } else { "orders" }.into(),
        topic_id: if by_id { Uuid([9; 16]) } else { Uuid::ZERO },
        partition_data: (0..partitions).map(partition).collect(),
    };
    let header =
        RequestHeader { api_key: 0, api_version: version, correlation_id: 1, client_id: Some("producer-1".into()) };
    let request = ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data: vec![topic], ..Default::default() };
    let mut w = Writer::new();
    header.encode(&mut w).unwrap();
    request.encode(&mut w, version).unwrap();
    w.into_bytes().unwrap()
}

fn decode_produce(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode_produce");
    for (version, partitions) in [(3, 1), (9, 1), (13, 1), (13, 64)] {
        let frame = produce_frame(version, partitions);
        group.bench_function(BenchmarkId::new(format!("v{version}"), partitions), |b| {
            b.iter(|| {
                let mut r = Reader::new(black_box(&frame));
                let header = RequestHeader::decode(&mut r).unwrap();
                let request = ProduceRequest::decode(&mut r, header.api_version).unwrap();
                r.finish().unwrap();
                black_box(request.topic_data.len())
            });
        });
    }
    group.finish();
}

/// A Fetch response whose records are sent from log memory.
fn fetch_response(partitions: u32) -> FetchResponse<'static> {
    let partition = |index: u32| fetch::PartitionData {
        partition_index: index.cast_signed(),
        high_watermark: 1000,
        last_stable_offset: 1000,
        log_start_offset: 0,
        records: Records::External { tag: index, len: 1 << 20 },
        ..Default::default()
    };
    let topic = fetch::FetchableTopicResponse {
        topic_id: Uuid([9; 16]),
        partitions: (0..partitions).map(partition).collect(),
        ..Default::default()
    };
    FetchResponse { session_id: 5, responses: vec![topic], ..Default::default() }
}

fn encode_fetch(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode_fetch_v18");
    for partitions in [1, 64] {
        let response = fetch_response(partitions);
        group.bench_function(BenchmarkId::from_parameter(partitions), |b| {
            b.iter_batched(
                Writer::new,
                |mut w| {
                    response.encode(&mut w, 18).unwrap();
                    w.finish()
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, decode_produce, encode_fetch);
criterion_main!(benches);

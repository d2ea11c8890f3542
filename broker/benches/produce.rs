//! A whole Produce request through the broker: decoded, checked, appended, made durable, answered. Storage is memory, so that what
//! is measured is the broker.

use broker::testing::{MemoryChunk, World, produce_frame, records};
use broker::{Chunk, Effect, Input};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use protocol::Uuid;

/// One record set of `count` records of `bytes` each.
fn record_set(count: usize, bytes: usize) -> Vec<u8> {
    let value = "v".repeat(bytes);
    records(1_700_000_000_000, &vec![value.as_str(); count])
}

fn produce(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("produce");
    for (name, count, bytes) in [("100 B", 1, 100), ("16 KiB", 16, 1000), ("1 MB", 1000, 1000)] {
        let set = record_set(count, bytes);
        let frame = produce_frame(9, -1, &[("t", Uuid::ZERO, 0, &set)]);
        group.throughput(Throughput::Bytes(frame.len() as u64));
        group.bench_function(name, |bencher| {
            let setup = || {
                let mut world = World::new(1, 1);
                world.topic("t", 1, &[]);
                let conn = world.connect(0);
                world.brokers[0].store_mut().instant = true;
                (world, conn, MemoryChunk::from_vec(frame.clone()))
            };
            bencher.iter_batched(
                setup,
                |(mut world, conn, frame)| {
                    let now = world.now;
                    let broker = &mut world.brokers[0];
                    broker.handle(Input::Frame { conn, seq: 0, frame }, now);
                    for event in broker.store_mut().take_events() {
                        broker.handle(Input::Store(event), now);
                    }
                    assert!(matches!(broker.poll_effect(), Some(Effect::Reply { .. })));
                    world
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, produce);
criterion_main!(benches);

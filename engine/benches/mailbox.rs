//! What a message between shards costs: the ring alone, an endpoint's turn, and a hop to another thread and back.
//! Waking is not in it; the drivers' conformance suite and the load generator see that.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::io::ShardId;
use engine::mailbox::{mesh, ring};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// As large as a real message: a cache line.
type Message = [u64; 8];

fn one_thread(c: &mut Criterion) {
    let mut group = c.benchmark_group("one_thread");
    group.throughput(Throughput::Elements(256));
    let (mut sender, mut receiver) = ring::<Message>(256);
    group.bench_function("ring_256_in_256_out", |b| {
        b.iter(|| {
            for value in 0..256 {
                assert!(sender.try_push([value; 8]).is_ok());
            }
            receiver.drain().for_each(|message| {
                black_box(message);
            });
        });
    });
    let mut ends = mesh::<Message>(2).into_iter();
    let (Some(mut a), Some(mut b)) = (ends.next(), ends.next()) else { unreachable!("two shards have two ends") };
    group.bench_function("endpoint_turn_of_256", |bench| {
        bench.iter(|| {
            for value in 0..256 {
                assert!(a.send(ShardId(1), [value; 8]).is_ok());
            }
            a.flush(|_| ());
            while let Some(message) = b.recv() {
                black_box(message);
            }
            b.flush(|_| ());
        });
    });
    group.finish();
}

/// Both threads spin, so this is the cache-line hand-off, not a wake-up.
fn two_threads(c: &mut Criterion) {
    let (mut to_echo, mut echo_in) = ring::<Message>(256);
    let (mut echo_out, mut from_echo) = ring::<Message>(256);
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let echo = std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            match echo_in.try_pop() {
                Some(message) => assert!(echo_out.try_push(message).is_ok()),
                None => std::hint::spin_loop(),
            }
        }
    });
    c.bench_function("two_threads/there_and_back", |b| {
        b.iter(|| {
            assert!(to_echo.try_push([1; 8]).is_ok());
            loop {
                if let Some(message) = from_echo.try_pop() {
                    return message;
                }
                std::hint::spin_loop();
            }
        });
    });
    stop.store(true, Ordering::Relaxed);
    assert!(echo.join().is_ok());
}

criterion_group!(benches, one_thread, two_threads);
criterion_main!(benches);

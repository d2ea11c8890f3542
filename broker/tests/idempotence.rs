//! Idempotent producers: a batch that is sent again is in the log once, also across restarts and lost writes. If this breaks,
//! retries duplicate or lose records.

use broker::testing::{Produced, World, fetch, produce, produce_frame, produced};
use protocol::batch::BatchBuilder;
use protocol::{ErrorCode, Uuid};

const NOW_MS: i64 = 1_700_000_000_000;
const DAY_MS: u64 = 86_400_000;

fn worlds() -> impl Iterator<Item = World> {
    [(1, 1), (3, 2), (3, 3)].into_iter().map(|(shards, seed)| World::new(shards, seed))
}

/// A batch of producer 7: records with sequences `first ..= last`, counted on the ring.
fn batch(epoch: i16, first: i32, last: i32) -> Vec<u8> {
    let mut builder = BatchBuilder::new().producer(7, epoch, first);
    for _ in 0..=(last.wrapping_sub(first) & i32::MAX) {
        builder.append(NOW_MS, None, Some(b"v"), &[]);
    }
    builder.build()
}

fn send(world: &mut World, set: &[u8]) -> Result<i64, ErrorCode> {
    let conn = world.connect(0);
    let got = produce(world, conn, &[("t", 0, set)]);
    if got[0].code == ErrorCode::None { Ok(got[0].base_offset) } else { Err(got[0].code) }
}

fn end_of(world: &mut World) -> i64 {
    let conn = world.connect(0);
    fetch(world, conn, &[("t", 0, 0)])[0].high_watermark
}

#[test]
fn a_repeated_batch_is_answered_with_its_first_offset() {
    for mut world in worlds() {
        world.topic("t", 1, &[]);
        for (offset, sequence) in (0..7).map(|i| (10 * i64::from(i), 10 * i)) {
            assert_eq!(send(&mut world, &batch(0, sequence, sequence + 9)), Ok(offset));
        }
        assert_eq!(send(&mut world, &batch(0, 60, 69)), Ok(60));
        assert_eq!(send(&mut world, &batch(0, 20, 29)), Ok(20));
        assert_eq!(send(&mut world, &batch(0, 10, 19)), Err(ErrorCode::DuplicateSequenceNumber));
        assert_eq!(send(&mut world, &batch(0, 71, 72)), Err(ErrorCode::OutOfOrderSequenceNumber));
        assert_eq!(end_of(&mut world), 70);
    }
}

#[test]
fn epochs_and_unknown_producers() {
    for mut world in worlds() {
        world.topic("t", 1, &[]);
        assert_eq!(send(&mut world, &batch(3, 500, 501)), Ok(0), "its state may have expired");
        assert_eq!(send(&mut world, &batch(2, 0, 0)), Err(ErrorCode::InvalidProducerEpoch));
        assert_eq!(send(&mut world, &batch(4, 502, 503)), Err(ErrorCode::OutOfOrderSequenceNumber));
        assert_eq!(send(&mut world, &batch(4, 0, 0)), Ok(2));
    }
}

#[test]
fn sequences_wrap() {
    for mut world in worlds() {
        world.topic("t", 1, &[]);
        assert_eq!(send(&mut world, &batch(0, i32::MAX - 1, i32::MAX)), Ok(0));
        assert_eq!(send(&mut world, &batch(0, 0, 2)), Ok(2));
        assert_eq!(send(&mut world, &batch(0, i32::MAX - 1, i32::MAX)), Ok(0));
        assert_eq!(send(&mut world, &batch(0, 3, 3)), Ok(5));
    }
}

#[test]
fn a_repeat_of_what_is_not_durable_waits_with_it() {
    for mut world in worlds() {
        world.topic("t", 1, &[]);
        let conn = world.connect(0);
        world.flushes = false;
        let frame = produce_frame(9, -1, &[("t", Uuid::ZERO, 0, &batch(0, 0, 4))]);
        let seqs = [world.send(conn, frame.clone()), world.send(conn, frame)];
        world.run();
        assert!(seqs.iter().all(|seq| world.outcome(conn, *seq).is_none()));
        world.flush();
        world.run();
        for seq in seqs {
            assert_eq!(produced(world.outcome(conn, seq).unwrap(), 9), [Produced::at(0)]);
        }
        assert_eq!(end_of(&mut world), 5);
    }
}

#[test]
fn silence_is_forgotten_after_a_day() {
    for mut world in worlds() {
        world.topic("t", 1, &[]);
        send(&mut world, &batch(0, 0, 4)).unwrap();
        world.advance(DAY_MS - 1);
        assert_eq!(send(&mut world, &batch(0, 0, 4)), Ok(0));
        world.advance(DAY_MS);
        assert_eq!(send(&mut world, &batch(0, 0, 4)), Ok(5), "the state is gone, and the batch is new");
    }
}

#[test]
fn state_survives_a_restart_from_headers_alone() {
    for shards in [1, 2, 3] {
        for mut world in worlds() {
            world.topic("t", 1, &[]);
            for i in 0..6 {
                send(&mut world, &batch(0, 10 * i, 10 * i + 9)).unwrap();
            }
            world.restart(shards);
            assert_eq!(send(&mut world, &batch(0, 50, 59)), Ok(50));
            assert_eq!(send(&mut world, &batch(0, 10, 19)), Ok(10));
            assert_eq!(send(&mut world, &batch(0, 0, 9)), Err(ErrorCode::DuplicateSequenceNumber));
            assert_eq!(send(&mut world, &batch(0, 60, 69)), Ok(60));
        }
    }
}

#[test]
fn state_survives_a_restart_from_a_snapshot_and_headers() {
    for mut world in worlds() {
        let id = world.topic("t", 1, &[]);
        send(&mut world, &batch(0, 0, 9)).unwrap();
        let (shard, log) = world.log_of(id, 0);
        world.brokers[shard].store_mut().seal(log);
        world.run();
        send(&mut world, &batch(0, 10, 19)).unwrap();
        let (upto, _) = world.brokers[shard].store().snapshot_of(log).unwrap();
        assert_eq!(*upto, 10);
        world.restart(2);
        assert_eq!(send(&mut world, &batch(0, 0, 9)), Ok(0));
        assert_eq!(send(&mut world, &batch(0, 10, 19)), Ok(10));
        assert_eq!(send(&mut world, &batch(0, 20, 29)), Ok(20));
    }
}

#[test]
fn a_snapshot_waits_until_what_it_covers_is_durable() {
    for mut world in worlds() {
        let id = world.topic("t", 1, &[]);
        let (shard, log) = world.log_of(id, 0);
        let conn = world.connect(0);
        world.flushes = false;
        world.send(conn, produce_frame(9, -1, &[("t", Uuid::ZERO, 0, &batch(0, 0, 9))]));
        world.run();
        world.brokers[shard].store_mut().seal(log);
        world.run();
        assert_eq!(world.brokers[shard].store().snapshot_of(log), None);
        world.flush();
        world.run();
        assert_eq!(world.brokers[shard].store().snapshot_of(log).unwrap().0, 10);
    }
}

#[test]
fn what_was_rejected_may_be_sent_again() {
    for mut world in worlds() {
        let id = world.topic("t", 1, &[]);
        send(&mut world, &batch(0, 0, 9)).unwrap();
        let (shard, log) = world.log_of(id, 0);
        let conn = world.connect(0);
        world.flushes = false;
        let seqs = [(10, 19), (20, 29)].map(|(first, last)| {
            world.send(conn, produce_frame(9, -1, &[("t", Uuid::ZERO, 0, &batch(0, first, last))]))
        });
        world.run();
        world.brokers[shard].store_mut().reject(log);
        world.run();
        for seq in seqs {
            let outcome = world.outcome(conn, seq).unwrap();
            assert_eq!(produced(outcome, 9), [Produced::failed(ErrorCode::KafkaStorageError)]);
        }
        world.flushes = true;
        assert_eq!(send(&mut world, &batch(0, 20, 29)), Err(ErrorCode::OutOfOrderSequenceNumber));
        assert_eq!(send(&mut world, &batch(0, 10, 19)), Ok(10));
        assert_eq!(send(&mut world, &batch(0, 20, 29)), Ok(20));
    }
}

#[test]
fn a_power_cut_takes_what_was_not_acknowledged_and_nothing_else() {
    for mut world in worlds() {
        world.topic("t", 1, &[]);
        send(&mut world, &batch(0, 0, 9)).unwrap();
        let conn = world.connect(0);
        world.flushes = false;
        let seq = world.send(conn, produce_frame(9, -1, &[("t", Uuid::ZERO, 0, &batch(0, 10, 19))]));
        world.run();
        assert_eq!(world.outcome(conn, seq), None);
        world.flushes = true;
        world.restart(3);
        assert_eq!(end_of(&mut world), 10);
        assert_eq!(send(&mut world, &batch(0, 10, 19)), Ok(10));
    }
}

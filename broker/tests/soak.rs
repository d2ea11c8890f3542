//! Producers and consumers against shards whose messages, flushes and disks take turns at random: what was acknowledged is there once
//! and in order, and a consumer that follows a session sees all of it. A seed reproduces everything.

#![expect(clippy::expect_used, reason = "the helpers of this test, too, end it")]

use broker::ConnId;
use broker::testing::{FetchCall, Outcome, World, produce_frame, produced};
use protocol::batch::{BatchBuilder, Limits, iter_batches};
use protocol::messages::fetch::FetchResponse;
use protocol::messages::keys::ApiKey;
use protocol::{ErrorCode, Reader, Uuid};
use std::collections::BTreeMap;

const NOW_MS: i64 = 1_700_000_000_000;
const PARTITIONS: i32 = 4;

/// One idempotent producer that writes to one partition and sends a batch again until it is acknowledged.
struct Producer {
    conn: ConnId,
    id: i64,
    partition: i32,
    next: i32,
    sent: Option<u64>,
}

impl Producer {
    fn send(&mut self, world: &mut World) {
        let mut builder = BatchBuilder::new().producer(self.id, 0, self.next);
        for i in 0..3 {
            let value = format!("{}:{}", self.id, self.next + i);
            builder.append(NOW_MS, None, Some(value.as_bytes()), &[]);
        }
        let set = builder.build();
        self.sent = Some(world.send(self.conn, produce_frame(9, -1, &[("t", Uuid::ZERO, self.partition, &set)])));
    }

    fn hear(&mut self, world: &World) {
        let Some(outcome) = self.sent.and_then(|seq| world.outcome(self.conn, seq)) else { return };
        match produced(outcome, 9)[0].code {
            ErrorCode::None => self.next += 3,
            ErrorCode::KafkaStorageError | ErrorCode::RequestTimedOut => {}
            other => panic!("{other:?}"),
        }
        self.sent = None;
    }
}

/// A consumer with a session and long polls.
struct Consumer {
    conn: ConnId,
    session: (i32, i32),
    positions: BTreeMap<i32, i64>,
    changed: Vec<i32>,
    sent: Option<u64>,
    seen: BTreeMap<i32, Vec<String>>,
}

impl Consumer {
    fn call(&self) -> FetchCall {
        FetchCall { session: self.session, max_wait_ms: 100, max_bytes: 400, ..FetchCall::default() }
    }

    fn send(&mut self, world: &mut World) {
        let parts: Vec<_> =
            self.changed.drain(..).map(|index| ("t", Uuid::ZERO, index, self.positions[&index])).collect();
        self.sent = Some(world.send(self.conn, self.call().frame(&parts)));
    }

    fn hear(&mut self, world: &World) {
        let Some(Outcome::Reply(frame)) = self.sent.and_then(|seq| world.outcome(self.conn, seq)) else { return };
        let body = broker::testing::body_of(&Outcome::Reply(frame.clone()), ApiKey::Fetch, 12).to_vec();
        let response = FetchResponse::decode(&mut Reader::new(&body), 12).expect("a fetch answer");
        assert_eq!(response.error_code, 0);
        for part in response.responses.iter().flat_map(|topic| &topic.partitions) {
            assert_eq!(part.error_code, 0);
            self.take(part.partition_index, part.records.bytes().expect("records"));
        }
        self.session = (response.session_id, self.session.1 + 1);
        self.sent = None;
    }

    fn take(&mut self, partition: i32, bytes: &[u8]) {
        for batch in iter_batches(bytes) {
            let batch = batch.expect("whole batches");
            batch.check_crc().expect("sound batches");
            let position = self.positions.get_mut(&partition).expect("an asked partition");
            assert_eq!(batch.base_offset(), *position, "no gap and no repeat");
            *position = batch.next_offset();
            for record in &batch.records(&Limits::default()).expect("records") {
                let value = record.expect("a record").value.expect("a value").to_vec();
                self.seen.entry(partition).or_default().push(String::from_utf8(value).expect("text"));
            }
            if !self.changed.contains(&partition) {
                self.changed.push(partition);
            }
        }
    }
}

fn soak(shards: u16, seed: u64) {
    let mut world = World::new(shards, seed);
    world.topic("t", PARTITIONS, &[]);
    world.flushes = false;
    let mut random = seed;
    let mut draw = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let shard = |draw: &mut dyn FnMut(u64) -> u64| draw(u64::from(shards)) as usize;
    let mut producers: Vec<Producer> = (0..6)
        .map(|id| {
            let conn = world.connect(shard(&mut draw));
            Producer { conn, id, partition: (id as i32) % PARTITIONS, next: 0, sent: None }
        })
        .collect();
    let mut consumer = Consumer {
        conn: world.connect(shard(&mut draw)),
        session: (0, 0),
        positions: (0..PARTITIONS).map(|index| (index, 0)).collect(),
        changed: (0..PARTITIONS).collect(),
        sent: None,
        seen: BTreeMap::new(),
    };
    for _ in 0..400 {
        for producer in &mut producers {
            producer.hear(&world);
            if producer.sent.is_none() && draw(3) == 0 {
                producer.send(&mut world);
            }
        }
        consumer.hear(&world);
        if consumer.sent.is_none() {
            consumer.send(&mut world);
        }
        let broker = draw(u64::from(shards)) as usize;
        match draw(12) {
            0 => world.brokers[broker].store_mut().busy = 2,
            1 => world.brokers[broker].store_mut().cool(),
            2 => world.advance(draw(60)),
            3..=7 => world.flush(),
            _ => {}
        }
        world.run();
    }
    world.flushes = true;
    for _ in 0..200 {
        world.advance(101);
        producers.iter_mut().for_each(|producer| producer.hear(&world));
        consumer.hear(&world);
        if consumer.sent.is_none() {
            consumer.send(&mut world);
        }
        world.run();
    }
    for producer in &producers {
        let seen = consumer.seen.get(&producer.partition).into_iter().flatten();
        let own: Vec<&String> = seen.filter(|value| value.starts_with(&format!("{}:", producer.id))).collect();
        let expect: Vec<String> = (0..producer.next).map(|sequence| format!("{}:{sequence}", producer.id)).collect();
        assert!(producer.next > 0);
        assert_eq!(own, expect.iter().collect::<Vec<_>>(), "{shards} shards, seed {seed}");
    }
}

#[test]
fn everything_arrives_once_and_in_order() {
    for seed in 0..12 {
        soak(1 + (seed % 3) as u16, seed);
    }
}

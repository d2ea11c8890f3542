//! A lane by itself, and the whole producer against a broker that fails at every step: whatever happens, each record is written
//! once and in its place, or said to be lost.

use super::batch::Flight;
use super::lane::{Identity, Lane};
use super::trouble::Trouble;
use super::{Producer, ProducerSettings, Tally};
use crate::client::fake::{self, Asked, Peer};
use crate::client::{Client, Error, Settings};
use crate::console::reader::Typed;
use protocol::batch::{BatchView, Limits};
use protocol::compress::Codec;
use protocol::messages::produce::{PartitionProduceResponse, TopicProduceResponse};
use protocol::messages::{ProduceRequest, ProduceResponse};
use protocol::{ApiKey, ErrorCode};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const OF_LANE: Identity = Identity { id: 7, epoch: 0 };

fn settings() -> ProducerSettings {
    ProducerSettings {
        topic: "t".to_owned(),
        partition: None,
        acks: -1,
        codec: Codec::None,
        batch_size: 400,
        linger: Duration::from_secs(3600),
        retries: 3,
        retry_backoff: Duration::from_millis(1),
        request_timeout: Duration::from_secs(5),
        delivery_timeout: Duration::from_secs(60),
        max_block: Duration::from_secs(5),
        metadata_max_age: Duration::from_secs(300),
        max_request_size: 1 << 20,
        buffer_memory: 1 << 20,
        in_flight_max: 5,
        idempotent: true,
        sync: false,
    }
}

fn typed(value: &str) -> Typed<'_> {
    Typed { key: None, value: Some(Cow::Borrowed(value.as_bytes())), headers: Vec::new() }
}

/// A batch as `id:sequence values`.
fn shown(bytes: &[u8]) -> String {
    let (batch, _) = BatchView::parse(bytes).expect("a batch");
    batch.check_crc().expect("its checksum");
    format!("{}:{} {}", batch.producer_id(), batch.base_sequence(), values(&batch).join(","))
}

fn values(batch: &BatchView<'_>) -> Vec<String> {
    let records = batch.records(&Limits::default()).expect("records");
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.expect("a value")).into_owned();
    records.iter().map(|record| text(record.expect("a record").value)).collect()
}

/// A lane whose batches are told what becomes of them.
struct Told {
    lane: Lane,
    settings: ProducerSettings,
    tally: Tally,
    now: Instant,
    flown: i32,
}

impl Told {
    /// With these batches, the values of each with commas between them.
    fn with(batches: &[&str]) -> Self {
        let (lane, settings) = (Lane::new(Some(OF_LANE)), settings());
        let mut told = Told { lane, settings, tally: Tally::default(), now: Instant::now(), flown: 0 };
        for batch in batches {
            for value in batch.split(',') {
                told.lane.append(&typed(value), value.len(), 5, &told.settings);
            }
            told.lane.complete();
        }
        told
    }

    /// Sends what can be sent; what that was.
    fn fly(&mut self) -> Vec<String> {
        self.now += Duration::from_millis(2);
        let mut all = Vec::new();
        while let Some(batch) = self.lane.sendable(self.now) {
            all.push(shown(&batch.bytes));
            self.lane.sent(Flight { leader: 1, number: self.flown });
            self.flown += 1;
        }
        all
    }

    /// The flight with this number comes back.
    fn back(&mut self, number: i32, code: ErrorCode) {
        let outcome = Error::check(code as i16, None, String::new).map_err(Trouble::from);
        let matching = |flight: Flight| flight.number == number;
        self.lane.answered(matching, &outcome, self.now, &self.settings, &mut self.tally);
    }

    fn renew(&mut self, id: i64) {
        assert!(self.lane.needs_identity());
        self.lane.renew(Identity { id, epoch: 0 }, &self.settings);
    }

    fn lost(&self) -> u64 {
        self.tally.lost.iter().map(|(records, _)| records).sum()
    }
}

#[test]
fn sequences_go_on_and_what_is_acknowledged_is_gone() {
    let mut told = Told::with(&["a,b", "c", "d"]);
    assert_eq!(told.fly(), ["7:0 a,b", "7:2 c", "7:3 d"]);
    (0..3).for_each(|number| told.back(number, ErrorCode::None));
    assert_eq!((told.lane.is_empty(), told.tally.written, told.lost()), (true, 4, 0));
}

#[test]
fn after_one_that_may_go_again_all_go_again_in_their_old_order() {
    let mut told = Told::with(&["a", "b", "c"]);
    told.fly();
    told.back(0, ErrorCode::NotLeaderOrFollower);
    told.back(1, ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(told.fly(), [""; 0], "one still flies");
    told.back(2, ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(told.fly(), ["7:0 a"], "by itself");
    told.back(3, ErrorCode::None);
    assert_eq!(told.fly(), ["7:1 b", "7:2 c"]);
}

#[test]
fn behind_one_that_is_refused_for_good_the_others_begin_anew() {
    let mut told = Told::with(&["a,b", "c", "d"]);
    told.fly();
    told.back(0, ErrorCode::InvalidRecord);
    told.back(1, ErrorCode::OutOfOrderSequenceNumber);
    told.back(2, ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(told.lost(), 2);
    assert_eq!(told.fly(), [""; 0], "under the old identity nothing can be written");
    told.renew(8);
    assert_eq!(told.fly(), ["8:0 c", "8:1 d"]);
}

#[test]
fn a_batch_that_is_too_large_goes_in_halves_and_a_record_that_is_too_large_is_lost_alone() {
    let mut told = Told::with(&["a,b,c", "d"]);
    told.fly();
    told.back(0, ErrorCode::MessageTooLarge);
    told.back(1, ErrorCode::OutOfOrderSequenceNumber);
    told.renew(8);
    assert_eq!(told.fly(), ["8:0 a"], "by itself");
    told.back(2, ErrorCode::MessageTooLarge);
    assert_eq!(told.lost(), 1);
    told.renew(9);
    assert_eq!(told.fly(), ["9:0 b,c"], "by itself");
    told.back(3, ErrorCode::None);
    assert_eq!(told.fly(), ["9:2 d"]);
}

#[test]
fn when_retries_are_used_up_those_behind_are_saved_by_a_new_identity() {
    let mut told = Told::with(&["a", "b"]);
    assert_eq!(told.fly(), ["7:0 a", "7:1 b"]);
    told.back(1, ErrorCode::OutOfOrderSequenceNumber);
    told.back(0, ErrorCode::NotEnoughReplicas);
    for number in 2..5 {
        assert_eq!(told.fly(), ["7:0 a"], "{number}");
        told.back(number, ErrorCode::NotEnoughReplicas);
    }
    assert_eq!(told.lost(), 1);
    // Whether `a` was written is not known: `b` is asked for under its old sequence first.
    assert_eq!(told.fly(), ["7:1 b"]);
    told.back(5, ErrorCode::OutOfOrderSequenceNumber);
    told.renew(8);
    assert_eq!(told.fly(), ["8:0 b"]);
}

#[test]
fn what_is_too_old_is_given_up_with_the_reason_that_is_known() {
    let mut told = Told::with(&["a", "b"]);
    let why = crate::failure::Failure::failed("nobody home");
    told.lane.hold(told.now + Duration::from_secs(9), &why);
    assert_eq!(told.fly(), [""; 0]);
    told.lane.expire(told.now + Duration::from_secs(61), &told.settings, &mut told.tally);
    let lost: Vec<_> = told.tally.lost.iter().map(|(records, failure)| (*records, failure.message.as_str())).collect();
    assert_eq!(lost, [(1, "nobody home"), (1, "nobody home")]);
    assert!(told.lane.is_empty());
}

/// Under another identity a batch that was written without our hearing of it would be written once more.
#[test]
fn what_may_have_been_written_is_settled_before_others_get_a_new_identity() {
    let mut told = Told::with(&["a", "b,c"]);
    told.fly();
    told.back(0, ErrorCode::RequestTimedOut);
    told.back(1, ErrorCode::MessageTooLarge);
    assert_eq!(told.fly(), ["7:0 a"]);
    assert!(!told.lane.needs_identity());
    told.back(2, ErrorCode::None);
    told.renew(8);
    assert_eq!(told.fly(), ["8:0 b"]);
}

/// One partition as an idempotent broker keeps it, and what it does wrong.
#[derive(Default)]
struct Model {
    values: Vec<String>,
    /// The sequences that were written last, by producer id: first of the batch, and behind its last.
    batches: BTreeMap<i64, Vec<(i32, i32)>>,
    random: u64,
    requests: u64,
    in_flight_seen: usize,
    /// The largest batch that is taken.
    records_max: i32,
}

impl Model {
    fn draw(&mut self, of: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % of
    }

    fn write(&mut self, batch: &BatchView<'_>) -> ErrorCode {
        let written = self.batches.entry(batch.producer_id()).or_default();
        if written.iter().rev().take(5).any(|(first, _)| *first == batch.base_sequence()) {
            return ErrorCode::None;
        }
        if batch.base_sequence() != written.last().map_or(0, |(_, next)| *next) {
            return ErrorCode::OutOfOrderSequenceNumber;
        }
        written.push((batch.base_sequence(), batch.base_sequence() + batch.record_count()));
        self.values.extend(values(batch));
        ErrorCode::None
    }
}

/// Answers a Produce, with a fault in three cases of eight; false cuts the connection.
fn produce(model: &Mutex<Model>, peer: &mut Peer, asked: &Asked) -> bool {
    assert_eq!(asked.key, ApiKey::Produce);
    let request = ProduceRequest::decode(&mut asked.body(), asked.version).expect("a request");
    let mut model = model.lock().expect("the model");
    model.requests += 1;
    let fault = model.draw(8);
    let mut rows = Vec::new();
    for row in &request.topic_data[0].partition_data {
        let (batch, _) = BatchView::parse(row.records.bytes().expect("records")).expect("a batch");
        let code = match fault {
            // Not written, and said so, or not.
            0 => ErrorCode::NotLeaderOrFollower,
            1 => return false,
            _ if batch.record_count() > model.records_max => ErrorCode::MessageTooLarge,
            _ => model.write(&batch),
        };
        rows.push(PartitionProduceResponse { index: row.index, error_code: code as i16, ..Default::default() });
    }
    // Written, and nobody hears of it.
    if fault == 3 {
        return false;
    }
    let topic = TopicProduceResponse { name: "t".into(), partition_responses: rows, ..Default::default() };
    let response = ProduceResponse { responses: vec![topic], ..Default::default() };
    peer.answer(asked, |w, version| response.encode(w, version).expect("an answer"));
    true
}

fn producer(address: crate::client::Address, settings: ProducerSettings) -> Producer {
    let client = Client::connect(Settings { bootstrap: vec![address], ..Settings::default() }).expect("a broker");
    Producer::start(client, settings).expect("a topic")
}

fn drain(producer: &mut Producer) {
    let end = Instant::now() + Duration::from_secs(60);
    producer.complete();
    while !producer.is_idle() && Instant::now() < end {
        producer.pump();
        producer.wait(None, Duration::from_millis(20));
    }
    assert!(producer.is_idle(), "still {} records", producer.waiting());
}

#[test]
fn whatever_a_broker_does_every_record_is_written_once_and_in_order() {
    for seed in 1..=8_u8 {
        let model = Arc::new(Mutex::new(Model {
            random: u64::from(seed),
            records_max: 12 - i32::from(seed),
            ..Model::default()
        }));
        let seen = Arc::clone(&model);
        let address = fake::serve("t", 1, move |peer, asked| produce(&seen, peer, asked));
        let mut producer = producer(address, ProducerSettings { retries: u32::MAX, ..settings() });
        let values: Vec<String> = (0..400).map(|number| format!("record {number} of seed {seed}")).collect();
        values.iter().for_each(|value| producer.send(&typed(value), None));
        drain(&mut producer);
        let model = model.lock().expect("the model");
        assert!(producer.take_lost().is_empty());
        let wrong = model.values.iter().zip(&values).position(|(got, sent)| got != sent);
        assert_eq!((wrong, model.values.len()), (None, 400), "seed {seed}");
        assert_eq!(producer.written(), 400);
    }
}

/// A broker that takes its time is asked for more meanwhile, but for no more than it may be.
#[test]
fn requests_are_on_their_way_together() {
    let model = Arc::new(Mutex::new(Model::default()));
    let seen = Arc::clone(&model);
    let address = fake::serve("t", 1, move |_, asked| {
        assert_eq!(asked.key, ApiKey::Produce);
        seen.lock().expect("the model").in_flight_seen += 1;
        // Never answered: what comes all the same was not waiting for it.
        true
    });
    let mut producer = producer(address, settings());
    (0..200).for_each(|number| producer.send(&typed(&format!("a record of some length {number}")), None));
    let end = Instant::now() + Duration::from_secs(20);
    let in_flight = || model.lock().expect("the model").in_flight_seen;
    while in_flight() < 5 && Instant::now() < end {
        producer.pump();
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(50));
    producer.pump();
    assert_eq!(in_flight(), 5);
}

#[test]
fn a_slow_broker_stops_the_reading_not_the_memory_from_growing() {
    let address = fake::serve("t", 2, |_, _| true);
    let mut producer = producer(address, ProducerSettings { buffer_memory: 10_000, ..settings() });
    let mut taken = 0;
    while producer.has_room() {
        producer.send(&typed("a record of some length"), None);
        taken += 1;
        assert!(taken < 1_000, "no end");
    }
    assert!(taken > 100, "{taken}");
}

#[test]
fn a_record_that_is_too_large_is_lost_alone() {
    let model = Arc::new(Mutex::new(Model { records_max: 9, ..Model::default() }));
    let seen = Arc::clone(&model);
    let address = fake::serve("t", 1, move |peer, asked| produce(&seen, peer, asked));
    let mut producer = producer(address, ProducerSettings { max_request_size: 100, retries: u32::MAX, ..settings() });
    producer.send(&typed("before"), None);
    producer.send(&typed(&"x".repeat(100)), None);
    producer.send(&typed("behind"), None);
    drain(&mut producer);
    let lost = producer.take_lost();
    assert_eq!((lost.len(), lost[0].0), (1, 1));
    assert!(lost[0].1.message.starts_with("a record of 121 bytes is larger than max.request.size"), "{lost:?}");
    assert_eq!(model.lock().expect("the model").values, ["before", "behind"]);
}

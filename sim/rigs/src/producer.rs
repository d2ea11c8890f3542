//! One producer, plain or idempotent, that lives through many faults: several requests in flight, several batches a request.
//!
//! An idempotent producer sends whatever was not acknowledged again, in order and with the same sequences, as Kafka's
//! clients do. A plain one never sends anything twice, so that a value that is there twice is the broker's doing.

use crate::check::Violation;
use crate::history::{Acked, History};
use crate::places::Place;
use crate::random::Random;
use crate::record::{Identity, value};
use crate::requests::{self, ProduceEntry, Produced};
use crate::wire::{Asked, Connection, WireError};
use protocol::ErrorCode;
use protocol::batch::BatchBuilder;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Kafka's brokers remember the last five batches of a producer and partition, so no more may be unacknowledged.
const IN_FLIGHT_MAX: usize = 5;
/// What one producer sends between two faults, so that reading everything back stays quick.
const BYTES_MAX: usize = 3 << 20;
/// The same of a long load, most of which retention takes again.
const LONG_BYTES_MAX: usize = 24 << 20;
/// Requests of a long load, in a hundred, that go to the logs that retention shortens, and to nothing else.
const RETAINED_PERCENT: u64 = 96;
const RECORDS_MAX: u64 = 20;
const ENTRIES_MAX: u64 = 3;
/// How long a refused producer waits before it tries again.
const BACK_OFF: Duration = Duration::from_millis(3);
const TIMESTAMP_MS: i64 = 1_700_000_000_000;

/// See the module.
#[derive(Debug)]
pub struct Producer {
    number: u32,
    /// Present in an idempotent producer once it has asked.
    id: Option<(i64, i16)>,
    is_idempotent: bool,
    random: Random,
    /// The next sequence for each place.
    next: Vec<u64>,
    /// Batches to be sent, or sent again.
    pending: VecDeque<Request>,
}

/// A request, as long as any of its batches is unacknowledged.
#[derive(Clone, Debug)]
struct Request {
    batches: Vec<Batch>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Batch {
    place: usize,
    first: u64,
    count: u32,
}

/// What a load runs against.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The broker.
    pub address: SocketAddr,
    /// The partitions.
    pub places: &'a [Place],
    /// Where everything is noted.
    pub history: &'a History,
    /// Set when the fault has happened.
    pub stop: &'a AtomicBool,
    /// Much is written to few logs.
    pub is_long: bool,
}

impl Producer {
    /// Number `number` of its life; even ones are idempotent.
    pub fn new(number: u32, places: usize, seed: u64) -> Producer {
        Producer {
            number,
            id: None,
            is_idempotent: Producer::is_idempotent(number),
            random: Random::new(seed),
            next: vec![0; places],
            pending: VecDeque::new(),
        }
    }

    /// Whether the producer of that number is idempotent.
    pub fn is_idempotent(number: u32) -> bool {
        number.is_multiple_of(2)
    }

    /// Produces until the connection breaks or `stop` is set. Whatever breaks is a fault's doing; wrong answers are reported.
    pub fn run(&mut self, target: Target<'_>) {
        let pause = match self.random.below(3) {
            _ if target.is_long => None,
            0 => None,
            1 => Some(Duration::from_micros(300)),
            _ => Some(Duration::from_millis(2)),
        };
        let mut session = Session { producer: self, target, in_flight: VecDeque::new(), refused: VecDeque::new() };
        let result = session.run(pause);
        session.end();
        if let Err(error) = result
            && error.is_wrong()
        {
            target.history.report(Violation::Node(error.to_string()));
        }
    }

    /// A new request for up to three places, in rising order.
    fn make(&mut self, target: Target<'_>) -> Request {
        let Target { places, history, .. } = target;
        let only_retained = target.is_long && self.random.chance(RETAINED_PERCENT);
        let eligible: Vec<usize> =
            (0..places.len()).filter(|&at| !only_retained || places[at].retained_bytes.is_some()).collect();
        let mut chosen: Vec<usize> = (0..=self.random.below(ENTRIES_MAX))
            .map(|_| eligible[self.random.below(eligible.len() as u64) as usize])
            .collect();
        chosen.sort_unstable();
        chosen.dedup();
        let batches = chosen.into_iter().map(|place| {
            let (first, count) = (self.next[place], 1 + self.random.below(RECORDS_MAX) as u32);
            self.next[place] += u64::from(count);
            // Noted before anything is sent: a record is no phantom from here on.
            history.place(place).sent.insert(self.number, self.next[place]);
            Batch { place, first, count }
        });
        Request { batches: batches.collect() }
    }

    fn encode(&self, salt: u64, batch: &Batch) -> Vec<u8> {
        let mut builder = BatchBuilder::new();
        if let Some((id, epoch)) = self.id {
            builder = builder.producer(id, epoch, batch.first as i32);
        }
        for n in 0..u64::from(batch.count) {
            let identity = Identity { producer: self.number, place: batch.place as u32, sequence: batch.first + n };
            builder.append(TIMESTAMP_MS, None, Some(&value(salt, identity)), &[]);
        }
        builder.build()
    }
}

/// One connection's share of a producer's life.
struct Session<'a> {
    producer: &'a mut Producer,
    target: Target<'a>,
    in_flight: VecDeque<(Asked, Request)>,
    /// Answered with an error, oldest first; nothing is sent again before all that was sent after it is answered too.
    refused: VecDeque<Request>,
}

impl Session<'_> {
    fn run(&mut self, pause: Option<Duration>) -> Result<(), WireError> {
        let mut connection = Connection::open(self.target.address)?;
        if self.producer.is_idempotent && self.producer.id.is_none() {
            let id = requests::init_producer_id(&mut connection)?;
            self.target.history.handed_out(id.0);
            self.producer.id = Some(id);
        }
        let (mut bytes, bytes_max) = (0, if self.target.is_long { LONG_BYTES_MAX } else { BYTES_MAX });
        while !self.target.stop.load(Ordering::Relaxed) {
            if self.is_backing_off() || self.in_flight.len() == IN_FLIGHT_MAX || bytes > bytes_max {
                self.wait(&mut connection)?;
            } else if let Err(error) = self.send(&mut connection, &mut bytes) {
                // What was answered before the connection broke was acknowledged all the same.
                while !self.in_flight.is_empty() {
                    self.wait(&mut connection)?;
                }
                return Err(error);
            }
            pause.inspect(|&pause| std::thread::sleep(pause));
        }
        while !self.in_flight.is_empty() {
            self.wait(&mut connection)?;
        }
        Ok(())
    }

    fn is_backing_off(&self) -> bool {
        self.producer.is_idempotent && !self.refused.is_empty()
    }

    fn send(&mut self, connection: &mut Connection, bytes: &mut usize) -> Result<(), WireError> {
        let Target { history, places, .. } = self.target;
        let request = self.producer.pending.pop_front().unwrap_or_else(|| self.producer.make(self.target));
        let batches: Vec<Vec<u8>> =
            request.batches.iter().map(|batch| self.producer.encode(history.salt, batch)).collect();
        let entries: Vec<ProduceEntry<'_>> = std::iter::zip(&request.batches, &batches)
            .map(|(batch, bytes)| ProduceEntry { place: &places[batch.place], batch: bytes })
            .collect();
        *bytes += batches.iter().map(Vec::len).sum::<usize>();
        let acks = if self.producer.random.chance(50) { 1 } else { -1 };
        match requests::produce(connection, acks, &entries) {
            Ok(asked) => self.in_flight.push_back((asked, request)),
            Err(error) => {
                // It may have arrived all the same, behind everything that is in flight.
                self.producer.pending.push_front(request);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes one answer, or rests when there is none to come.
    fn wait(&mut self, connection: &mut Connection) -> Result<(), WireError> {
        let Some(&(asked, _)) = self.in_flight.front() else {
            if self.producer.is_idempotent {
                self.send_again();
            }
            std::thread::sleep(BACK_OFF);
            return Ok(());
        };
        let answers = requests::produced(connection, asked)?;
        if let Some((_, request)) = self.in_flight.pop_front() {
            self.answered(request, &answers);
        }
        Ok(())
    }

    fn answered(&mut self, request: Request, answers: &[Produced]) {
        let is_first_refusal = self.refused.is_empty();
        let left: Vec<Batch> =
            request.batches.into_iter().filter(|batch| !self.settle(batch, answers, is_first_refusal)).collect();
        if !left.is_empty() {
            self.refused.push_back(Request { batches: left });
        }
    }

    /// True when the batch is acknowledged.
    fn settle(&self, batch: &Batch, answers: &[Produced], is_first_refusal: bool) -> bool {
        let Target { history, places, .. } = self.target;
        let place = &places[batch.place];
        let answer = answers.iter().find(|a| a.topic == place.topic && a.partition == place.partition);
        let (code, offset) = answer.map_or((ErrorCode::UnknownServerError.code(), -1), |a| (a.code, a.offset));
        let is_known = code == ErrorCode::DuplicateSequenceNumber.code();
        if code == 0 || is_known {
            let offset = (!is_known && offset >= 0).then_some(offset);
            let acked = Acked { offset, producer: self.producer.number, first: batch.first, count: batch.count };
            let is_late = history.is_dark();
            let mut known = history.place(batch.place);
            if is_late {
                known.late.push(acked)
            } else {
                known.acked.push(acked)
            }
            return !is_late;
        }
        let is_out_of_order = [ErrorCode::OutOfOrderSequenceNumber, ErrorCode::UnknownProducerId]
            .iter()
            .any(|refusal| refusal.code() == code);
        if is_out_of_order && is_first_refusal {
            // Everything before it in this partition was acknowledged, so it cannot be out of order.
            history.report(Violation::Refused {
                place: format!("{}-{}", place.topic, place.partition),
                code,
                producer: self.producer.number,
                sequence: batch.first,
            });
        }
        false
    }

    /// Everything unacknowledged is to be sent again, in the order in which it was made.
    fn send_again(&mut self) {
        while let Some(request) = self.refused.pop_back() {
            self.producer.pending.push_front(request);
        }
    }

    /// The connection is gone; what is unacknowledged stays with an idempotent producer.
    fn end(&mut self) {
        if !self.producer.is_idempotent {
            self.producer.pending.clear();
            return;
        }
        while let Some((_, request)) = self.in_flight.pop_back() {
            self.producer.pending.push_front(request);
        }
        self.send_again();
    }
}

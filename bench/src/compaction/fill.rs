//! The dirty log: records of many versions of few keys, the same for every broker, batch after batch.

use super::{Error, Plan};
use crate::frames;
use protocol::batch::BatchBuilder;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// Requests under way while the topic is filled.
const DEPTH: usize = 16;

/// One version of a key in so many is the last one.
const VERSIONS: u64 = 10;

/// Bytes of a value that says something in fewer: names of fields, as in any JSON. The rest is digits that nothing can pack.
const FIELDS: &[&str] = &["{\"customer\":\"", "\",\"balance\":", ",\"updated\":\"", "\",\"branch\":\""];

/// Digits between two names of fields.
const DIGITS: usize = 12;

/// A stream of batches.
struct Batches<'a> {
    plan: &'a Plan,
    per_batch: usize,
    keys: u64,
    state: u64,
    timestamp_ms: i64,
}

impl Batches<'_> {
    fn new(plan: &Plan) -> Batches<'_> {
        let per_batch = (plan.batch_bytes / (plan.record_bytes + 16)).max(1);
        Batches { plan, per_batch, keys: u64::MAX, state: 0x9e37_79b9_7f4a_7c15, timestamp_ms: super::now_ms() }
    }

    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.state >> 20
    }

    fn next(&mut self) -> Vec<u8> {
        let mut builder = BatchBuilder::new().compression(self.plan.codec, None);
        let mut value = Vec::with_capacity(self.plan.record_bytes + DIGITS);
        for _ in 0..self.per_batch {
            let key = (self.random() % self.keys).to_be_bytes();
            self.value(&mut value);
            builder.append(self.timestamp_ms, Some(&key), Some(&value), &[]);
        }
        builder.build()
    }

    fn value(&mut self, value: &mut Vec<u8>) {
        value.clear();
        for field in FIELDS.iter().cycle() {
            value.extend_from_slice(field.as_bytes());
            let mut digits = self.random();
            for _ in 0..DIGITS {
                value.push(b'0' + (digits % 10) as u8);
                digits /= 10;
            }
            if value.len() >= self.plan.record_bytes {
                return value.truncate(self.plan.record_bytes);
            }
        }
    }
}

/// Fills the topic with as many bytes as the plan says, compressed ones where it says so.
pub(super) fn fill(address: SocketAddr, topic: &str, plan: &Plan) -> Result<(), Error> {
    let mut batches = Batches::new(plan);
    let count = (plan.bytes / batches.next().len() as u64).max(1);
    batches.keys = (count * batches.per_batch as u64 / VERSIONS).max(1);
    let mut socket = TcpStream::connect(address)?;
    for sent in 0..count {
        socket.write_all(&frames::produce(topic, 0, 1, &batches.next())?)?;
        if sent >= DEPTH as u64 {
            answer(&mut socket)?;
        }
    }
    for _ in 0..count.min(DEPTH as u64) {
        answer(&mut socket)?;
    }
    Ok(())
}

fn answer(socket: &mut TcpStream) -> Result<(), Error> {
    let mut prefix = [0; 4];
    socket.read_exact(&mut prefix)?;
    let mut answer = vec![0; u32::from_be_bytes(prefix) as usize];
    socket.read_exact(&mut answer)?;
    frames::produced(&answer).map(drop).map_err(|error| Error::Refused { what: "filling the topic", error })
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::batch::{BatchView, Limits};
    use protocol::compress::Codec;
    use std::collections::HashMap;

    fn plan(codec: Codec) -> Plan {
        Plan { codec, bytes: 1 << 20, ..Plan::default() }
    }

    #[test]
    fn one_record_in_ten_is_the_newest_of_its_key() {
        let plan = plan(Codec::None);
        let mut batches = Batches::new(&plan);
        batches.keys = 50 * batches.per_batch as u64 / VERSIONS;
        let (mut newest, mut records) = (HashMap::new(), 0);
        for _ in 0..50 {
            let bytes = batches.next();
            let (batch, _) = BatchView::parse(&bytes).unwrap();
            for record in &batch.records(&Limits::default()).unwrap() {
                newest.insert(record.unwrap().key.unwrap().to_vec(), records);
                records += 1;
            }
        }
        let live = newest.len() as f64 / f64::from(records);
        assert!((0.09..=0.11).contains(&live), "{live}");
    }

    #[test]
    fn codecs_have_something_to_do() {
        let plain = Batches::new(&plan(Codec::None)).next().len();
        assert!((15_000..=16_500).contains(&plain), "{plain}");
        for codec in [Codec::Lz4, Codec::Zstd] {
            let packed = Batches::new(&plan(codec)).next().len();
            assert!(packed * 10 < plain * 8 && packed * 5 > plain, "{codec:?}: {packed} of {plain}");
        }
    }
}

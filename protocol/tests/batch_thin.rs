//! Thinning against a list: whatever is taken from a batch in however many steps, what stays is what the list says, with its
//! offsets, timestamps and headers, and the batch still tells producer, sequence and end. Broken, this means compaction that
//! loses a last value or a sequence number, or dates tombstones wrongly.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use protocol::batch::{
    BatchBuilder, BatchView, Header, Limits, NO_TIMESTAMP, Thinned, Thinner, Walk, set_log_append_time,
};
use protocol::compress::Codec;

const CASES: u64 = 600;

/// xorshift64*.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }
}

/// One record as it is expected.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    offset: i64,
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

fn timestamp(dice: &mut Dice) -> i64 {
    match dice.below(8) {
        0 => NO_TIMESTAMP,
        1 => 0,
        2 => i64::from(u32::MAX) << 10,
        _ => 1_700_000_000_000 + dice.below(100_000) as i64 - 50_000,
    }
}

fn bytes(dice: &mut Dice, max: u64) -> Option<Vec<u8>> {
    let len = dice.below(max);
    (dice.below(4) > 0).then(|| (0..len).map(|_| dice.below(7) as u8).collect())
}

fn made(dice: &mut Dice) -> (Vec<u8>, Vec<Known>) {
    let codec = Codec::ALL[dice.below(Codec::ALL.len() as u64) as usize];
    let base = dice.below(1 << 40) as i64;
    let mut builder = BatchBuilder::new().compression(codec, None).producer(7, 3, 42).position(base, 5);
    let mut known = Vec::new();
    for delta in 0..1 + dice.below(30) as i64 {
        let (at, key, value) = (timestamp(dice), bytes(dice, 20), bytes(dice, 200));
        let headers: Vec<_> = (0..dice.below(3)).map(|n| (vec![b'h', n as u8], bytes(dice, 9))).collect();
        let lent: Vec<_> = headers.iter().map(|(key, value)| Header { key, value: value.as_deref() }).collect();
        builder.append(at, key.as_deref(), value.as_deref(), &lent);
        known.push(Known { offset: base + delta, timestamp: at, key, value, headers });
    }
    let mut batch = builder.build();
    if dice.below(4) == 0 {
        let now = timestamp(dice);
        set_log_append_time(&mut batch, now);
        known.iter_mut().for_each(|record| record.timestamp = now);
    }
    (batch, known)
}

fn read(batch: &BatchView<'_>) -> Vec<Known> {
    let records = batch.records(&Limits::default()).unwrap();
    let read = records.iter().map(|record| {
        let record = record.unwrap();
        let headers = record.headers().map(|header| (header.key.to_vec(), header.value.map(<[u8]>::to_vec)));
        Known {
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: headers.collect(),
        }
    });
    read.collect()
}

/// Thins a batch in pieces of three records.
fn thin(thinner: &mut Thinner, batch: &BatchView<'_>, horizon_ms: Option<i64>, stays: impl Fn(i64) -> bool) -> Thinned {
    let mut opened = thinner.open(batch, &Limits::default()).unwrap();
    while !thinner.unpack(&mut opened).unwrap() {}
    let mut walk = Walk::default();
    while thinner.keep(&opened, &mut walk, 3, |record| stays(record.offset)).unwrap() {}
    let thinned = thinner.decide(&opened, horizon_ms);
    while thinned == Thinned::Rebuilt && !thinner.rebuild(&opened) {}
    thinned
}

#[test]
fn whatever_goes_what_stays_is_as_it_was() {
    let mut thinner = Thinner::default();
    for seed in 1..=CASES {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let (mut batch, mut known) = made(&mut dice);
        let first = BatchView::parse(&batch).unwrap().0;
        let fixed = |view: &BatchView<'_>| {
            let producer = (view.producer_id(), view.producer_epoch(), view.base_sequence());
            (view.base_offset(), view.last_offset(), view.last_sequence(), producer, view.leader_epoch())
        };
        let (before, mut horizon) = (fixed(&first), None);
        for step in 0..4 {
            let (view, _) = BatchView::parse(&batch).unwrap();
            let least = dice.below(4);
            let goes: Vec<i64> = known.iter().map(|r| r.offset).filter(|_| dice.below(4) < least).collect();
            let wanted = (dice.below(2) == 0).then(|| timestamp(&mut dice).max(0));
            let thinned = thin(&mut thinner, &view, wanted, |offset| !goes.contains(&offset));
            known.retain(|record| !goes.contains(&record.offset));
            let has_tombstone = known.iter().any(|record| record.value.is_none());
            let is_dated = horizon.is_none() && wanted.is_some() && has_tombstone;
            let label = format!("seed {seed}, step {step}, {:?}, {goes:?}, {wanted:?}", view.codec());
            match thinned {
                Thinned::Nothing => {
                    assert!(known.is_empty(), "{label}");
                    thinner.empty(&view);
                    horizon = None;
                }
                Thinned::All => {
                    assert!(goes.is_empty() && !is_dated, "{label}");
                    continue;
                }
                Thinned::Rebuilt => horizon = if is_dated { wanted } else { horizon },
            }
            batch = thinner.rebuilt().to_vec();
            let (after, rest) = BatchView::parse(&batch).unwrap();
            after.check_crc().unwrap();
            assert!(rest.is_empty(), "{label}");
            assert_eq!(fixed(&after), before, "{label}");
            assert_eq!((read(&after), after.record_count() as usize), (known.clone(), known.len()), "{label}");
            assert_eq!(after.delete_horizon_ms(), horizon, "{label}");
            let newest = known.iter().map(|record| record.timestamp).max();
            assert!(newest.is_none_or(|newest| after.max_timestamp() == newest), "{label}");
            if known.is_empty() {
                break;
            }
        }
    }
}

//! Compaction against a map of what was appended: the newest record of each key stays, where it was; nothing else comes
//! back, whatever crashes when. Without it a key's last value could be lost, or a deleted one return.

use crate::rig::{Rig, limits, small};
use engine::io::sim::{Rng, SimWorld};
use engine::log::{Append, CompactionPace, LogConfig, LogId, LogLimits, Read, ReadError};
use engine::mem::Slice;
use protocol::batch::{BatchBuilder, BatchView, Limits, iter_batches};
use protocol::compress::Codec;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const RETENTION_MS: i64 = 3;

type Key = Vec<u8>;

/// What was appended.
#[derive(Default)]
pub(crate) struct Model {
    /// Key, value and wall clock of the append, by offset.
    records: BTreeMap<i64, (Key, Option<Vec<u8>>, i64)>,
    /// Last offset of each producer's last batch.
    producers: BTreeMap<i64, i64>,
    /// Base and last offset of every batch.
    batches: BTreeMap<i64, i64>,
    durable: i64,
    serial: u64,
    /// Records that were seen to be gone.
    gone: usize,
    /// Tombstones that were seen to be gone.
    buried: usize,
}

/// A log's records as they are read, and its batches.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) records: BTreeMap<i64, (Key, Option<Vec<u8>>)>,
    /// Base offset, last offset, producer.
    batches: Vec<(i64, i64, i64)>,
}

impl Seen {
    fn take(&mut self, slices: &[Slice]) -> Option<i64> {
        let mut next = None;
        for view in slices.iter().flat_map(|slice| iter_batches(slice)) {
            let view = view.unwrap();
            view.check_crc().unwrap();
            for record in view.records(&Limits::default()).unwrap().iter() {
                let record = record.unwrap();
                let known = (record.key.unwrap().to_vec(), record.value.map(<[u8]>::to_vec));
                let last = self.records.last_key_value().map(|(offset, _)| *offset);
                assert!(last.is_none_or(|last| last < record.offset), "offsets ascend");
                self.records.insert(record.offset, known);
            }
            self.batches.push((view.base_offset(), view.last_offset(), view.producer_id()));
            next = Some(view.next_offset());
        }
        next
    }
}

pub(crate) fn read_all(rig: &mut Rig, id: LogId) -> Seen {
    'again: loop {
        let mut seen = Seen::default();
        let offsets = rig.set().offsets(id);
        let mut at = offsets.start;
        while at < offsets.end {
            match rig.fetch(id, at, 8 << 10) {
                // A pass goes on while we look.
                Err(ReadError::Gone) => continue,
                Err(error) => panic!("reading {at} of {offsets:?}: {error}: {:?}", rig.reports),
                Ok(slices) => match seen.take(&slices) {
                    Some(next) => at = next,
                    None => panic!("nothing at {at} of {offsets:?}: {:?}", rig.reports),
                },
            }
            if rig.set().offsets(id).start > offsets.start {
                continue 'again;
            }
        }
        return seen;
    }
}

impl Model {
    pub(crate) fn append(&mut self, rig: &mut Rig, id: LogId, rng: &mut Rng, keys: u64) {
        let base = rig.set().offsets(id).end;
        let wall = rig.io.wall().0;
        let producer = 1 + rng.below(3) as i64;
        let codec = Codec::ALL[rng.below(5) as usize];
        let codec = if rng.coin() { Codec::None } else { codec };
        let mut builder = BatchBuilder::new().compression(codec, None).position(base, 7).producer(producer, 0, 0);
        let count = 1 + rng.below(5);
        let mut records = Vec::new();
        for _ in 0..count {
            self.serial += 1;
            let key = format!("key-{}", rng.below(keys)).into_bytes();
            let most = if rng.below(9) == 0 { 3000 } else { 200 };
            let len = rng.below(most) as usize;
            let value: Vec<u8> = format!("{} ", self.serial).bytes().cycle().take(len.max(8)).collect();
            let value = (rng.below(6) > 0).then_some(value);
            builder.append(wall - rng.below(20) as i64, Some(&key), value.as_deref(), &[]);
            records.push((key, value, wall));
        }
        let bytes = builder.build();
        let (view, _) = BatchView::parse(&bytes).unwrap();
        let last = base + count as i64 - 1;
        let append = Append {
            bytes: &bytes,
            base_offset: base,
            last_offset: last,
            leader_epoch: 7,
            max_timestamp: view.max_timestamp(),
            offset_of_max_timestamp: last,
        };
        if rig.set().append(id, append).is_ok() {
            self.records.extend(records.into_iter().enumerate().map(|(n, record)| (base + n as i64, record)));
            self.producers.insert(producer, last);
            self.batches.insert(base, last);
        }
    }

    pub(crate) fn last_batches(&self) -> Vec<i64> {
        self.producers.values().copied().collect()
    }

    /// Holds what is read against what was appended; what a crash took is forgotten.
    pub(crate) fn check(&mut self, rig: &mut Rig, id: LogId, label: &str) {
        let offsets = rig.set().offsets(id);
        assert!(offsets.end >= self.durable, "{label}: durable {}, {offsets:?} {:?}", self.durable, rig.reports);
        let wall_before = rig.io.wall().0;
        let seen = read_all(rig, id);
        let _ = wall_before;
        let wall = rig.io.wall().0;
        self.records.retain(|offset, _| *offset < offsets.end);
        self.batches.retain(|base, _| *base < offsets.end);
        let mut newest: BTreeMap<&Key, i64> = BTreeMap::new();
        for (offset, (key, ..)) in &self.records {
            newest.insert(key, *offset);
        }
        for (offset, (key, value)) in &seen.records {
            let known = self.records.get(offset);
            let same = known.is_some_and(|(k, v, _)| k == key && v == value);
            assert!(same, "{label}: {offset} is not what was appended; {:?}", rig.reports);
        }
        for (base, last, _) in &seen.batches {
            assert_eq!(self.batches.get(base), Some(last), "{label}: a batch keeps its offsets");
        }
        self.gone = self.records.len() - seen.records.len();
        for (key, offset) in newest.into_iter().filter(|(_, offset)| *offset >= offsets.start) {
            if seen.records.contains_key(&offset) {
                continue;
            }
            let (_, value, at) = &self.records[&offset];
            assert!(value.is_none(), "{label}: the last value of {key:?} at {offset} is lost; {:?}", rig.reports);
            assert!(wall >= at + RETENTION_MS, "{label}: a tombstone at {offset} went after {} ms", wall - at);
            let older = seen.records.iter().find(|(_, (k, _))| k == key);
            assert!(older.is_none(), "{label}: {key:?} was deleted at {offset} and is back: {older:?}");
            self.buried += 1;
        }
        for (producer, last) in &self.producers {
            let there = seen.batches.iter().any(|(_, l, p)| l == last && p == producer);
            assert!(
                there || *last >= offsets.end || *last < offsets.start,
                "{label}: the last batch of producer {producer} at {last} is gone"
            );
        }
        assert!(rig.reports.iter().all(|report| !report.contains("ReadOnly")), "{label}: {:?}", rig.reports);
    }

    pub(crate) fn note_durable(&mut self, rig: &mut Rig, id: LogId) {
        self.durable = rig.set().offsets(id).durable;
    }
}

pub(crate) fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 8 << 10,
        compact_policy: true,
        delete_policy: false,
        min_cleanable_ppm: 10_000,
        delete_retention_ms: RETENTION_MS,
        ..small()
    }
}

pub(crate) fn often() -> LogLimits {
    LogLimits { clean_backoff_ms: Some(2), journal_flushes_min: 5, journal_bytes: 128 << 10, ..limits() }
}

fn work(rig: &mut Rig, id: LogId, model: &mut Model, rng: &mut Rng, turns: u64, keys: u64) {
    for _ in 0..turns {
        for _ in 0..rng.below(3) {
            model.append(rig, id, rng, keys);
        }
        rig.last_batches = model.last_batches();
        if rng.below(150) == 0 {
            let offsets = rig.set().offsets(id);
            let to = offsets.start + rng.below((offsets.durable - offsets.start).max(1) as u64) as i64 / 2;
            rig.set().advance_start(id, to);
        }
        rig.turn();
        model.note_durable(rig, id);
        if rng.below(50) == 0 {
            model.check(rig, id, "live");
        }
    }
}

fn run(seed: u64, turns: u64, kill: bool, limits: &LogLimits) -> Model {
    let world = SimWorld::new(seed);
    world.write_file("/data/.keep", b"").unwrap();
    let mut rng = Rng::new(seed ^ turns << 20);
    let keys = [3, 20, 200][rng.below(3) as usize];
    let mut model = Model::default();
    for round in 0..3 {
        let label = format!("seed {seed}, {turns} turns, round {round}");
        let mut rig = Rig::boot(Box::new(world.restart()), Path::new("/data"), &config(), limits.clone());
        rig.last_batches = model.last_batches();
        let id = match rig.logs.get("t-0") {
            Some(&id) => {
                let end = rig.set().offsets(id).end;
                // What a crash took is no batch of anybody; its producer's last one before it may be gone by right.
                model.producers.retain(|_, last| *last < end);
                model.check(&mut rig, id, &label);
                id
            }
            None => {
                assert_eq!(model.durable, 0, "{label}: the whole log is gone");
                model = Model { serial: model.serial, ..Model::default() };
                rig.create("t-0", config())
            }
        };
        work(&mut rig, id, &mut model, &mut rng, turns, keys);
        if kill {
            world.kill();
        } else {
            world.crash();
        }
    }
    let mut rig = Rig::boot(Box::new(world.restart()), Path::new("/data"), &config(), limits.clone());
    if let Some(&id) = rig.logs.get("t-0") {
        let end = rig.set().offsets(id).end;
        model.producers.retain(|_, last| *last < end);
        model.check(&mut rig, id, &format!("seed {seed}, {turns} turns, at last"));
    }
    model
}

#[test]
fn a_crash_at_any_step_loses_no_last_value_and_brings_nothing_back() {
    let (mut gone, mut buried) = (0, 0);
    for seed in 0..4 {
        for turns in (20..160).step_by(23).chain([300, 500]) {
            let model = run(seed, turns, seed % 3 == 0, &often());
            (gone, buried) = (gone + model.gone, buried + model.buried);
        }
    }
    assert!(gone > 3_000 && buried > 0, "{gone} records were compacted away, {buried} tombstones among them");
}

#[test]
fn little_memory_for_keys_only_takes_more_passes() {
    for seed in 50..53 {
        let limits = LogLimits { clean_keys_bytes: 0, ..often() };
        let model = run(seed, 600, false, &limits);
        assert!(model.gone > 0, "seed {seed}");
    }
}

/// Appends, then waits until no pass is due any more.
pub(crate) fn settled(rig: &mut Rig, id: LogId, model: &mut Model, batches: u64, keys: u64) {
    let mut rng = Rng::new(77);
    for _ in 0..batches {
        model.append(rig, id, &mut rng, keys);
        rig.last_batches = model.last_batches();
        rig.turn();
    }
    rig.until_durable(id);
    model.note_durable(rig, id);
    rig.pass(300);
}

pub(crate) fn boot(world: &SimWorld, limits: LogLimits) -> Rig {
    Rig::boot(Box::new(world.restart()), Path::new("/data"), &config(), limits)
}

pub(crate) fn world(seed: u64) -> SimWorld {
    let world = SimWorld::new(seed);
    world.write_file("/data/.keep", b"").unwrap();
    world
}

#[test]
fn below_the_active_segment_each_key_is_there_once_and_segments_are_few() {
    let world = world(1);
    let mut rig = boot(&world, often());
    let id = rig.create("t-0", config());
    let mut model = Model::default();
    settled(&mut rig, id, &mut model, 600, 20);
    model.check(&mut rig, id, "settled");
    let segments = rig.set().segments(id);
    let (active, _, _) = *segments.last().unwrap();
    assert!(segments.len() <= 3, "{segments:?}");
    assert_eq!(segments[0].0, 0, "the first segment keeps its name");
    assert!(segments.windows(2).all(|pair| pair[0].1 == pair[1].0), "segments join: {segments:?}");
    let seen = read_all(&mut rig, id);
    let mut keys = BTreeSet::new();
    for (offset, (key, _)) in seen.records.iter().filter(|(offset, _)| **offset < active) {
        assert!(keys.insert(key.clone()), "{key:?} is there twice, at {offset} too");
    }
    // From every offset a read finds the first record at or past it.
    for from in (0..rig.set().offsets(id).end).step_by(13) {
        let slices = match rig.set().read(id, from, 4 << 10, i64::MAX, true) {
            Read::Bytes(slices) => slices,
            Read::Disk(plan) => {
                let task = rig.set().read_disk(plan);
                rig.run(task).unwrap()
            }
            other => panic!("{from}: {other:?}"),
        };
        let mut part = Seen::default();
        assert!(part.take(&slices).unwrap() > from, "a read from {from} goes on");
        let first = part.records.keys().find(|offset| **offset >= from);
        assert_eq!(
            first.is_some(),
            first == seen.records.range(from..).next().map(|(offset, _)| offset).filter(|_| first.is_some())
        );
    }
    // And a search by time finds the first record at or past it, never an emptied batch.
    let times: Vec<i64> = model.records.values().map(|(_, _, wall)| *wall).collect();
    for time in times.iter().step_by(37) {
        let task = rig.set().lookup_time(id, time - 25);
        let hit = rig.run(task).unwrap().expect("something is at or past it");
        let (view, _) = BatchView::parse(&hit.bytes).unwrap();
        assert!(view.record_count() > 0 && view.max_timestamp() >= time - 25);
    }
    rig.shutdown();
    let mut rig = boot(&world, LogLimits { clean_backoff_ms: None, ..often() });
    let id = rig.logs["t-0"];
    model.check(&mut rig, id, "after a stop");
    assert!(rig.reports.is_empty(), "{:?}", rig.reports);
}

#[test]
fn a_policy_that_changes_takes_effect_and_a_switched_off_cleaner_cleans_nothing() {
    let world = world(2);
    let mut rig = boot(&world, often());
    let plain = LogConfig { compact_policy: false, ..config() };
    let id = rig.create("t-0", plain);
    let mut model = Model::default();
    settled(&mut rig, id, &mut model, 300, 5);
    model.check(&mut rig, id, "not compacted");
    assert_eq!(model.gone, 0);
    rig.set().set_config(id, config());
    rig.pass(300);
    model.check(&mut rig, id, "compacted");
    assert!(model.gone > 300, "{}", model.gone);
}

#[test]
fn a_tombstone_stays_for_its_retention_after_the_pass_that_met_it() {
    let world = world(4);
    let mut rig = boot(&world, often());
    let id = rig.create("t-0", LogConfig { delete_retention_ms: 2_000, ..config() });
    let append = |rig: &mut Rig, key: &str, value: Option<&[u8]>| {
        let base = append_key(rig, id, key, value);
        rig.until_durable(id);
        base
    };
    let old = append(&mut rig, "k", Some(b"value"));
    let tombstone = append(&mut rig, "k", None);
    // Each of these fills a segment, so that what is before it is sealed.
    let pass = |rig: &mut Rig| {
        append(rig, "other", Some(&[7; 8100]));
        append(rig, "other", Some(&[7; 8100]));
        rig.pass(100);
        read_all(rig, id).records
    };
    let first = pass(&mut rig);
    assert!(!first.contains_key(&old) && first.contains_key(&tombstone), "{:?}", first.keys());
    rig.pass(1_000);
    assert!(pass(&mut rig).contains_key(&tombstone), "its time is not over");
    rig.pass(1_000);
    assert!(!pass(&mut rig).contains_key(&tombstone), "its time is over");
}

#[test]
fn a_log_that_is_compacted_and_deleted_is_both() {
    let world = world(5);
    let mut rig = boot(&world, often());
    let both = LogConfig { delete_policy: true, retention_bytes: 20 << 10, ..config() };
    let id = rig.create("t-0", both);
    let mut model = Model::default();
    // Few keys at first: they are compacted, and what is left of them goes with its segment once there is too much.
    settled(&mut rig, id, &mut model, 100, 3);
    model.check(&mut rig, id, "compacted");
    assert!(model.gone > 100, "{}", model.gone);
    settled(&mut rig, id, &mut model, 400, 5_000);
    assert!(rig.set().offsets(id).start > 0, "the oldest segments are deleted");
    assert!(rig.set().size_bytes(id) < 60 << 10);
    model.check(&mut rig, id, "deleted");
}

#[test]
fn what_is_younger_than_the_lag_stays() {
    let world = world(3);
    let mut rig = boot(&world, often());
    let lag = LogConfig { min_compaction_lag_ms: 3_000, ..config() };
    let id = rig.create("t-0", lag);
    let mut model = Model::default();
    settled(&mut rig, id, &mut model, 300, 5);
    model.check(&mut rig, id, "young");
    assert_eq!(model.gone, 0);
    rig.pass(3_000);
    rig.pass(100);
    model.check(&mut rig, id, "old");
    assert!(model.gone > 300, "{}", model.gone);
}

#[test]
fn its_pace_changes_at_run_time_also_of_a_pass_that_is_under_way() {
    let world = world(5);
    // Nothing happens in an hour, and a byte takes a second.
    let limits = LogLimits { clean_backoff_ms: Some(3_600_000), clean_bytes_per_s: 1, ..often() };
    let mut rig = boot(&world, limits);
    let id = rig.create("t-0", config());
    let mut model = Model::default();
    settled(&mut rig, id, &mut model, 300, 5);
    model.check(&mut rig, id, "nobody looked");
    assert_eq!(model.gone, 0);
    rig.set().set_compaction_pace(&CompactionPace { backoff_ms: Some(2), ..CompactionPace::default() });
    rig.pass(2_000);
    model.check(&mut rig, id, "the second piece waits");
    assert_eq!(model.gone, 0);
    let fast = CompactionPace { backoff_ms: Some(2), bytes_per_s: Some(u64::MAX), keys_bytes: None };
    rig.set().set_compaction_pace(&fast);
    rig.pass(300);
    model.check(&mut rig, id, "fast");
    assert!(model.gone > 300, "{}", model.gone);
}

#[test]
fn a_truncation_and_a_deletion_end_a_pass() {
    for turns in 0..40 {
        let world = world(turns);
        let slow = LogLimits { clean_bytes_per_s: 200_000, ..often() };
        let mut rig = boot(&world, slow);
        let id = rig.create("t-0", config());
        let mut model = Model::default();
        let mut rng = Rng::new(turns);
        for _ in 0..120 {
            model.append(&mut rig, id, &mut rng, 9);
            rig.turn();
        }
        rig.until_durable(id);
        for _ in 0..turns {
            rig.turn();
        }
        let to = rig.set().offsets(id).end / 2;
        rig.set().truncate_suffix(id, to);
        rig.until("truncated", |rig| rig.set().offsets(id).end <= to);
        rig.pass(5);
        let base = rig.set().offsets(id).end;
        model.append(&mut rig, id, &mut rng, 9);
        rig.until_durable(id);
        assert!(rig.set().offsets(id).end > base);
        world.crash();
        let mut rig = boot(&world, often());
        let id = rig.logs["t-0"];
        let seen = read_all(&mut rig, id);
        assert!(seen.records.contains_key(&base), "what was appended behind the cut is there; {:?}", rig.reports);
        rig.set().delete(id);
        rig.until("deleted", |rig| rig.set().segments(id).is_empty());
    }
}

/// Appends a batch of one record; its offset.
pub(crate) fn append_key(rig: &mut Rig, id: LogId, key: &str, value: Option<&[u8]>) -> i64 {
    let (base, wall) = (rig.set().offsets(id).end, rig.io.wall().0);
    let mut builder = BatchBuilder::new().position(base, 7);
    builder.append(wall, Some(key.as_bytes()), value, &[]);
    let append = Append {
        bytes: &builder.build(),
        base_offset: base,
        last_offset: base,
        leader_epoch: 7,
        max_timestamp: wall,
        offset_of_max_timestamp: base,
    };
    rig.set().append(id, append).unwrap();
    base
}

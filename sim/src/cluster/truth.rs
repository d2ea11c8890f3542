//! What must be true of topics and their partitions, from what clients were told and what they read.
//!
//! Everything is learned from outside: acknowledgements, fetched batches, watermarks. Two observations that cannot both
//! hold are a violation. All of it is linear in the history: each batch has one place, found by its offset.

use super::keyed::{self, Keys};
use super::violation::{Place, Violation};
use protocol::Uuid;
use protocol::batch::{BatchView, Limits};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Names a batch: who sent it, and its number among what that producer sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BatchKey {
    /// The producer's number.
    pub producer: u32,
    /// Counts its batches.
    pub serial: u32,
}

impl fmt::Display for BatchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "batch {} of producer {}", self.serial, self.producer)
    }
}

/// A partition by the number of its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Part {
    pub(crate) topic: usize,
    pub(crate) index: i32,
}

/// What a topic's records survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// Everything.
    PowerCut,
    /// The end of the process, not of the power.
    Kill,
}

/// How the last process ended, from the best to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ended {
    Cleanly,
    Killed,
    PowerCut,
}

/// Whether a topic is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Creation was asked for, and not answered.
    Asked,
    Exists,
    /// Deletion was asked for, and not answered.
    Leaving,
    Deleted,
}

/// A batch that was sent.
#[derive(Clone, Debug)]
struct Sent {
    count: u32,
    record_bytes: u32,
    /// Order is promised among batches of one producer and session.
    session: u32,
    base: Option<i64>,
    /// Its topic promised everything when it was sent first.
    is_firm: bool,
}

/// One topic.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) id: Option<Uuid>,
    pub(crate) standing: Standing,
    pub(crate) promise: Promise,
    /// Retention may delete its records.
    pub(crate) forgets: bool,
    /// It keeps the newest record of each key; true when tombstones stay for ever.
    pub(crate) compacts: Option<bool>,
    /// It promised less at some time: only what each partition holds firmly must survive a power cut.
    pub(crate) was_weak: bool,
    pub(crate) configs: super::configs::Known,
    pub(crate) partitions: Vec<Partition>,
}

impl Topic {
    /// From now on it may promise less.
    pub(crate) fn weaken(&mut self) {
        (self.promise, self.was_weak) = (Promise::Kill, true);
        // Producers that try again do not know when the broker took it.
        self.partitions
            .iter_mut()
            .flat_map(|partition| partition.sent.values_mut())
            .for_each(|sent| sent.is_firm = false);
    }
}

/// One partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Partition {
    sent: BTreeMap<BatchKey, Sent>,
    /// By base offset: the last offset and what is there.
    placed: BTreeMap<i64, (i64, BatchKey)>,
    /// By producer and session, then by serial: the base offset.
    order: BTreeMap<(u32, u32), BTreeMap<u32, i64>>,
    /// Highest log start that was told.
    pub(crate) start: i64,
    /// Highest offset that somebody asked to delete up to.
    pub(crate) start_asked: i64,
    /// One past the highest offset that was acknowledged or read.
    pub(crate) promised: i64,
    /// One past the highest offset that was acknowledged and survives a power cut although the topic promised less once.
    firm: i64,
    /// Highest watermark that was told.
    pub(crate) high: i64,
    /// Everything below was flushed, and known to be, when a bit of it flipped: it may be refused, and nothing put in its place.
    pub(crate) kept_below: i64,
    /// The disk changed its files behind the node's back: errors are right, wrong records are not.
    pub(crate) is_damaged: bool,
    /// Of a compacted topic.
    pub(crate) keys: Keys,
}

/// Everything that is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Truth {
    pub(crate) topics: Vec<Topic>,
    pub(crate) groups: BTreeMap<String, super::groups::Group>,
    pub(crate) producer_ids: BTreeSet<i64>,
    /// Configurations of what is no topic.
    pub(crate) other_configs: BTreeMap<usize, super::configs::Known>,
    /// Offsets of groups without members.
    pub(crate) ledger: super::operator::Ledger,
    /// Batches acknowledged, batches read, and client requests answered, for the report.
    pub(crate) acknowledged: u64,
    pub(crate) read: u64,
    pub(crate) answered: u64,
}

impl Truth {
    pub(crate) fn place(&self, part: Part) -> Place {
        Place(self.topics[part.topic].name.clone(), part.index)
    }

    pub(crate) fn partition(&mut self, part: Part) -> &mut Partition {
        &mut self.topics[part.topic].partitions[part.index as usize]
    }

    pub(crate) fn look(&self, part: Part) -> &Partition {
        &self.topics[part.topic].partitions[part.index as usize]
    }

    /// Every partition of the topics that exist.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let existing = self.topics.iter().enumerate().filter(|(_, topic)| topic.standing == Standing::Exists);
        existing
            .flat_map(|(topic, known)| {
                (0..known.partitions.len()).map(move |index| Part { topic, index: index as i32 })
            })
            .collect()
    }

    /// A batch goes out for the first time.
    pub(crate) fn sends(&mut self, part: Part, key: BatchKey, session: u32, count: u32, record_bytes: u32) {
        let is_firm = self.topics[part.topic].promise == Promise::PowerCut;
        let sent = Sent { count, record_bytes, session, base: None, is_firm };
        self.partition(part).sent.insert(key, sent);
    }

    /// A batch was acknowledged at `base`.
    pub(crate) fn acknowledges(&mut self, part: Part, key: BatchKey, base: i64) -> Result<(), Violation> {
        self.acknowledged += 1;
        let place = self.place(part);
        let compacts = self.topics[part.topic].compacts.is_some();
        let promises_all = self.topics[part.topic].promise == Promise::PowerCut;
        let partition = self.partition(part);
        let sent = partition.sent.get(&key);
        let count = sent.map_or(0, |sent| sent.count);
        let last = base + i64::from(count) - 1;
        let is_firm = promises_all && sent.is_some_and(|sent| sent.is_firm);
        if base < partition.kept_below {
            return Err(Violation::Replaced { at: place, kept_below: partition.kept_below, base });
        }
        partition.put(&place, key, base, last)?;
        if compacts {
            partition.keys.placed(key, base, count);
        }
        partition.promised = partition.promised.max(last + 1);
        if is_firm {
            partition.firm = partition.firm.max(last + 1);
        }
        Ok(())
    }

    /// A batch was fetched; its last offset.
    pub(crate) fn reads(&mut self, part: Part, view: &BatchView<'_>) -> Result<i64, Violation> {
        self.read += 1;
        let place = self.place(part);
        let partition = self.partition(part);
        let (base, last) = (view.base_offset(), view.last_offset());
        let phantom = |what: String| Violation::Phantom { at: place.clone(), offset: base, what };
        let (key, count, record_bytes) = contents(view).map_err(phantom)?;
        let Some(sent) = partition.sent.get(&key) else { return Err(phantom(format!("{key} was sent elsewhere"))) };
        if (sent.count, sent.record_bytes) != (count, record_bytes) || last - base + 1 != i64::from(count) {
            let got = format!("{key} with {count} records of {record_bytes} bytes, sent {sent:?}");
            return Err(phantom(got));
        }
        partition.put(&place, key, base, last)?;
        partition.promised = partition.promised.max(last + 1);
        Ok(last)
    }

    /// A record was read by itself: number `index` of so many of a batch.
    pub(crate) fn reads_record(
        &mut self,
        part: Part,
        key: BatchKey,
        offset: i64,
        (index, count): (u32, u32),
        record_bytes: u32,
    ) -> Result<(), Violation> {
        self.read += 1;
        let place = self.place(part);
        let partition = self.partition(part);
        let phantom = |what: String| Violation::Phantom { at: place.clone(), offset, what };
        let Some(sent) = partition.sent.get(&key) else { return Err(phantom(format!("{key} was sent elsewhere"))) };
        if (sent.count, sent.record_bytes) != (count, record_bytes) || index >= count {
            return Err(phantom(format!(
                "record {index} of {count} with {record_bytes} bytes of {key}, sent {sent:?}"
            )));
        }
        let base = offset - i64::from(index);
        partition.put(&place, key, base, base + i64::from(count) - 1)?;
        partition.promised = partition.promised.max(offset + 1);
        Ok(())
    }

    /// A batch of a compacted topic was fetched by a request for `from`, or as what follows `from` there; its last offset.
    pub(crate) fn reads_compacted(
        &mut self,
        part: Part,
        from: i64,
        view: &BatchView<'_>,
        buried: usize,
    ) -> Result<i64, Violation> {
        self.read += 1;
        let place = self.place(part);
        let tombstones_stay = self.topics[part.topic].compacts == Some(true);
        let partition = self.partition(part);
        let (base, last) = (view.base_offset(), view.last_offset());
        let phantom = |what: String| Violation::Phantom { at: place.clone(), offset: base, what };
        let (records, found) = keyed::contents(view).map_err(phantom)?;
        if let Some((key, count)) = found {
            let Some(sent) = partition.sent.get(&key) else { return Err(phantom(format!("{key} was sent elsewhere"))) };
            if sent.count != count || last - base + 1 != i64::from(count) {
                return Err(phantom(format!("{key} as a batch of {base}..={last}, sent {sent:?}")));
            }
            partition.put(&place, key, base, last)?;
            partition.keys.placed(key, base, count);
        } else if let Some((offset, other)) = partition.covering(base, last) {
            return Err(phantom(format!("an empty batch {base}..={last}, and at {offset} is {other}")));
        }
        partition.promised = partition.promised.max(last + 1);
        if partition.is_damaged {
            return Ok(last);
        }
        // What is known to be in between and did not come.
        let range = from.min(base)..=last;
        let known = partition.placed.range(..=last).rev().take_while(|(_, (end, _))| *end >= *range.start());
        let known: Vec<_> = known.map(|(base, (end, key))| (*base, (end - base + 1) as u32, *key)).collect();
        partition.keys.read(&place, from, &known, &records, tombstones_stay, buried)?;
        Ok(last)
    }

    /// After everything was read: no key lacks its newest record.
    pub(crate) fn check_debts(&self, parts: &[Part]) -> Result<(), Violation> {
        for part in parts {
            let partition = self.look(*part);
            let tombstones_stay = self.topics[part.topic].compacts == Some(true);
            let is_lost = |key: u8| tombstones_stay || !partition.may_have_deleted(key);
            let lost = partition.keys.debts().find(|(key, _)| is_lost(*key));
            if let Some((key, offset)) = lost.filter(|_| !partition.is_damaged) {
                return Err(Violation::ValueLost { at: self.place(*part), key, offset });
            }
        }
        Ok(())
    }

    /// A watermark was told to somebody who asked when `known` was the highest that anybody knew.
    pub(crate) fn watermark(&mut self, part: Part, high: i64, known: i64) -> Result<(), Violation> {
        let at = self.place(part);
        let partition = self.partition(part);
        if high < known && !partition.is_damaged {
            return Err(Violation::WatermarkWentBack { at, from: known, to: high });
        }
        partition.high = partition.high.max(high);
        Ok(())
    }

    /// A log start was told to somebody who asked when `known` was the highest that anybody knew.
    pub(crate) fn log_start(&mut self, part: Part, start: i64, known: i64) -> Result<(), Violation> {
        let at = self.place(part);
        let topic = &mut self.topics[part.topic];
        let partition = &mut topic.partitions[part.index as usize];
        let allowed = if topic.forgets { i64::MAX } else { partition.start_asked };
        if (start < known || start > allowed) && !partition.is_damaged {
            return Err(Violation::Start { at, from: known, to: start, allowed });
        }
        partition.start = partition.start.max(start);
        Ok(())
    }

    /// The node came back after its end; `end` is where the partition ends now.
    pub(crate) fn came_back(&mut self, part: Part, end: i64, ended: Ended) -> Result<(), Violation> {
        let at = self.place(part);
        let was_weak = self.topics[part.topic].was_weak;
        let partition = self.partition(part);
        let may_lose = partition.is_damaged;
        let promised = match ended {
            Ended::PowerCut if was_weak => partition.firm,
            _ => partition.promised.max(partition.high),
        };
        if end < promised && !may_lose {
            return Err(Violation::Lost { at, promised, end });
        }
        partition.forget_from(end);
        if ended > Ended::Cleanly {
            // As in Kafka, the log start is written down now and then only: deleted records may come back.
            partition.start = 0;
        }
        Ok(())
    }
}

impl Partition {
    /// Notes where a batch lies; everything that was known must agree.
    fn put(&mut self, at: &Place, key: BatchKey, base: i64, last: i64) -> Result<(), Violation> {
        let Some(sent) = self.sent.get_mut(&key) else { return Ok(()) };
        if let Some(first) = sent.base.filter(|first| *first != base) {
            let (at, batch) = (at.clone(), key);
            return if self.is_damaged { Ok(()) } else { Err(Violation::Duplicate { at, batch, first, second: base }) };
        }
        sent.base = Some(base);
        let session = (key.producer, sent.session);
        if let Some((offset, first)) = self.other_in(base, last, key)
            && !self.is_damaged
        {
            return Err(Violation::Conflict { at: at.clone(), offset, first, second: key });
        }
        self.placed.insert(base, (last, key));
        let order = self.order.entry(session).or_default();
        let earlier = order.range(..key.serial).next_back().is_none_or(|(_, other)| *other < base);
        let later = order.range(key.serial + 1..).next().is_none_or(|(_, other)| *other > base);
        order.insert(key.serial, base);
        if earlier && later || self.is_damaged {
            Ok(())
        } else {
            Err(Violation::Reordered { at: at.clone(), batch: key, base })
        }
    }

    /// A tombstone of the key was sent of which nobody knows whether it was stored: it may have deleted the key and have gone
    /// itself before anybody read it.
    fn may_have_deleted(&self, key: u8) -> bool {
        let in_doubt = self.sent.iter().filter(|(_, sent)| sent.base.is_none());
        in_doubt
            .flat_map(|(batch, sent)| (0..sent.count).map(|index| record_key(*batch, index, sent.count)))
            .any(|id| keyed::keyed(&id) == (key, true))
    }

    /// Another batch that overlaps `base..=last`.
    fn other_in(&self, base: i64, last: i64, key: BatchKey) -> Option<(i64, BatchKey)> {
        let (offset, (_, other)) = self.placed.range(..=last).next_back().filter(|(_, (end, _))| *end >= base)?;
        (*other != key || *offset != base).then_some((*offset, *other))
    }

    /// A batch that is known to lie across the borders of `base..=last`, or another one within them.
    fn covering(&self, base: i64, last: i64) -> Option<(i64, BatchKey)> {
        let (offset, (end, key)) = self.placed.range(..=last).next_back()?;
        let same = *offset == base && *end == last;
        (*end >= base && !same).then_some((*offset, *key))
    }

    /// Forgets what lies at `end` and behind it: it is lost, and was allowed to be.
    fn forget_from(&mut self, end: i64) {
        let from =
            self.placed.range(..end).next_back().filter(|(_, (last, _))| *last >= end).map_or(end, |(base, _)| *base);
        for (_, (_, key)) in self.placed.split_off(&from) {
            if let Some(sent) = self.sent.get_mut(&key) {
                sent.base = None;
            }
        }
        for order in self.order.values_mut() {
            order.retain(|_, base| *base < from);
        }
        let left = self.placed.iter().map(|(base, (last, key))| (*base, (last - base + 1) as u32, *key));
        self.keys.settle(left);
        (self.promised, self.high) = (self.promised.min(end), self.high.min(end));
        self.firm = self.firm.min(end);
        (self.start, self.start_asked) = (self.start.min(end), self.start_asked.min(end));
    }
}

/// The key of a record: who sent it, which batch, which record of how many.
pub(crate) fn record_key(key: BatchKey, index: u32, count: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (at, part) in [key.producer, key.serial, index, count].into_iter().enumerate() {
        bytes[at * 4..at * 4 + 4].copy_from_slice(&part.to_be_bytes());
    }
    bytes
}

/// The value that belongs to a record's key: every byte follows from it.
pub(crate) fn record_value(key: &[u8; 16], len: usize) -> Vec<u8> {
    let mut value = vec![0; len];
    for (at, block) in value.chunks_mut(16).enumerate() {
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte = key ^ at as u8);
    }
    value
}

pub(crate) fn is_record_value(key: &[u8; 16], value: &[u8]) -> bool {
    let is_block = |(at, block): (usize, &[u8])| block.iter().zip(key).all(|(byte, key)| *byte == key ^ at as u8);
    value.chunks(16).enumerate().all(is_block)
}

/// What a batch says of itself, once all of it is right.
fn contents(view: &BatchView<'_>) -> Result<(BatchKey, u32, u32), String> {
    view.check_crc().map_err(|error| error.to_string())?;
    let records = view.records(&Limits::default()).map_err(|error| error.to_string())?;
    let (mut batch, mut seen, mut bytes) = (None, 0, 0);
    for record in records.iter() {
        let record = record.map_err(|error| error.to_string())?;
        let key: [u8; 16] = record.key.and_then(|key| key.try_into().ok()).ok_or("a record without one of our keys")?;
        let word = |at: usize| u32::from_be_bytes([key[at], key[at + 1], key[at + 2], key[at + 3]]);
        let (of, count) = (BatchKey { producer: word(0), serial: word(4) }, word(12));
        let value = record.value.ok_or("a record without a value")?;
        if !is_record_value(&key, value) || word(8) != seen || batch.is_some_and(|known| known != (of, count)) {
            return Err(format!("record {seen} is not what {of} holds"));
        }
        (batch, seen, bytes) = (Some((of, count)), seen + 1, value.len() as u32);
    }
    match batch {
        Some((key, count)) if count == seen => Ok((key, count, bytes)),
        _ => Err(format!("{seen} records of a batch that had more")),
    }
}

//! Holds what one partition gives back against what its clients know. Pure: no connection, no clock.

use crate::history::{Acked, PlaceHistory};
use crate::places::Place;
use crate::record::Identity;
use std::collections::BTreeMap;

/// A partition, read from its first offset to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The log's first offset.
    pub start: i64,
    /// The offset behind its last record.
    pub end: i64,
    /// Every record in the order that it came in: its offset, and who it is if anybody.
    pub records: Vec<(i64, Option<Identity>)>,
    /// Every batch: base offset, the offset behind it, checksum.
    pub batches: Vec<(i64, i64, u32)>,
    /// Bytes of all batches.
    pub bytes: u64,
}

/// What must not be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Acknowledged, and not there.
    #[error("{place}: {missing} of the acknowledged records {acked:?} are lost; the log has {start}..{end}")]
    Lost {
        /// The partition.
        place: String,
        /// The batch.
        acked: Acked,
        /// How many of its records.
        missing: u32,
        /// The log's first offset.
        start: i64,
        /// The log's end.
        end: i64,
    },
    /// There, but not where the acknowledgement said.
    #[error("{place}: the acknowledged batch {acked:?} lies elsewhere, at {at}")]
    Moved {
        /// The partition.
        place: String,
        /// The batch.
        acked: Acked,
        /// Where its first record is.
        at: i64,
    },
    /// The log is shorter than a consumer or a commit has seen it.
    #[error("{place}: {what} reached {reached}, but the log or the commit is back at {now}")]
    Regressed {
        /// The partition.
        place: String,
        /// Who had seen it.
        what: &'static str,
        /// How far.
        reached: i64,
        /// Where it is now.
        now: i64,
    },
    /// A consumer saw another batch at this offset.
    #[error("{place}: the batch at {base} is not the one that a consumer saw there")]
    Changed {
        /// The partition.
        place: String,
        /// The batch's base offset.
        base: i64,
    },
    /// Twice in the log.
    #[error("{place}: {identity:?} is there twice, the second time at {at}")]
    Duplicated {
        /// The partition.
        place: String,
        /// The record.
        identity: Identity,
        /// Its second offset.
        at: i64,
    },
    /// Behind a record that was sent after it, or without one that was sent before it.
    #[error("{place}: {identity:?} at {at} follows sequence {before:?} of the same producer")]
    Reordered {
        /// The partition.
        place: String,
        /// The record.
        identity: Identity,
        /// Its offset.
        at: i64,
        /// The sequence that came before it in the log.
        before: Option<u64>,
    },
    /// Nobody sent these bytes to this partition.
    #[error("{place}: nobody sent the record at {at} ({identity:?})")]
    Phantom {
        /// The partition.
        place: String,
        /// Its offset.
        at: i64,
        /// Who it claims to be, if its bytes are right.
        identity: Option<Identity>,
    },
    /// Offsets that do not follow each other.
    #[error("{place}: offset {got} where {expected} should be")]
    Hole {
        /// The partition.
        place: String,
        /// The offset that came.
        got: i64,
        /// The one that was due.
        expected: i64,
    },
    /// Retention took what it must leave.
    #[error("{place}: starts at {start} with {bytes} bytes left, fewer than retention leaves")]
    Deleted {
        /// The partition.
        place: String,
        /// The log's first offset.
        start: i64,
        /// What is left.
        bytes: u64,
    },
    /// A producer's next batch in order was refused as if it were not.
    #[error("{place}: error {code} for the next sequence {sequence} of producer {producer}")]
    Refused {
        /// The partition.
        place: String,
        /// Kafka's error code.
        code: i16,
        /// The producer.
        producer: u32,
        /// Its sequence.
        sequence: u64,
    },
    /// A producer id was handed out a second time.
    #[error("producer id {producer_id} was handed out twice")]
    IdTwice {
        /// The id.
        producer_id: i64,
    },
    /// A topic is not what its last acknowledgement says.
    #[error("topic {name}: {what}")]
    Topic {
        /// Its name.
        name: String,
        /// What is wrong.
        what: &'static str,
    },
    /// The node does not start, ends by itself, or does not answer.
    #[error("the node: {0}")]
    Node(String),
}

/// What the summary counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Something acknowledged, committed or seen is gone.
    Lost,
    /// Something is there twice.
    Duplicated,
    /// Something is in the wrong place.
    Reordered,
    /// Something that nobody sent.
    Phantom,
    /// Everything else.
    Other,
}

impl Violation {
    /// What it counts as, and how many records.
    pub fn class(&self) -> (Class, u64) {
        match self {
            Violation::Lost { missing, .. } => (Class::Lost, u64::from(*missing)),
            Violation::Regressed { .. } | Violation::Changed { .. } | Violation::Deleted { .. } => (Class::Lost, 1),
            Violation::Duplicated { .. } => (Class::Duplicated, 1),
            Violation::Moved { .. } | Violation::Reordered { .. } | Violation::Hole { .. } => (Class::Reordered, 1),
            Violation::Phantom { .. } => (Class::Phantom, 1),
            Violation::Refused { .. } | Violation::IdTwice { .. } | Violation::Topic { .. } | Violation::Node(_) => {
                (Class::Other, 1)
            }
        }
    }
}

/// Everything that is wrong with one partition. `number` is the place's, `is_idempotent` says it of a producer.
pub fn check(
    number: usize,
    place: &Place,
    history: &PlaceHistory,
    found: &Found,
    is_idempotent: impl Fn(u32) -> bool,
) -> Vec<Violation> {
    let name = format!("{}-{}", place.topic, place.partition);
    let mut check = Check { name, number, place, history, found, violations: Vec::new() };
    check.offsets();
    check.identities();
    check.order(is_idempotent);
    check.acknowledged();
    check.seen();
    check.retention();
    check.violations
}

/// Records that a node without power acknowledged to nobody, and that are not there: no violation, but good to know of.
pub fn late_and_gone(number: usize, place: &Place, history: &PlaceHistory, found: &Found) -> u64 {
    let late = PlaceHistory { acked: history.late.clone(), ..PlaceHistory::default() };
    let mut check = Check { name: String::new(), number, place, history: &late, found, violations: Vec::new() };
    check.acknowledged();
    let missing =
        check.violations.iter().map(|wrong| if let Violation::Lost { missing, .. } = wrong { *missing } else { 0 });
    missing.map(u64::from).sum()
}

struct Check<'a> {
    name: String,
    number: usize,
    place: &'a Place,
    history: &'a PlaceHistory,
    found: &'a Found,
    violations: Vec<Violation>,
}

impl Check<'_> {
    fn offsets(&mut self) {
        let mut expected = self.found.start;
        for &(got, _) in &self.found.records {
            if got != expected {
                self.violations.push(Violation::Hole { place: self.name.clone(), got, expected });
            }
            expected = got + 1;
        }
        if expected != self.found.end {
            self.violations.push(Violation::Hole { place: self.name.clone(), got: self.found.end, expected });
        }
    }

    fn identities(&mut self) {
        for &(at, identity) in &self.found.records {
            let was_sent = |identity: Identity| {
                identity.place as usize == self.number
                    && self.history.sent.get(&identity.producer).is_some_and(|&next| identity.sequence < next)
            };
            if !identity.is_some_and(was_sent) {
                self.violations.push(Violation::Phantom { place: self.name.clone(), at, identity });
            }
        }
    }

    /// Each producer's sequences rise; an idempotent one's rise by one, from 0 unless retention took the beginning.
    fn order(&mut self, is_idempotent: impl Fn(u32) -> bool) {
        let mut last: BTreeMap<u32, u64> = BTreeMap::new();
        let mut wrong = Vec::new();
        for &(at, identity) in &self.found.records {
            let Some(identity) = identity else { continue };
            let before = last.insert(identity.producer, identity.sequence);
            let has_gap = match before {
                Some(before) => identity.sequence != before + 1,
                None => identity.sequence != 0 && self.found.start == 0,
            };
            let goes_back = before.is_some_and(|before| identity.sequence <= before);
            if goes_back || (has_gap && is_idempotent(identity.producer)) {
                wrong.push((at, identity, before));
            }
        }
        for (at, identity, before) in wrong {
            let first = self.position_of(identity);
            let place = self.name.clone();
            self.violations.push(match first {
                Some(first) if first < at => Violation::Duplicated { place, identity, at },
                _ => Violation::Reordered { place, identity, at, before },
            });
        }
    }

    fn acknowledged(&mut self) {
        for acked in &self.history.acked {
            match acked.offset {
                Some(offset) if offset >= self.found.start => self.acknowledged_at(acked, offset),
                // Retention may have taken it, which is no fault's doing.
                _ if self.place.retained_bytes.is_some() => {}
                _ => self.acknowledged_somewhere(acked),
            }
        }
    }

    fn acknowledged_at(&mut self, acked: &Acked, offset: i64) {
        let here =
            (0..acked.count).filter(|&n| self.at(offset + i64::from(n)) == Some(self.identity(acked, n))).count();
        if here < acked.count as usize {
            self.acknowledged_somewhere(acked);
        }
    }

    /// Lost, or only in another place than was said.
    fn acknowledged_somewhere(&mut self, acked: &Acked) {
        let found: Vec<i64> = (0..acked.count).filter_map(|n| self.position_of(self.identity(acked, n))).collect();
        let missing = acked.count - found.len() as u32;
        let (place, acked) = (self.name.clone(), *acked);
        if missing > 0 {
            let Found { start, end, .. } = *self.found;
            self.violations.push(Violation::Lost { place, acked, missing, start, end });
        } else if acked.offset.is_some() {
            self.violations.push(Violation::Moved { place, acked, at: found[0] });
        }
    }

    fn seen(&mut self) {
        let PlaceHistory { seen, seen_end, .. } = self.history;
        if *seen_end > self.found.end {
            let (reached, now) = (*seen_end, self.found.end);
            self.violations.push(Violation::Regressed { place: self.name.clone(), what: "a consumer", reached, now });
        }
        let there: BTreeMap<i64, (i64, u32)> =
            self.found.batches.iter().map(|&(base, next, crc)| (base, (next, crc))).collect();
        for (&base, seen) in seen.range(self.found.start..self.found.end.max(self.found.start)) {
            if there.get(&base) != Some(&(seen.next, seen.crc)) {
                self.violations.push(Violation::Changed { place: self.name.clone(), base });
            }
        }
    }

    fn retention(&mut self) {
        // What was counted when a segment was taken may since have lost a torn, unacknowledged tail.
        let left_min = self.place.retained_bytes.map(|bytes| bytes.saturating_sub(TORN_BYTES_MAX));
        let Found { start, bytes, .. } = *self.found;
        if start > 0 && left_min.is_none_or(|min| bytes < min) {
            self.violations.push(Violation::Deleted { place: self.name.clone(), start, bytes });
        }
    }

    fn identity(&self, acked: &Acked, n: u32) -> Identity {
        Identity { producer: acked.producer, place: self.number as u32, sequence: acked.first + u64::from(n) }
    }

    fn at(&self, offset: i64) -> Option<Identity> {
        let at = self.found.records.binary_search_by_key(&offset, |&(offset, _)| offset).ok()?;
        self.found.records[at].1
    }

    fn position_of(&self, identity: Identity) -> Option<i64> {
        self.found.records.iter().find(|(_, found)| *found == Some(identity)).map(|&(at, _)| at)
    }
}

/// Most that the clients have unacknowledged in one partition.
const TORN_BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Seen;

    const PLACE: Place = Place { topic: "t", partition: 0, retained_bytes: None };

    fn identity(producer: u32, sequence: u64) -> Identity {
        Identity { producer, place: 0, sequence }
    }

    /// Producer 0 is idempotent, 1 is plain; both sent ten records, 0.0-2 and 1.0 were acknowledged, one batch was seen.
    fn history() -> PlaceHistory {
        PlaceHistory {
            sent: BTreeMap::from([(0, 10), (1, 10)]),
            acked: vec![
                Acked { offset: Some(0), producer: 0, first: 0, count: 3 },
                Acked { offset: Some(3), producer: 1, first: 0, count: 1 },
            ],
            seen: BTreeMap::from([(0, Seen { next: 3, crc: 77 })]),
            seen_end: 3,
            ..PlaceHistory::default()
        }
    }

    /// A log of one record an entry.
    fn found(records: &[(u32, u64)]) -> Found {
        let records: Vec<_> =
            (0..).zip(records).map(|(at, &(producer, n))| (at, Some(identity(producer, n)))).collect();
        Found { end: records.len() as i64, records, batches: vec![(0, 3, 77)], ..Found::default() }
    }

    fn classes(place: &Place, found: &Found) -> Vec<Class> {
        check(0, place, &history(), found, |producer| producer == 0).iter().map(|wrong| wrong.class().0).collect()
    }

    const WHOLE: &[(u32, u64)] = &[(0, 0), (0, 1), (0, 2), (1, 0)];

    #[test]
    fn what_was_acknowledged_and_more_is_right() {
        assert_eq!(classes(&PLACE, &found(WHOLE)), []);
        let more = [WHOLE, &[(0, 3), (1, 7)]].concat();
        assert_eq!(classes(&PLACE, &found(&more)), [], "what was sent may be there, a plain producer's with gaps");
    }

    #[test]
    fn each_wrong_log_is_told() {
        let with = |tail: &[(u32, u64)]| found(&[WHOLE, tail].concat());
        assert_eq!(classes(&PLACE, &found(&WHOLE[..3])), [Class::Lost], "an acknowledged tail");
        assert_eq!(classes(&PLACE, &with(&[(0, 3), (0, 3)])), [Class::Duplicated]);
        assert_eq!(classes(&PLACE, &with(&[(1, 5), (1, 4)])), [Class::Reordered]);
        assert_eq!(classes(&PLACE, &with(&[(0, 4)])), [Class::Reordered], "an idempotent producer leaves no gap");
        assert_eq!(classes(&PLACE, &with(&[(1, 10)])), [Class::Phantom], "not sent yet");
        assert_eq!(classes(&PLACE, &with(&[(2, 0)])), [Class::Phantom], "no such producer");
        assert_eq!(classes(&PLACE, &found(&[(1, 0), (0, 0), (0, 1), (0, 2)])), [Class::Reordered; 2], "moved");
    }

    #[test]
    fn bytes_offsets_and_sight_are_held_too() {
        let mut bad = found(WHOLE);
        bad.records[2].1 = None;
        assert_eq!(classes(&PLACE, &bad), [Class::Phantom, Class::Lost]);
        let mut bad = found(WHOLE);
        bad.records[3].0 = 4;
        assert!(classes(&PLACE, &bad).contains(&Class::Reordered), "a hole in the offsets");
        let mut bad = found(WHOLE);
        bad.batches[0].2 = 78;
        assert_eq!(classes(&PLACE, &bad), [Class::Lost], "not the bytes that a consumer saw");
        let mut history = history();
        history.seen_end = 5;
        let violations = check(0, &PLACE, &history, &found(WHOLE), |_| false);
        assert!(matches!(violations[..], [Violation::Regressed { reached: 5, now: 4, .. }]));
    }

    #[test]
    fn only_retention_takes_the_beginning_and_only_so_much() {
        let mut cut = found(WHOLE);
        (cut.start, cut.bytes) = (3, 1000);
        cut.records.drain(..3);
        assert_eq!(classes(&PLACE, &cut), [Class::Lost, Class::Lost], "the records and the start");
        assert_eq!(classes(&Place { retained_bytes: Some(1000), ..PLACE }, &cut), []);
        assert_eq!(classes(&Place { retained_bytes: Some(TORN_BYTES_MAX + 1001), ..PLACE }, &cut), [Class::Lost]);
    }
}

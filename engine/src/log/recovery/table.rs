//! What recovery does about what it sees: one table, tested over every input. The scan observes, this decides, and
//! `recovery` carries it out.
//!
//! | the valid part of a segment is followed by | last segment | earlier segment |
//! |---|---|---|
//! | its end of file, and joins the next segment | keep | keep |
//! | zeros, a torn or stale batch, and joins the next | – | cut: its seal was interrupted |
//! | zeros, a torn or stale batch, at or above the floor | cut: a torn tail | cut, drop what follows: none of it was promised |
//! | zeros, a torn or stale batch, below the floor | read-only: rot | read-only: rot |
//! | a hole before the next segment, at or above the floor | – | drop what follows |
//! | a hole before the next segment, below the floor | – | foreign: keep (compaction); ours: read-only |
//! | what would be cut, behind rot that was passed over | keep | keep; later segments, too: read-only |
//! | batches of an old format | read-only | keep: reads of it fail with the reason |
//!
//! What compaction left half done is settled before that, so that these rows see segments only:
//!
//! | file | is | does |
//! |---|---|---|
//! | `.log.cleaned` | anything | cut (removed): nothing has relied on it |
//! | `.log.swap` | whole, to its last byte | keep: it takes the place of every segment in its range |
//! | `.log.swap` | at or behind a `.log.cleaned`, as only an unfinished split of Kafka's leaves it | cut (removed): the segments are all there |
//! | `.log.swap` | anything else | read-only: it was flushed before it had that name, so this is rot |

use super::RecoverHints;
use crate::log::scan::{Scanned, Stop};

/// What recovery knows when a segment's walk has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::log) struct Observed {
    pub(super) end: End,
    pub(super) place: Place,
    /// The first offset behind the valid part is promised to be durable, or nothing but rot can be there.
    pub(super) below_floor: bool,
    /// Ringlog wrote every byte of the log, so it has no gaps that compaction left.
    pub(super) ours: bool,
    /// A bad batch below the floor was passed over. Its own length said where to go on, so where the valid part ends is not known.
    pub(super) is_damaged: bool,
}

impl Observed {
    /// What a walk says, with the base offset of the segment behind it, where there is one, and what was promised.
    pub(in crate::log) fn of(scanned: &Scanned, next: Option<i64>, hints: &RecoverHints, ours: bool) -> Observed {
        let end = scanned.index.end_offset;
        Observed {
            end: match end_of(&scanned.stop) {
                // What looks like an old format in a log of ours is a torn or old block.
                End::OldFormat if ours => End::Torn,
                end => end,
            },
            place: match next {
                None => Place::Last,
                Some(next) if next == end => Place::Joins,
                Some(next) if next > end => Place::Hole,
                Some(_) => Place::Overlaps,
            },
            below_floor: hints.durable_floor.is_some_and(|floor| end < floor)
                || (hints.closed_by_kafka && scanned.stop != Stop::EndOfFile),
            ours,
            is_damaged: !scanned.damage.is_empty(),
        }
    }
}

/// What follows the valid part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The end of the file.
    Whole,
    /// Zeros, a torn batch, or one that belonged to what was in the file before.
    Torn,
    OldFormat,
}

/// Where the segment stands among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Last,
    /// The next segment begins exactly where this one ends.
    Joins,
    /// Offsets are missing before the next segment.
    Hole,
    /// The next segment begins before this one ends.
    Overlaps,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Keep,
    /// Cut the file to its valid part.
    Cut,
    /// Cut the file and remove every later segment.
    CutAndDropLater,
    /// Touch nothing, serve what is readable, accept no appends.
    ReadOnly,
    /// A small file that cannot be believed is derived again from others; the table never says this of a segment.
    Rebuild,
}

fn end_of(stop: &Stop) -> End {
    match stop {
        Stop::EndOfFile | Stop::Limit => End::Whole,
        Stop::OldFormat { .. } => End::OldFormat,
        Stop::Zeros | Stop::Short | Stop::BadHeader(_) | Stop::BadCrc | Stop::WrongOffset { .. } => End::Torn,
    }
}

pub(in crate::log) fn decide(seen: Observed) -> Action {
    match decide_by_place(seen) {
        Action::Cut if seen.is_damaged => Action::Keep,
        Action::CutAndDropLater if seen.is_damaged => Action::ReadOnly,
        action => action,
    }
}

fn decide_by_place(mut seen: Observed) -> Action {
    seen.below_floor &= !marks::planted!("engine: cut rot like a torn tail");
    match (seen.end, seen.place) {
        (End::OldFormat, Place::Last) => Action::ReadOnly,
        (End::OldFormat, _) => Action::Keep,
        (_, Place::Overlaps) => Action::ReadOnly,
        (End::Whole, Place::Joins) => Action::Keep,
        (End::Torn, Place::Joins) => Action::Cut,
        (End::Whole, Place::Last) if seen.below_floor => Action::ReadOnly,
        (End::Whole, Place::Last) => Action::Keep,
        (End::Torn, Place::Last) if seen.below_floor => Action::ReadOnly,
        (End::Torn, Place::Last) => Action::Cut,
        (End::Whole, Place::Hole) if !seen.ours => Action::Keep,
        (_, Place::Hole) if seen.below_floor || !seen.ours => Action::ReadOnly,
        (_, Place::Hole) => Action::CutAndDropLater,
    }
}

/// What is seen of a `.log.swap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SwapSeen {
    /// Good batches up to its end.
    pub(super) is_whole: bool,
    /// A `.log.cleaned` lies at its base offset or below.
    pub(super) is_of_unfinished_split: bool,
}

/// Keep means that it takes its place, cut that it goes.
pub(super) fn decide_swap(seen: SwapSeen) -> Action {
    match (seen.is_of_unfinished_split, seen.is_whole) {
        (true, _) => Action::Cut,
        (false, true) => Action::Keep,
        (false, false) => Action::ReadOnly,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_a_swap() {
        let decided = |is_whole, is_of_unfinished_split| decide_swap(SwapSeen { is_whole, is_of_unfinished_split });
        assert_eq!(
            [decided(true, false), decided(false, false), decided(true, true), decided(false, true)],
            [Action::Keep, Action::ReadOnly, Action::Cut, Action::Cut]
        );
    }

    /// Every input, in the order end, place, below_floor, ours. K keep, C cut, D cut and drop, R read-only.
    #[test]
    fn every_row() {
        let ends = [(End::Whole, "eof"), (End::Torn, "torn"), (End::OldFormat, "old")];
        let places = [Place::Last, Place::Joins, Place::Hole, Place::Overlaps];
        // A line an end; groups are places; in a group: above/foreign, above/ours, below/foreign, below/ours.
        let expected = ["KKRR KKKK KDKR RRRR", "CCRR CCCC RDRR RRRR", "RRRR KKKK KKKK KKKK"];
        for ((end, name), expected) in ends.into_iter().zip(expected) {
            let mut got = Vec::new();
            for place in places {
                let group =
                    [(false, false), (false, true), (true, false), (true, true)].map(
                        |(below_floor, ours)| match decide(Observed {
                            end,
                            place,
                            below_floor,
                            ours,
                            is_damaged: false,
                        }) {
                            Action::Keep => 'K',
                            Action::Cut => 'C',
                            Action::CutAndDropLater => 'D',
                            Action::ReadOnly => 'R',
                            Action::Rebuild => '?',
                        },
                    );
                got.push(String::from_iter(group));
            }
            assert_eq!(got.join(" "), expected, "{name}");
        }
    }

    #[test]
    fn nothing_promised_is_ever_cut() {
        for end in [End::Whole, End::Torn, End::OldFormat] {
            for place in [Place::Last, Place::Hole, Place::Overlaps] {
                let action = decide(Observed { end, place, below_floor: true, ours: true, is_damaged: false });
                assert!(matches!(action, Action::ReadOnly | Action::Keep), "{end:?} {place:?} {action:?}");
            }
            for place in [Place::Last, Place::Joins, Place::Hole, Place::Overlaps] {
                let action = decide(Observed { end, place, below_floor: false, ours: true, is_damaged: true });
                assert!(matches!(action, Action::ReadOnly | Action::Keep), "{end:?} {place:?} {action:?}");
            }
        }
    }
}

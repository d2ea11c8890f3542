//! The five rules over a window, in Burrow's order: stopped, rewound, once caught up, stalled, falling behind.
//!
//! A deviation: Burrow's clock has seconds, ours milliseconds, so that a verdict does not jump at a second's end.

use super::window::{Commit, Partition};
use std::fmt;

/// How a partition or a group is doing; the numbers are Burrow's, and a higher one is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// Nothing is wrong.
    Ok = 1,
    /// It reads, but falls behind.
    Warn = 2,
    /// Of a group only: one of its partitions is worse than WARN.
    Err = 3,
    /// Nothing was committed for longer than the whole window spans.
    Stop = 4,
    /// It commits the same offset again and again while records wait.
    Stall = 5,
    /// It went back, and has not reached again what it had read.
    Rewind = 6,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Status::Ok => "OK",
            Status::Warn => "WARN",
            Status::Err => "ERR",
            Status::Stop => "STOP",
            Status::Stall => "STALL",
            Status::Rewind => "REWIND",
        })
    }
}

/// The rule that decided, with the numbers that made it decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// There is no commit to judge.
    NoCommits,
    /// Too few commits for the share that was asked for.
    TooFewCommits { have: usize, slots: usize },
    /// Nothing is left to read, or no more than is allowed.
    CaughtUp { lag: u64 },
    /// Rule 3.
    Stopped { silent_ms: i64, span_ms: i64, lag: u64 },
    /// Rule 2.
    Rewound { from: i64, to: i64, ago_ms: i64, lag: u64 },
    /// Rule 1.
    WasCaughtUp { ago_ms: i64, lag: u64 },
    /// Rule 4; `arrived` records came during it, where that is known.
    Stalled { offset: i64, commits: usize, span_ms: i64, arrived: Option<u64>, lag: u64 },
    /// Rule 5.
    FallingBehind { first_lag: Option<u64>, last_lag: Option<u64>, span_ms: i64, read: i64, lag: u64 },
    /// No rule found anything.
    Progress { read: i64, span_ms: i64, lag: u64 },
}

/// What the rules say of a partition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    /// The word.
    pub(crate) status: Status,
    /// The rule behind it.
    pub(crate) reason: Reason,
    /// The share of the window's slots that were filled.
    pub(crate) complete: f32,
}

/// What to let pass.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Tolerance {
    /// A lag up to this is none.
    pub(crate) allowed_lag: u64,
    /// A window that is filled less than this is not judged.
    pub(crate) minimum_complete: f32,
}

/// Judges one partition at `now_ms`.
#[must_use]
pub(crate) fn judge(partition: &Partition, now_ms: i64, tolerance: Tolerance) -> Verdict {
    let commits = partition.window.commits();
    let complete = partition.window.complete();
    let (status, reason) = if commits.is_empty() {
        (Status::Ok, Reason::NoCommits)
    } else if complete < tolerance.minimum_complete {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "slots"
        )]
        let slots = (commits.len() as f32 / complete).round() as usize;
        (Status::Ok, Reason::TooFewCommits { have: commits.len(), slots })
    } else {
        decide(commits, &partition.broker_offsets, partition.current_lag, now_ms, tolerance.allowed_lag)
    };
    Verdict { status, reason, complete }
}

/// The rules over a window that is not empty.
fn decide(commits: &[Commit], broker_offsets: &[i64], lag: u64, now_ms: i64, allowed: u64) -> (Status, Reason) {
    let (first, last) = (commits[0], commits[commits.len() - 1]);
    let span_ms = last.timestamp_ms - first.timestamp_ms;
    if lag <= allowed {
        return (Status::Ok, Reason::CaughtUp { lag });
    }
    if is_stopped(commits, now_ms) && !was_lag_zero_lately(commits, broker_offsets) {
        return (Status::Stop, Reason::Stopped { silent_ms: now_ms - last.timestamp_ms, span_ms, lag });
    }
    if let Some(at) = rewind(commits)
        && !is_recovered(commits, at)
    {
        let (from, to) = (commits[at - 1].offset, commits[at].offset);
        return (Status::Rewind, Reason::Rewound { from, to, ago_ms: now_ms - commits[at].timestamp_ms, lag });
    }
    if let Some(commit) = commits.iter().rev().find(|commit| is_caught_up(commit, allowed)) {
        return (Status::Ok, Reason::WasCaughtUp { ago_ms: now_ms - commit.timestamp_ms, lag });
    }
    if is_stalled(commits) {
        let arrived = first.lag.map(|before| lag.saturating_sub(before));
        let reason = Reason::Stalled { offset: last.offset, commits: commits.len(), span_ms, arrived, lag };
        return (Status::Stall, reason);
    }
    let read = last.offset - first.offset;
    if never_falls(commits) {
        let mut lags = commits.iter().filter_map(|commit| commit.lag);
        let first_lag = lags.next();
        let last_lag = lags.next_back().or(first_lag);
        return (Status::Warn, Reason::FallingBehind { first_lag, last_lag, span_ms, read, lag });
    }
    (Status::Ok, Reason::Progress { read, span_ms, lag })
}

/// Rule 1, one commit of it: nothing but what is allowed was left to read then.
fn is_caught_up(commit: &Commit, allowed: u64) -> bool {
    commit.lag.is_some_and(|lag| lag <= allowed)
}

/// Rule 2: the first commit whose offset is lower than the one before.
fn rewind(commits: &[Commit]) -> Option<usize> {
    commits.windows(2).position(|pair| pair[1].offset < pair[0].offset).map(|before| before + 1)
}

/// Rule 2, second part: what was read before the rewind at `at` has been read again.
fn is_recovered(commits: &[Commit], at: usize) -> bool {
    commits[at..].iter().any(|commit| commit.offset >= commits[at - 1].offset)
}

/// Rule 3: silent for longer than the whole window spans.
fn is_stopped(commits: &[Commit], now_ms: i64) -> bool {
    let (first, last) = (commits[0].timestamp_ms, commits[commits.len() - 1].timestamp_ms);
    now_ms - last > last - first
}

/// The exception to rule 3: within the last intervals the log ended where the group stands.
fn was_lag_zero_lately(commits: &[Commit], broker_offsets: &[i64]) -> bool {
    broker_offsets.iter().any(|&end| end <= commits[commits.len() - 1].offset)
}

/// Rule 4: one offset all along. A single commit counts.
fn is_stalled(commits: &[Commit]) -> bool {
    commits.windows(2).all(|pair| pair[0].offset == pair[1].offset)
}

/// Rule 5: from one known lag to the next it never became less.
fn never_falls(commits: &[Commit]) -> bool {
    let lags: Vec<_> = commits.iter().filter_map(|commit| commit.lag).collect();
    lags.windows(2).all(|pair| pair[1] >= pair[0])
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::NoCommits => write!(f, "nothing was committed yet"),
            Reason::TooFewCommits { have, slots } => write!(f, "only {have} of {slots} commits are known"),
            Reason::CaughtUp { lag: 0 } => write!(f, "everything is read"),
            Reason::CaughtUp { lag } => write!(f, "{} left to read, which is allowed", Records(*lag)),
            Reason::Stopped { silent_ms, span_ms, lag } => write!(
                f,
                "no commit for {}, longer than the {} that the window spans, while {}",
                Time(*silent_ms),
                Time(*span_ms),
                Waiting(*lag)
            ),
            Reason::Rewound { from, to, ago_ms, lag } => write!(
                f,
                "the committed offset went back from {from} to {to} {} ago and has not reached {from} again; {}",
                Time(*ago_ms),
                Waiting(*lag)
            ),
            Reason::WasCaughtUp { ago_ms, lag } => {
                write!(f, "everything was read {} ago; {} came since", Time(*ago_ms), Records(*lag))
            }
            Reason::Stalled { offset, commits: 1, lag, .. } => {
                write!(f, "the only commit known is of offset {offset}, while {}", Waiting(*lag))
            }
            Reason::Stalled { offset, commits, span_ms, arrived, lag } => {
                write!(f, "offset {offset} was committed {commits} times over {} and did not move", Time(*span_ms))?;
                match arrived {
                    Some(arrived) if *arrived > 0 => write!(f, " while {} arrived", Records(*arrived))?,
                    _ => {}
                }
                write!(f, "; {}", Waiting(*lag))
            }
            Reason::FallingBehind { first_lag, last_lag, span_ms, read, lag } => {
                write!(f, "{} read in {}, but the lag never fell", Records(read.unsigned_abs()), Time(*span_ms))?;
                if let (Some(first), Some(last)) = (first_lag, last_lag) {
                    write!(f, " (from {first} to {last})")?;
                }
                write!(f, "; {}", Waiting(*lag))
            }
            Reason::Progress { read, span_ms, lag } => {
                write!(f, "{} read in {}, {}", Records(read.unsigned_abs()), Time(*span_ms), Waiting(*lag))
            }
        }
    }
}

/// A count of records in words.
struct Records(u64);

impl fmt::Display for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 1 { write!(f, "1 record") } else { write!(f, "{} records", self.0) }
    }
}

/// Records that are not read yet.
struct Waiting(u64);

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} wait{}", Records(self.0), if self.0 == 1 { "s" } else { "" })
    }
}

/// A time in the unit a person would use.
struct Time(i64);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[expect(clippy::cast_precision_loss, reason = "two digits of it are shown")]
        let seconds = self.0 as f64 / 1000.0;
        match self.0 {
            i64::MIN..1_000 => write!(f, "{} ms", self.0),
            1_000..10_000 => write!(f, "{seconds:.1} s"),
            10_000..120_000 => write!(f, "{seconds:.0} s"),
            120_000..7_200_000 => write!(f, "{:.0} min", seconds / 60.0),
            7_200_000..172_800_000 => write!(f, "{:.1} h", seconds / 3600.0),
            _ => write!(f, "{:.1} days", seconds / 86_400.0),
        }
    }
}

#[cfg(test)]
#[path = "vectors.rs"]
mod vectors;

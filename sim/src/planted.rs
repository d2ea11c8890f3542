//! The simulator's own examination: bugs of one line that sit in the code behind `--cfg planted`, and whether runs notice.
//!
//! Without it a campaign that finds nothing says nothing. Each bug gets seeds until one of them finds it.

use crate::campaign::{Found, Level, caught};
use std::time::{Duration, Instant};

/// Every bug that is planted. A test holds the list against the sources.
pub const PLANTED: &[&str] = &[
    "engine: acknowledge before the write",
    "engine: skip the data sync",
    "engine: rename before the sync",
    "engine: skip the folder sync",
    "engine: trust a torn batch",
    "engine: trust a stale recycled block",
    "engine: look behind the indexed batch",
    "engine: pass over a batch that does not fit",
    "engine: cut rot like a torn tail",
    "engine: take a failed write for a write",
    "engine: take a failed flush for a flush",
    "engine: the checkpoint promises the log's end",
    "engine: write the journal over what is needed",
    "engine: take a block of the journal for durable before those in front of it",
    "engine: forget what made the journal void",
    "engine: remove the journal before its segments are flushed",
    "engine: retention takes one segment more",
    "engine: leave a moved log unflushed in its new folder",
    "engine: append while a log changes its folder",
    "engine: compaction takes the newest record of a key too",
    "engine: compaction drops tombstones at once",
    "engine: swap what compaction has not flushed",
    "engine: remove what compaction read before its swap is durable",
    "engine: forget where compaction leaves gaps",
    "engine: put the journal over what was compacted",
    "engine: lose a wake-up",
    "engine: keep a snapshot above the end",
    "broker: publish the watermark early",
    "broker: acknowledge what is appended",
    "broker: store a repeated batch again",
    "broker: forget the producers at a start",
    "broker: forget the batches behind a snapshot",
    "broker: give a block of producer ids again",
    "broker: answer a change before it is durable",
    "broker: take a commit of an old generation",
    "broker: answer a commit before it is durable",
    "broker: forget committed offsets at a start",
    "broker: count generations anew",
    "broker: serve groups while they are read",
    "broker: give two members one share",
    "broker: forget who waits with a heartbeat",
    "broker: forget a deletion",
    "broker: take a partition for given up before its owner says so",
    "broker: assign a partition that another member holds",
    "broker: listen to a member of an old epoch",
    "broker: forget who holds what at a start",
    "broker: take a commit of a former owner",
    "broker: record half of an alteration",
    "broker: record an alteration that is refused",
    "broker: leave configurations out of snapshots",
    "broker: keep the settings of logs as they were",
];

/// How one bug was caught, or not.
#[derive(Debug)]
pub struct Verdict {
    /// The bug.
    pub bug: &'static str,
    /// What noticed it first.
    pub found: Option<String>,
    /// Runs until then.
    pub runs: u64,
    /// Virtual time of all of them.
    pub simulated: Duration,
    /// Real time.
    pub real: Duration,
}

/// Plants `bug` and runs seeds of both levels in turn until one finds something, or `patience` is over.
pub fn examine(bug: &'static str, patience: Duration) -> Verdict {
    let began = Instant::now();
    let mut verdict = Verdict { bug, found: None, runs: 0, simulated: Duration::ZERO, real: Duration::ZERO };
    marks::plant(Some(bug));
    for seed in 1.. {
        // What only a broker can do wrong, logs by themselves do not show.
        let levels = if bug.starts_with("engine") { &[Level::Cluster, Level::Logs][..] } else { &[Level::Cluster] };
        for &level in levels {
            verdict.runs += 1;
            match caught(level, seed) {
                Ok(done) => verdict.simulated += done.time,
                Err(Found { at, text, .. }) => {
                    verdict.simulated += at;
                    verdict.found = Some(format!("{level:?} {text}"));
                }
            }
            if verdict.found.is_some() || began.elapsed() > patience {
                marks::plant(None);
                verdict.real = began.elapsed();
                return verdict;
            }
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_list_is_what_is_planted() {
        let listed: BTreeSet<String> = PLANTED.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(crate::reach::literals("planted!(\""), listed);
    }
}

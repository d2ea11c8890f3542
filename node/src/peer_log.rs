//! How many log lines peers may cause. Each costs a system call on the shard's thread and room on somebody's disk, and who
//! comes and goes thousands of times a second decides how many there are.

use engine::time::Mono;
use std::fmt;

/// Lines about peers that one shard writes in a second.
const LINES_PER_SECOND: u32 = 10;

/// The lines of one shard.
#[derive(Debug, Default)]
pub struct PeerLog {
    /// The second that `lines` counts.
    second: u64,
    lines: u32,
    /// Events without a line since the last one that got one.
    hidden: u64,
}

impl PeerLog {
    /// Whether an event may have a line now; if so, what is to stand at its end.
    pub fn admit(&mut self, now: Mono) -> Option<Hidden> {
        let second = now.0 / 1_000_000_000;
        if second != self.second {
            (self.second, self.lines) = (second, 0);
        }
        if self.lines >= LINES_PER_SECOND {
            self.hidden += 1;
            return None;
        }
        self.lines += 1;
        Some(Hidden(std::mem::take(&mut self.hidden)))
    }
}

/// How many events before had no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hidden(u64);

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            count => write!(f, " (and {count} more before, of which nothing was logged)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_has_some_lines_a_second_and_says_how_much_it_hides() {
        let mut log = PeerLog::default();
        let mut written = Vec::new();
        for event in 0..1000 {
            let now = Mono(5_000_000_000).plus_millis(event * 2);
            written.extend(log.admit(now).map(|hidden| (event, hidden.0)));
        }
        assert_eq!(written.len(), 20);
        assert_eq!((written[9], written[10], written[11]), ((9, 0), (500, 490), (501, 0)));
    }
}

//! What goes wrong, where, and how often: the rules that a test adds and lifts while a program runs on the file system.
//! What a fault does to a file is the business of `serve` and `file`.

use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest that an operation is stuck.
const STUCK_MAX: Duration = Duration::from_secs(30);

/// The kinds of operations that a rule can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the system call of that name")]
pub enum OpKind {
    Open,
    Create,
    Read,
    Write,
    Sync,
    Allocate,
    SetLen,
    Rename,
    Unlink,
    MakeDir,
    RemoveDir,
    SyncDir,
    List,
    FreeSpace,
}

/// What happens to an operation instead of what it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Fails with this errno and does nothing.
    Fails(i32),
    /// A write of which the first half happens, and which fails with this errno all the same.
    Torn(i32),
    /// A sync that fails with this errno, while everything it should have made durable is gone: the file reads as it was
    /// at the last sync that worked, and the next sync succeeds. So page caches behave.
    LosesUnsynced(i32),
    /// A sync that says it worked and makes nothing durable: what it covered goes with the next
    /// [`cut_power`](crate::FaultFs::cut_power).
    Lies,
    /// A write or read of at most this many bytes, which says so.
    Short(usize),
    /// A read in which a bit of the file's byte `at` is flipped; nothing happens to reads of other bytes.
    Flips {
        /// Position in the file, in bytes.
        at: u64,
        /// Which bit, from 0 to 7.
        bit: u8,
    },
    /// Goes on as usual after this time.
    Slow(Duration),
    /// Goes on as usual once the rule is lifted, or after half a minute: a process that waits for its disk cannot even be
    /// killed, so a test that fails before it lifts the rule would never end.
    Stuck,
}

/// Names a rule until it is lifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleId(u64);

struct Rule {
    id: RuleId,
    kind: OpKind,
    pattern: String,
    fault: Fault,
    /// How often it still strikes; `None`: until it is lifted.
    left: Option<u32>,
}

/// What befalls one operation.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Strike {
    /// Goes on only after this time.
    pub(crate) delay: Option<Duration>,
    /// Goes on only once that rule is lifted.
    pub(crate) until_lifted: Option<RuleId>,
    /// What it does then.
    pub(crate) fault: Option<Fault>,
}

impl Strike {
    pub(crate) fn waits(&self) -> bool {
        self.delay.is_some() || self.until_lifted.is_some()
    }
}

#[derive(Default)]
struct Book {
    rules: Vec<Rule>,
    struck: Vec<(RuleId, u64)>,
    last: u64,
}

/// All rules of one file system.
#[derive(Default)]
pub(crate) struct Rules {
    book: Mutex<Book>,
    changed: Condvar,
}

impl Rules {
    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, kind: OpKind, pattern: &str, fault: Fault, times: Option<u32>) -> RuleId {
        let mut book = self.lock();
        book.last += 1;
        let id = RuleId(book.last);
        book.rules.push(Rule { id, kind, pattern: pattern.to_owned(), fault, left: times });
        book.struck.push((id, 0));
        id
    }

    pub(crate) fn lift(&self, id: RuleId) {
        self.lock().rules.retain(|rule| rule.id != id);
        self.changed.notify_all();
    }

    pub(crate) fn lift_all(&self) {
        self.lock().rules.clear();
        self.changed.notify_all();
    }

    /// How many operations a rule has struck, also after it was lifted.
    pub(crate) fn struck(&self, id: RuleId) -> u64 {
        self.lock().struck.iter().find(|entry| entry.0 == id).map_or(0, |entry| entry.1)
    }

    /// What the rules have for an operation on `path`: one delay and one other fault, each the oldest that fits.
    pub(crate) fn strike(&self, kind: OpKind, path: &Path) -> Strike {
        let mut book = self.lock();
        let mut strike = Strike::default();
        let mut hits = Vec::new();
        for rule in &mut book.rules {
            if rule.kind != kind || rule.left == Some(0) || !matches(&rule.pattern, &path.to_string_lossy()) {
                continue;
            }
            match rule.fault {
                Fault::Slow(time) if strike.delay.is_none() => strike.delay = Some(time),
                Fault::Stuck if strike.until_lifted.is_none() => strike.until_lifted = Some(rule.id),
                Fault::Slow(_) | Fault::Stuck => continue,
                fault if strike.fault.is_none() => strike.fault = Some(fault),
                _ => continue,
            }
            rule.left = rule.left.map(|left| left - 1);
            hits.push(rule.id);
        }
        book.struck.iter_mut().filter(|entry| hits.contains(&entry.0)).for_each(|entry| entry.1 += 1);
        strike
    }

    /// Blocks until a rule is lifted, or has been stuck long enough.
    pub(crate) fn wait_until_lifted(&self, id: RuleId) {
        let is_there = |book: &mut Book| book.rules.iter().any(|rule| rule.id == id);
        // Either way the operation goes on, so there is nothing to tell the two ends apart for.
        drop(self.changed.wait_timeout_while(self.lock(), STUCK_MAX, is_there));
    }
}

/// True if `text` fits `pattern`, in which `*` is any number of any characters, slashes too.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(tail) = text.strip_prefix(head) else { return false };
    let starts = tail.char_indices().map(|(at, _)| at).chain([tail.len()]);
    starts.into_iter().any(|at| matches(rest, &tail[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_characters() {
        for (pattern, text, expect) in [
            ("a-0/*.log", "a-0/00.log", true),
            ("a-0/*.log", "a-0/00.log.tmp", false),
            ("*", "", true),
            ("*a-0/*", "data/a-0/x", true),
            ("*a-0/*", "data/a-1/x", false),
            ("exact", "exact", true),
            ("exact", "exactly", false),
        ] {
            assert_eq!(matches(pattern, text), expect, "{pattern} {text}");
        }
    }

    #[test]
    fn a_rule_strikes_its_kind_and_path_as_often_as_it_says() {
        let rules = Rules::default();
        let id = rules.add(OpKind::Write, "a/*", Fault::Fails(5), Some(1));
        assert!(rules.strike(OpKind::Read, Path::new("a/x")).fault.is_none());
        assert!(rules.strike(OpKind::Write, Path::new("b/x")).fault.is_none());
        assert_eq!(rules.strike(OpKind::Write, Path::new("a/x")).fault, Some(Fault::Fails(5)));
        assert!(rules.strike(OpKind::Write, Path::new("a/x")).fault.is_none(), "once");
        assert_eq!(rules.struck(id), 1);
    }

    #[test]
    fn a_delay_and_another_fault_go_together() {
        let rules = Rules::default();
        rules.add(OpKind::Sync, "*", Fault::Fails(5), None);
        let stuck = rules.add(OpKind::Sync, "*", Fault::Stuck, None);
        let strike = rules.strike(OpKind::Sync, Path::new("x"));
        assert_eq!((strike.fault, strike.until_lifted), (Some(Fault::Fails(5)), Some(stuck)));
        rules.lift(stuck);
        rules.wait_until_lifted(stuck);
    }
}

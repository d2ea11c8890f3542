//! Two kinds of marks in production code, for the simulator's own examination.
//!
//! [`reached!`] says that a rare state was seen: a campaign that never reached it proves nothing about it. A mark costs one
//! relaxed load after its first hit. [`planted!`] guards a bug of one line: it is `false`, and its branch is gone, unless
//! the whole build was made with `--cfg planted`; then one bug at a time can be switched on, to see that it is caught.
//! The lists of both live in `sim`, whose tests hold them against the sources.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The environment variable that plants a bug in a whole process built with `--cfg planted`.
pub const PLANTED_VARIABLE: &str = "RINGLOG_PLANTED";

static REACHED: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// A place in the code, hit or not.
pub struct Mark {
    name: &'static str,
    hit: AtomicBool,
}

impl Mark {
    /// One that was not hit yet.
    pub const fn new(name: &'static str) -> Mark {
        Mark { name, hit: AtomicBool::new(false) }
    }

    /// Remembers that the place was reached.
    #[inline]
    pub fn hit(&self) {
        if !self.hit.load(Ordering::Relaxed) {
            self.first_hit();
        }
    }

    #[cold]
    fn first_hit(&self) {
        self.hit.store(true, Ordering::Relaxed);
        REACHED.lock().unwrap_or_else(PoisonError::into_inner).insert(self.name);
    }
}

/// Every mark that this process has reached, sorted.
pub fn reached() -> Vec<&'static str> {
    REACHED.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
}

/// Marks a state that a campaign has to reach: `reached!("log: a torn tail was cut")`.
#[macro_export]
macro_rules! reached {
    ($name:literal) => {{
        static MARK: $crate::Mark = $crate::Mark::new($name);
        MARK.hit();
    }};
}

/// True while the bug of this name is planted; never without `--cfg planted`.
#[macro_export]
macro_rules! planted {
    ($name:literal) => {
        cfg!(planted) && $crate::is_planted($name)
    };
}

thread_local! {
    static PLANTED: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Plants one bug, or none, in everything that this thread runs from here on.
pub fn plant(name: Option<&'static str>) {
    PLANTED.set(name);
}

/// See [`planted!`].
pub fn is_planted(name: &str) -> bool {
    static WHOLE_PROCESS: OnceLock<Option<String>> = OnceLock::new();
    let whole = || WHOLE_PROCESS.get_or_init(|| std::env::var(PLANTED_VARIABLE).ok()).as_deref() == Some(name);
    PLANTED.get() == Some(name) || whole()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_remembered_once() {
        assert!(!reached().contains(&"a test's mark"));
        for _ in 0..2 {
            reached!("a test's mark");
        }
        assert_eq!(reached().iter().filter(|name| **name == "a test's mark").count(), 1);
    }

    #[test]
    fn a_bug_is_planted_on_one_thread_at_a_time() {
        plant(Some("a test's bug"));
        assert!(is_planted("a test's bug") && !is_planted("another"));
        assert_eq!(planted!("a test's bug"), cfg!(planted));
        plant(None);
        assert!(!is_planted("a test's bug"));
    }
}

//! Compaction of one log: of all records with one key the newest stays, where it was. Which log is due and how its
//! segments are grouped is `choose`, pure; `keys` knows the newest offset of each key within a budget of memory; `pass` reads
//! segments and writes what stays of them beside them; `swap` puts that in their place so that a crash at any step is
//! finished or undone by a start; `mark` is what is remembered of it. Deliberately elsewhere: when a pass runs and what it
//! means for the log in memory (`set/compact.rs`), and which batch is a producer's last, which the owner says.
//!
//! ```text
//!   start            first dirty            upto                active
//!   | cleaned before | read into the keys   | not yet, or too   | never
//!   |                |                      | young, or no room |
//!   └──── every segment in here is written anew ──┘
//! ```
//!
//! A batch keeps base offset, last offset and producer. The last batch of what takes a segment's place is kept even without
//! records, unlike in Kafka: so segments join without a hole, and the file itself says whose place it takes.

pub(super) mod breath;
pub(super) mod choose;
mod feed;
pub(super) mod keys;
pub(super) mod mark;
mod output;
pub(super) mod pass;
pub(super) mod sieve;
pub(super) mod swap;

//! A shard's journal: small batches of all its logs become durable in one place, one write for many logs. Segments are
//! filled behind it. What lies in the file is stated in `FORMAT.md`.
//!
//! `block` is the layout, `ring` decides what goes where and which part of the file may be written again, `replay` puts
//! records into their segments at a start. When a log's batches come here and when their segments are filled is the
//! set's business (`set/journal.rs`).

mod block;
mod read;
mod replay;
mod ring;
#[cfg(test)]
mod walk;

pub(super) use block::{Block, PLACE_LEN, Place};
pub(super) use read::{JournalDamage, read_journal};
pub(super) use replay::{ReplayError, load, replay};
pub(super) use ring::{Landed, Ring, Room, Stretch};

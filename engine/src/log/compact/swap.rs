//! Putting a cleaned file in the place of the segments that it was made of, with Kafka's names for the steps:
//!
//! ```text
//!   <base>.log.cleaned   written, flushed          a crash: removed, nothing happened
//!   <base>.log.swap      renamed, durably          a crash: the rest is done by the next start
//!                        indexes and segments in its range removed, durably
//!   <base>.log           renamed, durably
//! ```
//! The last batch of the file says where its range ends. An index goes before its segment: it would vouch for bytes that are
//! not there any more.

use crate::log::{names, tasks};
use crate::shard::Io;
use std::io;
use std::path::Path;

/// The point of no return.
pub(in crate::log) async fn commit(io: &Io, dir: &Path, base: i64) -> io::Result<()> {
    if marks::planted!("engine: remove what compaction read before its swap is durable") {
        return Ok(());
    }
    tasks::rename(io, &names::cleaned(dir, base), &names::swap(dir, base)).await?;
    tasks::sync_dir(io, dir).await
}

/// Takes back what [`commit`] began.
pub(in crate::log) async fn undo(io: &Io, dir: &Path, base: i64) -> io::Result<()> {
    tasks::unlink(io, &names::cleaned(dir, base)).await?;
    tasks::unlink(io, &names::swap(dir, base)).await?;
    tasks::sync_dir(io, dir).await
}

/// The rest, which can be repeated: `others` are the segments in its range but for the first.
pub(in crate::log) async fn finish(io: &Io, dir: &Path, base: i64, others: &[i64]) -> io::Result<()> {
    tasks::unlink(io, &names::index(dir, base)).await?;
    for &other in others {
        tasks::unlink(io, &names::index(dir, other)).await?;
        tasks::unlink(io, &names::segment(dir, other)).await?;
    }
    tasks::sync_dir(io, dir).await?;
    if marks::planted!("engine: remove what compaction read before its swap is durable") {
        tasks::rename(io, &names::cleaned(dir, base), &names::swap(dir, base)).await?;
    }
    tasks::rename(io, &names::swap(dir, base), &names::segment(dir, base)).await?;
    tasks::sync_dir(io, dir).await
}

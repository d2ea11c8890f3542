//! Consumer groups. What is known about them is read in [`read`], [`lag`] and [`verdict`], what can be done to them is in
//! [`change`] and [`reset`]. Our own face on both, `ringlog groups`, is in [`own`] and [`status`]; that of
//! `kafka-consumer-groups` in [`kafka`] and [`print`].

mod change;
pub mod kafka;
mod lag;
mod own;
mod plan;
mod print;
mod read;
mod reset;
mod status;
mod table;
mod time;
mod verdict;

pub use own::{GroupsArgs, run};
pub(crate) use read::assigned;
pub(crate) use reset::now_ms;
pub(crate) use time::text as moment_text;

use crate::client::{Client, Error};
use plan::Place;
use std::collections::BTreeMap;

/// What a group has committed, for a consumer that goes on there.
pub(crate) fn committed_offsets(client: &mut Client, group: &str) -> Result<BTreeMap<Place, i64>, Error> {
    let all = read::committed(client, group)?;
    Ok(all.into_iter().map(|(place, committed)| (place, committed.offset)).collect())
}

/// Milliseconds since 1970 of a moment, or of a duration ago if it begins with a dash.
pub(crate) fn moment_or_ago(text: &str) -> Option<i64> {
    match text.strip_prefix('-') {
        Some(ago) => Some(now_ms().saturating_sub(time::duration(ago).ok()?)),
        None => time::moment(text).ok(),
    }
}

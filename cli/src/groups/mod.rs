//! Consumer groups: `ringlog groups`, `kafka-consumer-groups`. What is known about groups is read in [`read`], [`lag`] and
//! [`verdict`](crate::status), what can be done to them is in [`change`] and [`reset`]; [`kafka`] and [`print`] are Kafka's
//! face on both.

mod change;
pub mod kafka;
mod lag;
mod plan;
mod print;
mod read;
mod reset;
mod table;
mod time;

use plan::Place;
pub(crate) use read::assigned;
pub(crate) use reset::now_ms;

/// What a group has committed, for a consumer that goes on there.
pub(crate) fn committed_offsets(
    client: &mut crate::client::Client,
    group: &str,
) -> Result<std::collections::BTreeMap<Place, i64>, crate::client::Error> {
    let all = read::committed(client, group)?;
    Ok(all.into_iter().map(|(place, committed)| (place, committed.offset)).collect())
}

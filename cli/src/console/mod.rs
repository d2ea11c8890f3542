//! Producing and consuming from a terminal: `ringlog produce`, `ringlog consume`, `kafka-console-producer`,
//! `kafka-console-consumer`.

mod assign;
mod classic;
mod consume;
mod consumer_keys;
mod decode;
mod deserialize;
mod format;
mod heartbeat;
mod internal;
pub(crate) mod interrupt;
mod json;
pub mod kafka_consumer;
pub mod kafka_producer;
mod keys;
mod lines;
mod member;
mod numbers;
mod own;
mod partition;
mod producer;
mod reader;
mod record;
mod typing;

pub use own::{ConsumeArgs, ProduceArgs, consume, produce};

use crate::client::Fetched;
use crate::failure::Failure;

/// Hands keys and values of what was fetched from offset `from` on to `take`; the offset to go on at.
pub(crate) fn records_of(
    fetched: Fetched,
    from: i64,
    mut take: impl FnMut(&[u8], Option<&[u8]>),
) -> Result<i64, Failure> {
    if let Some(error) = fetched.error {
        return Err(error.into());
    }
    let wrong = |error: decode::EachError<Failure>| Failure::failed(error.to_string());
    let mut chunk = decode::Chunk::open(fetched, from).map_err(|error| wrong(error.into()))?;
    let each = chunk.each(|record| {
        take(record.key.as_deref().unwrap_or_default(), record.value.as_deref());
        Ok(decode::Flow::Go)
    });
    each.map_err(wrong)?;
    Ok(chunk.next())
}

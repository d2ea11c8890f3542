//! Clients that Kafka 4.0 turned away (KIP-896): what they send as message sets, and what they read of them. The broker stores
//! batches all the same, so that what an old client sent is read by new ones, and the other way round.

use super::truth::{BatchKey, Part, Truth, is_record_value};
use super::violation::Violation;
use protocol::batch::message_set::{DownRules, First, Magic, MessageSetError, UpRules, down, messages, up};
use protocol::batch::{Limits, iter_batches};
use protocol::crc::crc32c;

/// Newest version of Produce that carries message sets; from 2 on they have timestamps.
pub(crate) const PRODUCE_MAX: i16 = 2;
/// Newest version of Fetch that answers with message sets.
pub(crate) const FETCH_MAX: i16 = 3;
/// More than any batch here.
const BYTES_MAX: usize = 1 << 20;

/// The message set of a batch, for this version of Produce.
pub(crate) fn set_of(batch: &[u8], version: i16) -> Vec<u8> {
    let magic = if version < PRODUCE_MAX { Magic::V0 } else { Magic::V1 };
    let limits = Limits::for_batches_of(BYTES_MAX);
    let rules =
        DownRules { magic, from: 0, bytes_max: BYTES_MAX, first: First::Whole, room_bytes: 2 * BYTES_MAX, limits };
    #[expect(clippy::expect_used, reason = "the batch was just built, and is small")]
    down([batch], &rules).expect("a batch of ours has a message set").set
}

/// A record as an old client reads it.
struct Seen<'a> {
    offset: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
}

/// Takes in what a fetch from `position` below `high` gave; where the next one begins.
pub(crate) fn read(truth: &mut Truth, part: Part, position: i64, high: i64, set: &[u8]) -> Result<i64, Violation> {
    let mut next = position;
    let mut rest = set;
    for message in messages(set) {
        let message = match message {
            // The broker ends where the client's bytes end.
            Err(MessageSetError::Truncated { .. }) => break,
            Err(error) => return Err(phantom(truth, part, next, error.to_string())),
            Ok(message) => message,
        };
        let (bytes, behind) = rest.split_at(12 + size_of_message(rest));
        rest = behind;
        if message.codec() == 0 {
            let seen = Seen { offset: message.offset, key: message.key, value: message.value };
            next = take(truth, part, next, high, &seen)?;
        } else if message.has_append_time() {
            // Clients do not write such wrappers, so that nothing here opens them; that it follows is all that is seen of it.
            if message.offset < next || message.offset >= high {
                return Err(phantom(truth, part, next, format!("a wrapper up to {}, below {high}", message.offset)));
            }
            next = message.offset + 1;
        } else {
            next = unwrap(truth, part, next, high, (bytes, message.offset))?;
        }
    }
    Ok(next)
}

fn size_of_message(set: &[u8]) -> usize {
    set.get(8..12).and_then(|size| size.try_into().ok()).map_or(0, |size| u32::from_be_bytes(size) as usize)
}

/// A wrapper has the offset of its last message.
fn unwrap(truth: &mut Truth, part: Part, from: i64, high: i64, wrapper: (&[u8], i64)) -> Result<i64, Violation> {
    let (bytes, last) = wrapper;
    let rules = UpRules {
        batch_bytes_max: BYTES_MAX,
        plain_bytes_max: BYTES_MAX,
        message_bytes_max: BYTES_MAX,
        codec: Some((protocol::compress::Codec::None, None)),
    };
    let wrong = |truth: &Truth, error: String| phantom(truth, part, from, error);
    let batch = up(bytes, &rules).map_err(|error| wrong(truth, error.to_string()))?;
    let mut next = from;
    for view in iter_batches(&batch) {
        let view = view.map_err(|error| wrong(truth, error.to_string()))?;
        let records = view.records(&Limits::default()).map_err(|error| wrong(truth, error.to_string()))?;
        let base = last - i64::from(view.last_offset_delta());
        for record in records.iter() {
            let record = record.map_err(|error| wrong(truth, error.to_string()))?;
            let offset = base + record.offset;
            // What lies below is in the wrapper all the same.
            if offset >= from {
                next = take(truth, part, next, high, &Seen { offset, key: record.key, value: record.value })?;
            }
        }
    }
    Ok(next)
}

/// One record: the next one, below the watermark, and what its key says.
fn take(truth: &mut Truth, part: Part, expected: i64, high: i64, seen: &Seen<'_>) -> Result<i64, Violation> {
    let at = truth.place(part);
    if seen.offset != expected {
        return Err(Violation::Skipped { at, expected, got: seen.offset });
    }
    if seen.offset >= high {
        return Err(Violation::PastWatermark { at, last: seen.offset, high });
    }
    let word = |key: &[u8; 16], at: usize| u32::from_be_bytes([key[at], key[at + 1], key[at + 2], key[at + 3]]);
    let key: Option<[u8; 16]> = seen.key.and_then(|key| key.try_into().ok());
    let (Some(key), Some(value)) = (key, seen.value) else {
        return Err(phantom(
            truth,
            part,
            seen.offset,
            "a message without one of our keys, or without a value".to_owned(),
        ));
    };
    if !is_record_value(&key, value) {
        return Err(phantom(truth, part, seen.offset, format!("a value of checksum {:08x}", crc32c(value))));
    }
    let batch = BatchKey { producer: word(&key, 0), serial: word(&key, 4) };
    truth.reads_record(part, batch, seen.offset, (word(&key, 8), word(&key, 12)), value.len() as u32)?;
    Ok(seen.offset + 1)
}

fn phantom(truth: &Truth, part: Part, offset: i64, what: String) -> Violation {
    Violation::Phantom { at: truth.place(part), offset, what }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::batch::BatchBuilder;
    use protocol::compress::Codec;

    #[test]
    fn a_batch_as_messages_has_the_same_records() {
        for codec in [Codec::None, Codec::Lz4] {
            for version in 0..=PRODUCE_MAX {
                let mut builder = BatchBuilder::new().compression(codec, None);
                builder.append(7, Some(b"key"), Some(b"value"), &[]);
                builder.append(8, Some(b"other"), Some(b"more"), &[]);
                let set = set_of(&builder.build(), version);
                let found: Vec<_> = messages(&set).map(|message| message.expect("a message")).collect();
                assert_eq!(found.len(), if codec == Codec::None { 2 } else { 1 });
                let magic = if version < 2 { Magic::V0 } else { Magic::V1 };
                assert!(found.iter().all(|message| message.magic == magic), "{found:?}");
            }
        }
    }
}

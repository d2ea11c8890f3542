//! Down: stored batches become the message set that a client before 0.11 understands, within what one answer may take.
//!
//! Offsets stay. A plain batch becomes plain messages, a compressed one a wrapper of the same codec, which is decompressed and
//! compressed in a stream. Headers, producers and sequences have no place in messages and are dropped; so are control batches
//! and such as compaction emptied. zstd is refused, since those clients cannot know it.

use super::Magic;
use super::message::{self, LOG_APPEND_TIME, Message, PREFIX_LEN};
use crate::batch::error::BatchError;
use crate::batch::fields::{self, Flaw};
use crate::batch::varint::Cursor;
use crate::batch::{BatchView, Limits, NO_TIMESTAMP, TimestampType, iter_batches};
use crate::compress::{Codec, Decoder, Encoder, break_header_checksum};
use std::io::BufReader;

/// What a set may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DownRules {
    /// The format that the version of the request has.
    pub magic: Magic,
    /// The offset that was asked for. Plain messages below it are left out, as a wrapper's are not.
    pub from: i64,
    /// Bytes that the client wants at most.
    pub bytes_max: usize,
    /// What becomes of a first message that is larger.
    pub first: First,
    /// Memory that there is for the set, and for one record on its way.
    pub room_bytes: usize,
    /// What one compressed batch may cost.
    pub limits: Limits,
}

/// How a client is told of a message that is larger than it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// It gets the message whole (Fetch 3, KIP-74).
    Whole,
    /// It gets the beginning, by which it knows, unless the batch that was stored would have fitted (Fetch 0 to 2).
    Cut,
}

/// A converted set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Down {
    /// The messages.
    pub set: Vec<u8>,
    /// The offset behind the last batch that was passed over or converted whole; `None`: there was none.
    pub next_offset: Option<i64>,
}

/// Converts runs of whole batches, as far as the rules allow. Damage behind the first message only ends the set.
pub fn down<'a>(runs: impl IntoIterator<Item = &'a [u8]>, rules: &DownRules) -> Result<Down, BatchError> {
    let mut writer = Writer { rules, done: Down::default() };
    for batch in runs.into_iter().flat_map(iter_batches) {
        match batch.and_then(|batch| writer.batch(&batch)) {
            Ok(Step::On) => {}
            Ok(Step::Full) => break,
            Err(error) if writer.done.set.is_empty() => return Err(error),
            Err(_) => break,
        }
    }
    Ok(writer.done)
}

/// Whether there is room for more.
enum Step {
    On,
    Full,
}

struct Writer<'r> {
    rules: &'r DownRules,
    done: Down,
}

impl Writer<'_> {
    fn batch(&mut self, batch: &BatchView<'_>) -> Result<Step, BatchError> {
        let empty = batch.is_control() || batch.record_count() == 0;
        let step = match batch.codec() {
            _ if empty || batch.next_offset() <= self.rules.from => Step::On,
            Codec::None => self.plain(batch)?,
            Codec::Zstd => return Err(BatchError::CodecNotAllowed { got: Codec::Zstd.id() }),
            codec => self.wrapper(batch, codec)?,
        };
        if let Step::On = step {
            self.done.next_offset = Some(batch.next_offset());
        }
        Ok(step)
    }

    fn plain(&mut self, batch: &BatchView<'_>) -> Result<Step, BatchError> {
        let attributes = flags(batch, self.rules.magic);
        for record in &batch.records(&self.rules.limits)? {
            let record = record?;
            if record.offset < self.rules.from {
                continue;
            }
            let (magic, key, value) = (self.rules.magic, record.key, record.value);
            let message = Message { offset: record.offset, magic, attributes, timestamp: record.timestamp, key, value };
            let len = magic.message_len(key, value);
            if len > self.rules.room_bytes.saturating_sub(self.done.set.len()) {
                return Ok(Step::Full);
            }
            let start = self.done.set.len();
            message::write(&message, |piece| self.done.set.extend_from_slice(piece));
            if !self.keep(start, batch) {
                return Ok(Step::Full);
            }
        }
        Ok(Step::On)
    }

    /// Whether what was written from `start` on stays; if it does not, the set is full.
    fn keep(&mut self, start: usize, batch: &BatchView<'_>) -> bool {
        let DownRules { bytes_max, first, .. } = *self.rules;
        if self.done.set.len() <= bytes_max {
            return true;
        }
        match first {
            First::Whole if start == 0 => {}
            First::Cut if start == 0 && batch.size_bytes() <= bytes_max => {}
            First::Cut if start == 0 => self.done.set.truncate(bytes_max),
            _ => self.done.set.truncate(start),
        }
        false
    }

    /// One compressed message with all records of the batch in it.
    fn wrapper(&mut self, batch: &BatchView<'_>, codec: Codec) -> Result<Step, BatchError> {
        let magic = self.rules.magic;
        let room = self.rules.room_bytes.saturating_sub(self.done.set.len());
        let Some(inner) = Inner { batch, codec, magic, room }.compress(&self.rules.limits)? else {
            return Ok(Step::Full);
        };
        let message = Message {
            offset: inner.last_offset,
            magic,
            attributes: flags(batch, magic) | codec.id(),
            timestamp: if magic == Magic::V1 { batch.max_timestamp() } else { NO_TIMESTAMP },
            key: None,
            value: Some(&inner.set),
        };
        if magic.message_len(None, message.value) > room {
            return Ok(Step::Full);
        }
        let start = self.done.set.len();
        message::write(&message, |piece| self.done.set.extend_from_slice(piece));
        Ok(if self.keep(start, batch) { Step::On } else { Step::Full })
    }
}

/// The flags of every message of a batch.
fn flags(batch: &BatchView<'_>, magic: Magic) -> u8 {
    match (magic, batch.timestamp_type()) {
        (Magic::V1, TimestampType::LogAppendTime) => LOG_APPEND_TIME,
        _ => 0,
    }
}

/// What goes into a wrapper.
struct Inner<'a> {
    batch: &'a BatchView<'a>,
    codec: Codec,
    magic: Magic,
    room: usize,
}

/// What went into a wrapper.
struct Compressed {
    set: Vec<u8>,
    last_offset: i64,
}

impl Inner<'_> {
    /// Reads record after record and compresses it as a message. `None` where there is no room for it.
    fn compress(&self, limits: &Limits) -> Result<Option<Compressed>, BatchError> {
        let batch = self.batch;
        let plain = Decoder::new(batch.codec(), batch.body(), limits.decompressed_bytes_max)?;
        let mut cursor = Cursor::new(BufReader::with_capacity(BUFFER_BYTES, plain));
        let mut set = Encoder::new(self.codec, None);
        let append_time = (batch.timestamp_type() == TimestampType::LogAppendTime).then_some(batch.max_timestamp());
        let attributes = flags(batch, self.magic);
        let mut last_delta = 0;
        for index in 0..batch.record_count() {
            let flawed = |flaw: Flaw| flaw.at(index, self.codec);
            let room = self.room;
            let fields = fields::open(&mut cursor, |cursor, len| cursor.collect(len, room)).map_err(flawed)?;
            fields::close(&mut cursor, fields.header_count).map_err(flawed)?;
            let (Some(key), Some(value)) = (held(&fields.key), held(&fields.value)) else { return Ok(None) };
            let created = batch.base_timestamp().wrapping_add(fields.timestamp_delta);
            let delta = i64::from(fields.offset_delta);
            let message = Message {
                offset: if self.magic == Magic::V1 { delta } else { batch.base_offset().wrapping_add(delta) },
                magic: self.magic,
                attributes,
                timestamp: append_time.unwrap_or(created),
                key,
                value,
            };
            message::write(&message, |piece| set.write(piece));
            last_delta = delta;
            if set.written() > self.room.saturating_sub(PREFIX_LEN) {
                return Ok(None);
            }
        }
        let mut set = set.finish();
        if self.magic == Magic::V0 && self.codec == Codec::Lz4 {
            break_header_checksum(&mut set);
        }
        Ok(Some(Compressed { set, last_offset: batch.base_offset().wrapping_add(last_delta) }))
    }
}

/// Decompressed bytes held at a time.
const BUFFER_BYTES: usize = 16 * 1024;

/// A key or value: null, its bytes, or `None` where there was no room for them.
fn held(bytes: &Option<Option<Vec<u8>>>) -> Option<Option<&[u8]>> {
    match bytes {
        None => Some(None),
        Some(bytes) => bytes.as_deref().map(Some),
    }
}

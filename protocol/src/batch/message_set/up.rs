//! Up: what a client before 0.11 produced becomes one batch, record by record, in bounded memory.
//!
//! Offsets that the client wrote mean nothing: records get theirs by their order. Kafka 3.9 does the same, because some
//! clients wrote wrong ones into wrappers of magic 1. What a partition demands of any batch (keys, timestamps, its size) is
//! asked of the result by whoever appends it.

use super::message::{self, Message, PREFIX_LEN};
use super::{Magic, MessageSetError, messages};
use crate::batch::edit::seal;
use crate::batch::header::BatchHeader;
use crate::batch::layout::{HEADER_LEN, LENGTH_PREFIX_LEN};
use crate::batch::varint::{put_varint, put_varlong, varlong_len};
use crate::batch::{Attributes, MAGIC, NO_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP};
use crate::compress::{Codec, CompressError, Decoder, Encoder};
use std::io::Read;

/// What the conversion may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpRules {
    /// `max.message.bytes`: the batch grows no larger.
    pub batch_bytes_max: usize,
    /// Plain bytes that a wrapper may expand to.
    pub plain_bytes_max: usize,
    /// Bytes of one message inside a wrapper: that much of it is in memory at a time.
    pub message_bytes_max: usize,
    /// The batch's codec and level; `None` keeps the wrapper's.
    pub codec: Option<(Codec, Option<i32>)>,
}

/// The record batch, at offset 0, of all messages in `set`.
pub fn up(set: &[u8], rules: &UpRules) -> Result<Vec<u8>, MessageSetError> {
    let mut all = messages(set);
    let first = all.next().ok_or(MessageSetError::Empty)??;
    if first.codec() != Codec::None.id() {
        if all.next().is_some() {
            return Err(MessageSetError::NotAlone { index: 0 });
        }
        return unwrap(&first, rules);
    }
    let mut batch = BatchWriter::new(Codec::None, rules);
    batch.append(&first)?;
    for (index, message) in (1..).zip(all) {
        let message = message?;
        if message.codec() != Codec::None.id() {
            return Err(MessageSetError::NotAlone { index });
        }
        batch.append(&message)?;
    }
    batch.finish()
}

/// The batch of what is in a wrapper.
fn unwrap(wrapper: &Message<'_>, rules: &UpRules) -> Result<Vec<u8>, MessageSetError> {
    let codec = match Codec::from_id(wrapper.codec()) {
        Some(codec @ (Codec::Gzip | Codec::Snappy | Codec::Lz4)) => codec,
        _ => return Err(MessageSetError::Codec { index: 0, got: wrapper.codec() }),
    };
    if wrapper.has_append_time() {
        return Err(MessageSetError::LogAppendTimeFromClient { index: 0 });
    }
    let set = wrapper.value.ok_or(MessageSetError::EmptyWrapper)?;
    let plain = match wrapper.magic {
        Magic::V0 => Decoder::for_magic_0(codec, set, rules.plain_bytes_max)?,
        Magic::V1 => Decoder::new(codec, set, rules.plain_bytes_max)?,
    };
    let mut inner = Inner { plain, codec, magic: wrapper.magic, message_bytes_max: rules.message_bytes_max, index: 0 };
    let mut batch = BatchWriter::new(codec, rules);
    let mut bytes = Vec::new();
    while let Some(message) = inner.next_into(&mut bytes)? {
        batch.append(&message)?;
    }
    if batch.header.record_count == 0 { Err(MessageSetError::EmptyWrapper) } else { batch.finish() }
}

/// The messages in a wrapper, as they are decompressed.
struct Inner<'a> {
    plain: Decoder<'a>,
    codec: Codec,
    magic: Magic,
    message_bytes_max: usize,
    index: i32,
}

impl Inner<'_> {
    /// Reads the next message into `bytes`; `None` at the end.
    fn next_into<'b>(&mut self, bytes: &'b mut Vec<u8>) -> Result<Option<Message<'b>>, MessageSetError> {
        let index = self.index;
        self.fill(bytes, PREFIX_LEN)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let short = |needed: usize, got: usize| MessageSetError::Truncated { index, needed, got };
        let prefix: [u8; PREFIX_LEN] =
            bytes.as_slice().try_into().map_err(|_| short(PREFIX_LEN + Magic::V0.size_min(), bytes.len()))?;
        let needed = message::len_by_prefix(&prefix, index)?;
        if needed > self.message_bytes_max {
            return Err(MessageSetError::TooLarge { max_bytes: self.message_bytes_max });
        }
        let mut rest = std::mem::take(bytes);
        self.append(&mut rest, needed - PREFIX_LEN)?;
        *bytes = rest;
        if bytes.len() < needed {
            return Err(short(needed, bytes.len()));
        }
        let message = Message::read(bytes, index, Some(self.magic))?;
        if message.codec() != Codec::None.id() {
            return Err(MessageSetError::Nested { index });
        }
        self.index += 1;
        Ok(Some(message))
    }

    fn fill(&mut self, bytes: &mut Vec<u8>, count: usize) -> Result<(), CompressError> {
        bytes.clear();
        self.append(bytes, count)
    }

    /// Reads `count` bytes, or fewer at the end; memory grows with what is really there.
    fn append(&mut self, bytes: &mut Vec<u8>, count: usize) -> Result<(), CompressError> {
        let read = self.plain.by_ref().take(count as u64).read_to_end(bytes);
        read.map(drop).map_err(|error| CompressError::from_io(self.codec, error))
    }
}

/// A batch in the making, of which only what is compressed already is kept.
struct BatchWriter {
    header: BatchHeader,
    body: Encoder,
    body_bytes_max: usize,
    batch_bytes_max: usize,
    /// Varints of one record, as a piece.
    piece: Vec<u8>,
}

impl BatchWriter {
    fn new(codec: Codec, rules: &UpRules) -> BatchWriter {
        let (codec, level) = rules.codec.unwrap_or((codec, None));
        let header = BatchHeader {
            base_offset: 0,
            batch_length: 0,
            leader_epoch: NO_LEADER_EPOCH,
            magic: MAGIC,
            crc: 0,
            attributes: Attributes::default().with_codec(codec),
            last_offset_delta: -1,
            base_timestamp: NO_TIMESTAMP,
            max_timestamp: NO_TIMESTAMP,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
            record_count: 0,
        };
        BatchWriter {
            header,
            body: Encoder::new(codec, level),
            body_bytes_max: rules.batch_bytes_max.min(i32::MAX as usize).saturating_sub(HEADER_LEN),
            batch_bytes_max: rules.batch_bytes_max,
            piece: Vec::new(),
        }
    }

    /// Adds a message as the next record.
    fn append(&mut self, message: &Message<'_>) -> Result<(), MessageSetError> {
        if message.has_append_time() {
            return Err(MessageSetError::LogAppendTimeFromClient { index: self.header.record_count });
        }
        let Message { timestamp, key, value, .. } = *message;
        if self.header.record_count == 0 {
            (self.header.base_timestamp, self.header.max_timestamp) = (timestamp, timestamp);
        }
        self.header.max_timestamp = self.header.max_timestamp.max(timestamp);
        self.header.last_offset_delta += 1;
        self.header.record_count += 1;
        let delta = timestamp.wrapping_sub(self.header.base_timestamp);
        self.put_record(delta, key, value);
        if self.body.written() > self.body_bytes_max {
            return Err(MessageSetError::TooLarge { max_bytes: self.batch_bytes_max });
        }
        Ok(())
    }

    fn put_record(&mut self, timestamp_delta: i64, key: Option<&[u8]>, value: Option<&[u8]>) {
        let offset_delta = self.header.last_offset_delta;
        let len = 1
            + varlong_len(timestamp_delta)
            + varlong_len(offset_delta.into())
            + nullable_len(key)
            + nullable_len(value)
            + NO_HEADERS.len();
        self.piece.clear();
        put_varint(&mut self.piece, len as i32);
        self.piece.push(0);
        put_varlong(&mut self.piece, timestamp_delta);
        put_varint(&mut self.piece, offset_delta);
        for bytes in [key, value] {
            put_varint(&mut self.piece, bytes.map_or(-1, |bytes| bytes.len() as i32));
            self.body.write(&self.piece);
            self.body.write(bytes.unwrap_or_default());
            self.piece.clear();
        }
        self.body.write(&NO_HEADERS);
    }

    fn finish(mut self) -> Result<Vec<u8>, MessageSetError> {
        let body = self.body.finish();
        if body.len() > self.body_bytes_max {
            return Err(MessageSetError::TooLarge { max_bytes: self.batch_bytes_max });
        }
        self.header.batch_length = (HEADER_LEN + body.len() - LENGTH_PREFIX_LEN) as i32;
        let mut batch = [&self.header.encode()[..], &body].concat();
        seal(&mut batch);
        Ok(batch)
    }
}

/// A record's count of headers, a varint.
const NO_HEADERS: [u8; 1] = [0];

fn nullable_len(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| varlong_len(bytes.len() as i64) + bytes.len())
}

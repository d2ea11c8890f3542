//! Every record of a produced batch, looked at without keeping any: the stream is decompressed a buffer at a time.

use std::io::{BufRead, BufReader};

use crate::compress::{Codec, Decoder};

use super::TimestampType;
use super::fields::{self, Fields, Flaw};
use super::quick;
use super::varint::Cursor;
use super::view::BatchView;
use super::{BatchError, Limits};

const OFFSET_REASON: &str = "its offset delta is not its index";
const TRAILING_REASON: &str = "bytes follow the last record";

/// Decompressed bytes held at a time.
const BUFFER_BYTES: usize = 16 * 1024;

/// Shows every record to `visit` with its index; the batch has to hold exactly its count, with offsets 0, 1, 2 and so on.
pub(super) fn each_record(
    batch: &BatchView<'_>,
    limits: &Limits,
    visit: impl FnMut(i32, &Fields<()>) -> Result<(), BatchError>,
) -> Result<(), BatchError> {
    match batch.codec() {
        Codec::None => walk_plain(batch, visit),
        codec => {
            let decoder = Decoder::new(codec, batch.body(), limits.decompressed_bytes_max)?;
            walk(batch, Cursor::new(BufReader::with_capacity(BUFFER_BYTES, decoder)), visit)
        }
    }
}

/// Shows offset and timestamp of every record to `visit`, in order, without keeping any record.
pub(super) fn each_timestamp(
    batch: &BatchView<'_>,
    limits: &Limits,
    mut visit: impl FnMut(i64, i64),
) -> Result<(), BatchError> {
    let (base_offset, base_timestamp) = (batch.base_offset(), batch.base_timestamp());
    let append_time = (batch.timestamp_type() == TimestampType::LogAppendTime).then(|| batch.max_timestamp());
    let mut show = |fields: &Fields<()>| {
        let timestamp = append_time.unwrap_or(base_timestamp.wrapping_add(fields.timestamp_delta));
        visit(base_offset.wrapping_add(i64::from(fields.offset_delta)), timestamp);
    };
    let codec = batch.codec();
    let mut cursor = {
        let decoder = Decoder::new(codec, batch.body(), limits.decompressed_bytes_max)?;
        Cursor::new(BufReader::with_capacity(BUFFER_BYTES, decoder))
    };
    for index in 0..batch.record_count() {
        show(&record(&mut cursor).map_err(|flaw| flaw.at(index, codec))?);
    }
    Ok(())
}

/// Records that lie in memory as they are.
fn walk_plain(
    batch: &BatchView<'_>,
    mut visit: impl FnMut(i32, &Fields<()>) -> Result<(), BatchError>,
) -> Result<(), BatchError> {
    let mut rest = batch.body();
    for index in 0..batch.record_count() {
        let (fields, len) = match quick::record(rest) {
            Some(found) => found,
            None => {
                let mut cursor = Cursor::new(rest);
                let fields = record(&mut cursor).map_err(|flaw| flaw.at(index, Codec::None))?;
                (fields, rest.len() - cursor.rest().len())
            }
        };
        rest = &rest[len..];
        if fields.offset_delta != index {
            return Err(BatchError::Record { index, reason: OFFSET_REASON });
        }
        visit(index, &fields)?;
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err(BatchError::Record { index: batch.record_count(), reason: TRAILING_REASON })
    }
}

fn walk<R: BufRead>(
    batch: &BatchView<'_>,
    mut cursor: Cursor<R>,
    mut visit: impl FnMut(i32, &Fields<()>) -> Result<(), BatchError>,
) -> Result<(), BatchError> {
    let codec = batch.codec();
    for index in 0..batch.record_count() {
        let fields = record(&mut cursor).map_err(|flaw| flaw.at(index, codec))?;
        if fields.offset_delta != index {
            return Err(BatchError::Record { index, reason: OFFSET_REASON });
        }
        visit(index, &fields)?;
    }
    match cursor.at_end().map_err(Flaw::from) {
        Ok(true) => Ok(()),
        Ok(false) => Err(BatchError::Record { index: batch.record_count(), reason: TRAILING_REASON }),
        Err(flaw) => Err(flaw.at(batch.record_count(), codec)),
    }
}

fn record<R: BufRead>(cursor: &mut Cursor<R>) -> Result<Fields<()>, Flaw> {
    let fields = fields::open(cursor, |cursor, len| cursor.skip(u64::from(len)))?;
    fields::close(cursor, fields.header_count)?;
    Ok(fields)
}

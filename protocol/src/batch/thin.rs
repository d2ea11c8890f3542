//! A batch with some of its records gone, as compaction leaves it: base offset, last offset, producer and sequence stay, so
//! that offsets keep their meaning and a producer finds its last sequence. Which records go is the caller's business.
//!
//! Records are copied as they lie; only where a delete horizon takes the place of the base timestamp (KIP-534) is each one's
//! timestamp delta written anew. Headers of records are passed over by the record's length: they were checked when the batch
//! was accepted.

use super::edit::seal;
use super::header::put;
use super::layout::{self, HEADER_LEN, LENGTH_PREFIX_LEN};
use super::varint::{put_varint, put_varlong};
use super::{Attributes, BatchError, BatchView, Limits, NO_TIMESTAMP, TimestampType};
use crate::compress::{Codec, CompressError, Decoder, compress};
use std::io::Read;

/// Bytes that a step of decompression produces.
const STEP_BYTES: usize = 64 << 10;

/// One record, as far as compaction looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawRecord<'a> {
    /// Its offset in the log.
    pub offset: i64,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// False for a tombstone.
    pub has_value: bool,
}

/// What is left of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinned {
    /// Everything, unchanged.
    All,
    /// What [`Thinner::rebuilt`] has.
    Rebuilt,
    /// No record.
    Nothing,
}

/// Memory that is used again for each batch.
#[derive(Debug, Default)]
pub struct Thinner {
    plain: Vec<u8>,
    records: Vec<Place>,
    out: Vec<u8>,
}

/// Where a record that stays lies in the plain bytes.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: usize,
    /// Behind the timestamp delta.
    rest: usize,
    end: usize,
    timestamp_delta: i64,
}

impl Thinner {
    /// The batch that [`Thinner::thin`] or [`Thinner::empty`] made last.
    #[must_use]
    pub fn rebuilt(&self) -> &[u8] {
        &self.out
    }

    /// Takes all records of `batch` away: what is left tells its producer's last sequence, and where the offsets go on.
    pub fn empty(&mut self, batch: &BatchView<'_>) {
        let out = &mut self.out;
        out.clear();
        out.extend_from_slice(&batch.bytes()[..HEADER_LEN]);
        let flags = batch.attributes().with_codec(Codec::None).0 & !Attributes::DELETE_HORIZON;
        put(out, layout::ATTRIBUTES, flags.to_be_bytes());
        put(out, layout::BASE_TIMESTAMP, NO_TIMESTAMP.to_be_bytes());
        if batch.timestamp_type() == TimestampType::CreateTime {
            // Kafka keeps it; nobody is to look for a record of that time here.
            put(out, layout::MAX_TIMESTAMP, NO_TIMESTAMP.to_be_bytes());
        }
        put(out, layout::RECORD_COUNT, 0_i32.to_be_bytes());
        finish(out);
    }

    /// Shows every record of `batch` to `visit`, in order, until it says no.
    pub fn each(
        &mut self,
        batch: &BatchView<'_>,
        limits: &Limits,
        mut visit: impl FnMut(&RawRecord<'_>) -> bool,
    ) -> Result<(), BatchError> {
        let body = plain_body(batch, limits, &mut self.plain)?;
        walk(batch, body, |record, _| visit(record))
    }

    /// Leaves the records of `batch` that `keep` agrees to. `horizon_ms` becomes the batch's delete horizon if a tombstone
    /// stays and it has none yet.
    pub fn thin(
        &mut self,
        batch: &BatchView<'_>,
        limits: &Limits,
        horizon_ms: Option<i64>,
        mut keep: impl FnMut(&RawRecord<'_>) -> bool,
    ) -> Result<Thinned, BatchError> {
        let Thinner { plain, records, out } = self;
        records.clear();
        let body = plain_body(batch, limits, plain)?;
        let mut has_tombstone = false;
        walk(batch, body, |record, place| {
            if keep(record) {
                has_tombstone |= !record.has_value;
                records.push(place);
            }
            true
        })?;
        let horizon_ms = horizon_ms.filter(|_| has_tombstone && batch.delete_horizon_ms().is_none());
        if records.is_empty() {
            return Ok(Thinned::Nothing);
        }
        if records.len() == batch.record_count() as usize && horizon_ms.is_none() {
            return Ok(Thinned::All);
        }
        rebuild(batch, body, records, horizon_ms, out);
        Ok(Thinned::Rebuilt)
    }
}

fn finish(bytes: &mut [u8]) {
    let length = (bytes.len() - LENGTH_PREFIX_LEN) as i32;
    put(bytes, layout::BATCH_LENGTH, length.to_be_bytes());
    seal(bytes);
}

fn rebuild(batch: &BatchView<'_>, body: &[u8], records: &[Place], horizon_ms: Option<i64>, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&batch.bytes()[..HEADER_LEN]);
    for place in records {
        match horizon_ms {
            None => out.extend_from_slice(&body[place.start..place.end]),
            Some(horizon) => put_moved(out, body, place, batch.base_timestamp(), horizon),
        }
    }
    if batch.codec() != Codec::None {
        let packed = compress(batch.codec(), None, &out[HEADER_LEN..]);
        out.truncate(HEADER_LEN);
        out.extend_from_slice(&packed);
    }
    if let Some(horizon) = horizon_ms {
        let flags = batch.attributes().0 | Attributes::DELETE_HORIZON;
        put(out, layout::ATTRIBUTES, flags.to_be_bytes());
        put(out, layout::BASE_TIMESTAMP, horizon.to_be_bytes());
    }
    if batch.timestamp_type() == TimestampType::CreateTime {
        let newest = records.iter().map(|place| batch.base_timestamp().wrapping_add(place.timestamp_delta)).max();
        put(out, layout::MAX_TIMESTAMP, newest.unwrap_or(NO_TIMESTAMP).to_be_bytes());
    }
    put(out, layout::RECORD_COUNT, (records.len() as i32).to_be_bytes());
    finish(out);
}

/// A record whose timestamp counts from `horizon` instead of `base`.
fn put_moved(out: &mut Vec<u8>, body: &[u8], place: &Place, base: i64, horizon: i64) {
    let delta = base.wrapping_add(place.timestamp_delta).wrapping_sub(horizon);
    let rest = &body[place.rest..place.end];
    let before = out.len();
    put_varlong(out, delta);
    let delta_len = out.len() - before;
    out.truncate(before);
    put_varint(out, (1 + delta_len + rest.len()) as i32);
    // The attributes of a record have no meaning yet.
    out.push(0);
    put_varlong(out, delta);
    out.extend_from_slice(rest);
}

fn plain_body<'a>(batch: &BatchView<'a>, limits: &Limits, scratch: &'a mut Vec<u8>) -> Result<&'a [u8], BatchError> {
    // A batch that compaction emptied has nothing to decompress.
    if batch.codec() == Codec::None || batch.record_count() == 0 {
        return Ok(batch.body());
    }
    let mut decoder = Decoder::new(batch.codec(), batch.body(), limits.decompressed_bytes_max)?;
    let mut filled = 0;
    loop {
        if scratch.len() < filled + STEP_BYTES {
            scratch.resize((filled * 2).max(filled + STEP_BYTES), 0);
        }
        let count = decoder.read(&mut scratch[filled..]);
        match count.map_err(|error| CompressError::from_io(batch.codec(), error))? {
            0 => return Ok(&scratch[..filled]),
            count => filled += count,
        }
    }
}

fn walk<'a>(
    batch: &BatchView<'_>,
    body: &'a [u8],
    mut visit: impl FnMut(&RawRecord<'a>, Place) -> bool,
) -> Result<(), BatchError> {
    let mut at = 0;
    for index in 0..batch.record_count() {
        let flaw = || BatchError::Record { index, reason: "it is not what a record looks like" };
        let (record, place) = record(body, at, batch.base_offset()).ok_or_else(flaw)?;
        if !(batch.base_offset()..=batch.last_offset()).contains(&record.offset) {
            return Err(BatchError::Record { index, reason: "its offset lies outside the batch" });
        }
        at = place.end;
        if !visit(&record, place) {
            return Ok(());
        }
    }
    Ok(())
}

/// The record at `start` of a batch that begins at `base_offset`, and its place.
#[inline]
fn record(body: &[u8], start: usize, base_offset: i64) -> Option<(RawRecord<'_>, Place)> {
    let mut at = start;
    let length = usize::try_from(varlong(body, &mut at)?).ok()?;
    let end = at.checked_add(length).filter(|&end| end <= body.len())?;
    let bytes = &body[..end];
    at += 1;
    let timestamp_delta = varlong(bytes, &mut at)?;
    let rest = at;
    let offset_delta = i32::try_from(varlong(bytes, &mut at)?).ok()?;
    let key = match varlong(bytes, &mut at)? {
        -1 => None,
        len => {
            let key = bytes.get(at..at.checked_add(usize::try_from(len).ok()?)?)?;
            at += key.len();
            Some(key)
        }
    };
    let value = varlong(bytes, &mut at)?;
    let fits = value == -1 || usize::try_from(value).is_ok_and(|len| len <= end - at);
    let offset = base_offset.checked_add(i64::from(offset_delta))?;
    let record = RawRecord { offset, key, has_value: value >= 0 };
    fits.then_some((record, Place { start, rest, end, timestamp_delta }))
}

/// A zigzag varint of any length.
#[inline]
fn varlong(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let rest = bytes.get(*at..)?;
    let mut raw = 0_u64;
    for (n, &byte) in rest.iter().enumerate().take(10) {
        raw |= u64::from(byte & 0x7f) << (7 * n);
        if byte < 0x80 {
            *at += n + 1;
            return Some((raw >> 1) as i64 ^ -((raw & 1) as i64));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::{BatchBuilder, Header};
    use super::*;

    const BASE_MS: i64 = 1_700_000_000_000;

    fn batch(codec: Codec) -> Vec<u8> {
        let mut builder = BatchBuilder::new().compression(codec, None).producer(7, 3, 42).position(100, 5);
        for n in 0..10_u8 {
            let value = [n; 300];
            let value = (n % 4 != 3).then_some(&value[..]);
            let headers = [Header { key: b"h", value: Some(&[n]) }];
            builder.append(BASE_MS + i64::from(n), Some(&[b'k', n]), value, &headers[..usize::from(n % 2)]);
        }
        builder.build()
    }

    fn view(bytes: &[u8]) -> BatchView<'_> {
        let (view, rest) = BatchView::parse(bytes).unwrap();
        view.check_crc().unwrap();
        assert!(rest.is_empty());
        view
    }

    /// Offset, timestamp, key, value and number of headers of a record.
    type Read = (i64, i64, Vec<u8>, Option<Vec<u8>>, usize);

    fn read(batch: &BatchView<'_>) -> Vec<Read> {
        let records = batch.records(&Limits::default()).unwrap();
        let read = records.iter().map(|record| {
            let record = record.unwrap();
            let (key, value) = (record.key.unwrap().to_vec(), record.value.map(<[u8]>::to_vec));
            (record.offset, record.timestamp, key, value, record.headers().len())
        });
        read.collect()
    }

    #[test]
    fn what_stays_is_as_it_was_and_where_it_was() {
        for codec in Codec::ALL {
            let bytes = batch(codec);
            let before = view(&bytes);
            let mut thinner = Thinner::default();
            for horizon in [None, Some(BASE_MS + 86_400_000)] {
                let thinned = thinner.thin(&before, &Limits::default(), horizon, |record| record.offset % 3 == 0);
                assert_eq!(thinned.unwrap(), Thinned::Rebuilt, "{codec:?}");
                let after = view(thinner.rebuilt());
                let expected: Vec<_> = read(&before).into_iter().filter(|(offset, ..)| offset % 3 == 0).collect();
                assert_eq!(read(&after), expected, "{codec:?} {horizon:?}");
                assert_eq!((after.base_offset(), after.last_offset(), after.leader_epoch()), (100, 109, 5));
                assert_eq!((after.producer_id(), after.producer_epoch(), after.base_sequence()), (7, 3, 42));
                assert_eq!((after.codec(), after.max_timestamp()), (codec, BASE_MS + 8));
                assert_eq!(after.delete_horizon_ms(), None, "no tombstone stays: 103 and 107 went");
            }
        }
    }

    #[test]
    fn a_tombstone_that_stays_gets_its_horizon_once() {
        for codec in Codec::ALL {
            let bytes = batch(codec);
            let before = view(&bytes);
            let mut thinner = Thinner::default();
            let horizon = BASE_MS + 86_400_000;
            let thinned = thinner.thin(&before, &Limits::default(), Some(horizon), |_| true).unwrap();
            assert_eq!(thinned, Thinned::Rebuilt, "the base timestamp changes");
            let left = thinner.rebuilt().to_vec();
            let after = view(&left);
            assert_eq!((after.delete_horizon_ms(), read(&after)), (Some(horizon), read(&before)), "{codec:?}");
            let again = thinner.thin(&after, &Limits::default(), Some(horizon + 1), |_| true).unwrap();
            assert_eq!(again, Thinned::All);
            let thinned = thinner.thin(&after, &Limits::default(), None, |r| r.has_value).unwrap();
            assert_eq!(thinned, Thinned::Rebuilt, "tombstones go");
            let less = view(thinner.rebuilt());
            assert_eq!(less.delete_horizon_ms(), Some(horizon), "it stays with the batch");
            assert!(read(&less).iter().all(|(_, _, _, value, _)| value.is_some()));
        }
    }

    #[test]
    fn nothing_and_all_need_no_bytes() {
        let bytes = batch(Codec::Lz4);
        let batch = view(&bytes);
        let mut thinner = Thinner::default();
        assert_eq!(thinner.thin(&batch, &Limits::default(), None, |_| true).unwrap(), Thinned::All);
        assert_eq!(thinner.thin(&batch, &Limits::default(), Some(1), |_| false).unwrap(), Thinned::Nothing);
        thinner.empty(&batch);
        let empty = view(thinner.rebuilt());
        assert_eq!((empty.record_count(), empty.size_bytes(), empty.last_offset()), (0, HEADER_LEN, 109));
        assert_eq!((empty.last_sequence(), empty.max_timestamp()), (51, NO_TIMESTAMP));
        assert!(read(&empty).is_empty());
    }

    #[test]
    fn the_brokers_timestamp_stays_that_of_the_batch() {
        let mut bytes = batch(Codec::None);
        super::super::set_log_append_time(&mut bytes, BASE_MS + 500);
        let mut thinner = Thinner::default();
        let thinned = thinner.thin(&view(&bytes), &Limits::default(), Some(BASE_MS), |record| record.offset > 105);
        assert_eq!(thinned.unwrap(), Thinned::Rebuilt);
        let after = view(thinner.rebuilt());
        assert!(read(&after).iter().all(|&(_, timestamp, ..)| timestamp == BASE_MS + 500));
    }

    #[test]
    fn damaged_records_are_refused_and_never_read_past_their_end() {
        let bytes = batch(Codec::None);
        for at in HEADER_LEN..bytes.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bad = bytes.clone();
                bad[at] = value;
                let Ok((view, _)) = BatchView::parse(&bad) else { continue };
                // Either way is fine, as long as it ends.
                let _ = Thinner::default().thin(&view, &Limits::default(), Some(1), |record| record.offset % 2 == 0);
            }
        }
    }
}

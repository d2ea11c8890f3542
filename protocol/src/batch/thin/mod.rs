//! A batch with some of its records gone, as compaction leaves it: base offset, last offset, producer and sequence stay, so
//! that offsets keep their meaning and a producer finds its last sequence. Which records go is the caller's business.
//!
//! Records are copied as they lie; only where a delete horizon takes the place of the base timestamp (KIP-534) is each one's
//! timestamp delta written anew. Headers of records are passed over by the record's length: they were checked when the batch
//! was accepted.
//!
//! Batches can be large, and whoever goes through them may have more urgent things to do. So every step is a piece of bounded
//! size:
//!
//! ```text
//!   open ─> unpack … ─> look … ─> keep … ─> decide ─> rebuild …
//! ```

mod walk;
mod write;

pub use walk::{RawRecord, Walk};

use super::edit::seal;
use super::header::put;
use super::layout::{self, HEADER_LEN, LENGTH_PREFIX_LEN};
use super::{Attributes, BatchError, BatchView, Limits, NO_TIMESTAMP, TimestampType};
use crate::compress::{Codec, Codecs, CompressError, Decoder};
use std::io::Read;
use walk::Place;
use write::Writing;

/// Compressed bytes of a batch that is decompressed in one step.
const AT_ONCE_PACKED_BYTES: usize = 64 << 10;

/// Plain bytes that one step of decompression or compression handles: a fraction of a millisecond of any codec but gzip.
const PIECE_BYTES: usize = 128 << 10;

/// What is left of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinned {
    /// Everything, unchanged.
    All,
    /// What [`Thinner::rebuild`] makes, and [`Thinner::rebuilt`] has then.
    Rebuilt,
    /// No record.
    Nothing,
}

/// Memory that is used again for each batch. The module says in which order it is called.
#[derive(Default)]
pub struct Thinner {
    codecs: Codecs,
    plain: Vec<u8>,
    /// The records that stay.
    kept: Vec<Place>,
    keeps_tombstone: bool,
    writing: Writing,
    out: Vec<u8>,
}

/// A batch whose records are gone through.
pub struct Opened<'a> {
    batch: BatchView<'a>,
    body: Body<'a>,
}

/// Where the plain records are.
enum Body<'a> {
    /// In the batch.
    AsIs,
    /// So many of them with the thinner, the others not decompressed yet.
    Packed(Box<Decoder<'a>>, usize),
    /// All so many bytes with the thinner.
    Plain(usize),
}

impl Opened<'_> {
    fn bytes<'b>(&'b self, plain: &'b [u8]) -> &'b [u8] {
        match self.body {
            Body::AsIs => self.batch.body(),
            Body::Packed(_, len) | Body::Plain(len) => &plain[..len],
        }
    }
}

impl Thinner {
    /// Begins with the next batch; `limits` bound what its decompression may cost.
    pub fn open<'a>(&mut self, batch: &BatchView<'a>, limits: &Limits) -> Result<Opened<'a>, BatchError> {
        self.kept.clear();
        self.keeps_tombstone = false;
        // A batch that compaction emptied has nothing to decompress.
        let is_plain = batch.codec() == Codec::None || batch.record_count() == 0;
        let body = if is_plain { Body::AsIs } else { self.open_packed(batch, limits)? };
        Ok(Opened { batch: *batch, body })
    }

    fn open_packed<'a>(&mut self, batch: &BatchView<'a>, limits: &Limits) -> Result<Body<'a>, BatchError> {
        let (codec, packed) = (batch.codec(), batch.body());
        if packed.len() <= AT_ONCE_PACKED_BYTES {
            let room = PIECE_BYTES.min(limits.decompressed_bytes_max);
            self.plain.resize(self.plain.len().max(room), 0);
            if let Some(len) = self.codecs.unpack(codec, packed, &mut self.plain[..room]) {
                return Ok(Body::Plain(len));
            }
        }
        Ok(Body::Packed(Box::new(Decoder::new(codec, packed, limits.decompressed_bytes_max)?), 0))
    }

    /// Decompresses a piece; true once all records are plain.
    pub fn unpack(&mut self, opened: &mut Opened<'_>) -> Result<bool, BatchError> {
        let Body::Packed(decoder, filled) = &mut opened.body else { return Ok(true) };
        let upto = *filled + PIECE_BYTES;
        if self.plain.len() < upto {
            self.plain.resize(upto.max(2 * *filled), 0);
        }
        while *filled < upto {
            let count = decoder.read(&mut self.plain[*filled..upto]);
            match count.map_err(|error| CompressError::from_io(opened.batch.codec(), error))? {
                0 => {
                    opened.body = Body::Plain(*filled);
                    return Ok(true);
                }
                count => *filled += count,
            }
        }
        Ok(false)
    }

    /// Shows the next records to `visit`, `most` at most; true while there are more.
    pub fn look(
        &self,
        opened: &Opened<'_>,
        walk: &mut Walk,
        most: usize,
        mut visit: impl FnMut(&RawRecord<'_>),
    ) -> Result<bool, BatchError> {
        walk.go(&opened.batch, opened.bytes(&self.plain), most, |record, _| visit(record))
    }

    /// Notes which of the next records stay, `most` at most; true while there are more.
    pub fn keep(
        &mut self,
        opened: &Opened<'_>,
        walk: &mut Walk,
        most: usize,
        mut stays: impl FnMut(&RawRecord<'_>) -> bool,
    ) -> Result<bool, BatchError> {
        let Thinner { plain, kept, keeps_tombstone, .. } = self;
        walk.go(&opened.batch, opened.bytes(plain), most, |record, place| {
            if stays(record) {
                *keeps_tombstone |= !record.has_value;
                kept.push(place);
            }
        })
    }

    /// What is left of the batch, now that all its records were gone through. `horizon_ms` becomes its delete horizon if a
    /// tombstone stays and it has none yet.
    pub fn decide(&mut self, opened: &Opened<'_>, horizon_ms: Option<i64>) -> Thinned {
        let batch = &opened.batch;
        let horizon_ms = horizon_ms.filter(|_| self.keeps_tombstone && batch.delete_horizon_ms().is_none());
        if self.kept.is_empty() {
            return Thinned::Nothing;
        }
        if self.kept.len() == batch.record_count() as usize && horizon_ms.is_none() {
            return Thinned::All;
        }
        self.out.clear();
        self.out.extend_from_slice(&batch.bytes()[..HEADER_LEN]);
        self.writing.begin(batch, &self.kept, horizon_ms);
        Thinned::Rebuilt
    }

    /// Writes a piece of what is left; true once all of it is there.
    pub fn rebuild(&mut self, opened: &Opened<'_>) -> bool {
        let Thinner { codecs, plain, kept, writing, out, .. } = self;
        let batch = &opened.batch;
        if !writing.piece(batch, opened.bytes(plain), kept, codecs, out) {
            return false;
        }
        if let Some(horizon) = writing.horizon_ms() {
            let flags = batch.attributes().0 | Attributes::DELETE_HORIZON;
            put(out, layout::ATTRIBUTES, flags.to_be_bytes());
            put(out, layout::BASE_TIMESTAMP, horizon.to_be_bytes());
        }
        if batch.timestamp_type() == TimestampType::CreateTime {
            let newest = kept.iter().map(|place| batch.base_timestamp().wrapping_add(place.timestamp_delta)).max();
            put(out, layout::MAX_TIMESTAMP, newest.unwrap_or(NO_TIMESTAMP).to_be_bytes());
        }
        put(out, layout::RECORD_COUNT, (kept.len() as i32).to_be_bytes());
        finish(out);
        true
    }

    /// The batch that [`Thinner::rebuild`] or [`Thinner::empty`] made last.
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
}

fn finish(bytes: &mut [u8]) {
    let length = (bytes.len() - LENGTH_PREFIX_LEN) as i32;
    put(bytes, layout::BATCH_LENGTH, length.to_be_bytes());
    seal(bytes);
}

#[cfg(test)]
mod tests {
    use super::super::{BatchBuilder, Header, NO_TIMESTAMP};
    use super::*;
    use crate::compress::Codec;

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

    impl Thinner {
        /// All steps in a row.
        fn thin(
            &mut self,
            batch: &BatchView<'_>,
            limits: &Limits,
            horizon_ms: Option<i64>,
            stays: impl FnMut(&RawRecord<'_>) -> bool,
        ) -> Result<Thinned, BatchError> {
            let mut opened = self.open(batch, limits)?;
            while !self.unpack(&mut opened)? {}
            assert!(!self.keep(&opened, &mut Walk::default(), usize::MAX, stays)?);
            let thinned = self.decide(&opened, horizon_ms);
            while thinned == Thinned::Rebuilt && !self.rebuild(&opened) {}
            Ok(thinned)
        }
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

    /// More than is done at once, in and out.
    #[test]
    fn large_batches_are_gone_through_in_pieces() {
        for codec in Codec::ALL {
            let mut builder = BatchBuilder::new().compression(codec, None).position(100, 5);
            let mut state = 1_u32;
            for n in 0..9_000_i64 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let value: Vec<u8> =
                    (0..90).map(|at| if at % 3 == 0 { (state >> (at % 24)) as u8 } else { b'v' }).collect();
                builder.append(BASE_MS + n, Some(&n.to_be_bytes()), (n % 8 > 0).then_some(&value), &[]);
            }
            let bytes = builder.build();
            let before = view(&bytes);
            let mut thinner = Thinner::default();
            for horizon in [None, Some(BASE_MS + 7)] {
                let mut opened = thinner.open(&before, &Limits::default()).unwrap();
                let (mut pieces, mut looks, mut writes) = (1, 1, 1);
                while !thinner.unpack(&mut opened).unwrap() {
                    pieces += 1;
                }
                let mut walk = Walk::default();
                while thinner.keep(&opened, &mut walk, 1_000, |record| record.offset % 16 != 5).unwrap() {
                    looks += 1;
                }
                assert_eq!(thinner.decide(&opened, horizon), Thinned::Rebuilt);
                while !thinner.rebuild(&opened) {
                    writes += 1;
                }
                assert!(
                    (looks, writes > 3, pieces > 3) == (9, true, codec != Codec::None),
                    "{looks} {writes} {pieces}"
                );
                let after = view(thinner.rebuilt());
                let expected: Vec<_> = read(&before).into_iter().filter(|(offset, ..)| offset % 16 != 5).collect();
                assert!(read(&after) == expected, "{codec:?} {horizon:?}");
                assert_eq!(after.delete_horizon_ms(), horizon);
            }
        }
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

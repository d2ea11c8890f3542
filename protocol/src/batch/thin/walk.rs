//! Going through the plain records of a batch as far as compaction looks at them: offset, key, and whether there is a value.

use super::super::{BatchError, BatchView};

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

/// Where a record that stays lies in the plain bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) start: usize,
    /// Behind the timestamp delta.
    pub(super) rest: usize,
    pub(super) end: usize,
    pub(super) timestamp_delta: i64,
}

/// How far one has come in a batch; a copy goes on from there, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    at: usize,
    index: i32,
}

impl Walk {
    /// Shows the next records to `visit`, `most` at most; true while there are more.
    pub(super) fn go<'a>(
        &mut self,
        batch: &BatchView<'_>,
        body: &'a [u8],
        most: usize,
        mut visit: impl FnMut(&RawRecord<'a>, Place),
    ) -> Result<bool, BatchError> {
        let (base_offset, last_offset_delta) = (batch.base_offset(), batch.last_offset_delta());
        let left = batch.record_count() - self.index;
        let upto = self.index + i32::try_from(most).map_or(left, |most| left.min(most));
        while self.index < upto {
            let flaw = |reason| BatchError::Record { index: self.index, reason };
            let (record, place) =
                record(body, self.at, base_offset).ok_or_else(|| flaw("it is not what a record looks like"))?;
            if !(0..=i64::from(last_offset_delta)).contains(&(record.offset - base_offset)) {
                return Err(flaw("its offset lies outside the batch"));
            }
            self.at = place.end;
            self.index += 1;
            visit(&record, place);
        }
        Ok(self.index < batch.record_count())
    }
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

/// A zigzag varint of any length. Nearly all of a record's have one byte or two.
#[inline]
fn varlong(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let (raw, len) = match *bytes.get(*at..)? {
        [first, ..] if first < 0x80 => (u64::from(first), 1),
        [first, second, ..] if second < 0x80 => (u64::from(first & 0x7f) | u64::from(second) << 7, 2),
        ref rest => long_varlong(rest)?,
    };
    *at += len;
    Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

#[cold]
fn long_varlong(rest: &[u8]) -> Option<(u64, usize)> {
    let mut raw = 0_u64;
    for (n, &byte) in rest.iter().enumerate().take(10) {
        raw |= u64::from(byte & 0x7f) << (7 * n);
        if byte < 0x80 {
            return Some((raw, n + 1));
        }
    }
    None
}

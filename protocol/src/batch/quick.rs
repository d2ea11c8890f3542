//! The usual record, checked in one pass over bytes in memory: no headers, small deltas, lengths that come out.
//!
//! It says yes or nothing at all. What it does not take goes through [`fields`](super::fields), which alone knows the
//! whole grammar and gives the reasons; a test holds the two against each other on damaged records.

use super::fields::Fields;

/// A record that ends exactly where its length says, and how many bytes it takes; `None` for any other.
#[inline]
pub(super) fn record(bytes: &[u8]) -> Option<(Fields<()>, usize)> {
    let mut at = 0;
    let length = usize::try_from(varint(bytes, &mut at)?).ok()?;
    let end = at.checked_add(length).filter(|&end| end <= bytes.len())?;
    let bytes = &bytes[..end];
    // The attributes have no meaning yet.
    at += 1;
    let timestamp_delta = i64::from(varint(bytes, &mut at)?);
    let offset_delta = varint(bytes, &mut at)?;
    let key = skip(bytes, &mut at)?;
    let value = skip(bytes, &mut at)?;
    let closes = at + 1 == end && bytes[at] == 0;
    closes.then_some((Fields { timestamp_delta, offset_delta, key, value, header_count: 0 }, end))
}

/// Passes over a length and its bytes; the inner `None` is a null.
#[inline]
fn skip(bytes: &[u8], at: &mut usize) -> Option<Option<()>> {
    let len = varint(bytes, at)?;
    if len == -1 {
        return Some(None);
    }
    let end = at.checked_add(usize::try_from(len).ok()?)?;
    *at = end;
    (end <= bytes.len()).then_some(Some(()))
}

/// A zigzag varint of at most four bytes.
#[inline]
fn varint(bytes: &[u8], at: &mut usize) -> Option<i32> {
    let rest = bytes.get(*at..)?;
    let (raw, len) = match *rest {
        [a, ..] if a < 0x80 => (u32::from(a), 1),
        [a, b, ..] if b < 0x80 => (u32::from(a & 0x7f) | u32::from(b) << 7, 2),
        [a, b, c, ..] if c < 0x80 => (u32::from(a & 0x7f) | u32::from(b & 0x7f) << 7 | u32::from(c) << 14, 3),
        [a, b, c, d, ..] if d < 0x80 => {
            (u32::from(a & 0x7f) | u32::from(b & 0x7f) << 7 | u32::from(c & 0x7f) << 14 | u32::from(d) << 21, 4)
        }
        _ => return None,
    };
    *at += len;
    Some((raw >> 1) as i32 ^ -((raw & 1) as i32))
}

#[cfg(test)]
mod tests {
    use super::super::{BatchBuilder, BatchView, Header};
    use super::super::{fields, varint::Cursor};
    use super::record;

    /// Timestamp and offset delta, key and value, bytes taken.
    type Read = (i64, i32, Option<()>, Option<()>, usize);

    /// What the full grammar makes of the same bytes, if it takes them.
    fn slowly(bytes: &[u8]) -> Option<Read> {
        let mut cursor = Cursor::new(bytes);
        let f = fields::open(&mut cursor, |cursor, len| cursor.skip(u64::from(len))).ok()?;
        fields::close(&mut cursor, f.header_count).ok()?;
        Some((f.timestamp_delta, f.offset_delta, f.key, f.value, bytes.len() - cursor.rest().len()))
    }

    fn quickly(bytes: &[u8]) -> Option<Read> {
        record(bytes).map(|(f, len)| (f.timestamp_delta, f.offset_delta, f.key, f.value, len))
    }

    fn body(key: Option<&[u8]>, value: Option<&[u8]>, timestamp: i64, headers: &[Header<'_>]) -> Vec<u8> {
        let mut builder = BatchBuilder::new();
        builder.append(0, None, None, &[]);
        builder.append(timestamp, key, value, headers);
        let batch = builder.build();
        let (view, _) = BatchView::parse(&batch).unwrap();
        view.body().to_vec()
    }

    #[test]
    fn both_ways_agree_on_sound_records() {
        let long = vec![7; 70_000];
        for value in [None, Some(&b""[..]), Some(b"v"), Some(&long[..200]), Some(&long[..20_000]), Some(&long[..])] {
            for timestamp in [0, 1, -1, 100, 5000, 1_000_000] {
                let bytes = body(Some(b"key"), value, timestamp, &[]);
                let (_, first) = record(&bytes).unwrap();
                assert_eq!(quickly(&bytes[first..]), slowly(&bytes[first..]));
                assert!(quickly(&bytes[first..]).is_some());
            }
        }
    }

    #[test]
    fn what_it_takes_the_grammar_takes_too() {
        let bytes = body(Some(b"key"), Some(b"some value"), 300, &[]);
        for at in 0..bytes.len() {
            for value in 0..=255 {
                let mut damaged = bytes.clone();
                damaged[at] = value;
                for start in [0, record(&bytes).unwrap().1] {
                    let quick = quickly(&damaged[start..]);
                    assert!(quick.is_none() || quick == slowly(&damaged[start..]), "byte {at} = {value}");
                }
            }
        }
        assert!(
            (0..bytes.len())
                .all(|cut| record(&bytes[record(&bytes).unwrap().1..cut.max(7)]).is_none() || cut == bytes.len())
        );
    }

    #[test]
    fn headers_and_huge_deltas_are_left_to_the_grammar() {
        let header = Header { key: b"h", value: Some(b"1") };
        for (timestamp, headers) in [(0, &[header][..]), (1 << 40, &[])] {
            let bytes = body(None, Some(b"v"), timestamp, headers);
            let first = record(&bytes).unwrap().1;
            assert!(quickly(&bytes[first..]).is_none() && slowly(&bytes[first..]).is_some());
        }
    }
}

//! Zigzag varints, as records use them, read from anything buffered: a slice of plain records or a decoder's stream.
//!
//! Deliberately apart from the messages' reader: that one borrows from a frame, this one must also work on bytes that exist
//! only a buffer at a time.

use std::io::{self, BufRead};

/// Bytes of the longest 32-bit varint.
const LEN_MAX_32: u32 = 5;
/// Bytes of the longest 64-bit varint.
const LEN_MAX_64: u32 = 10;

/// A cursor over buffered bytes that counts down what may still be read.
pub(super) struct Cursor<R> {
    source: R,
    left: u64,
}

/// Why a value could not be read.
#[derive(Debug)]
pub(super) enum Stop {
    /// The bytes ended, or the allowance did.
    End,
    /// A varint with more bits than its type.
    Overlong,
    /// The source failed.
    Source(io::Error),
}

impl<R: BufRead> Cursor<R> {
    pub(super) fn new(source: R) -> Self {
        Cursor { source, left: u64::MAX }
    }

    /// Allows `count` more bytes and no others.
    pub(super) fn allow(&mut self, count: u64) {
        self.left = count;
    }

    /// Bytes still allowed.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, Stop> {
        if self.left == 0 {
            return Err(Stop::End);
        }
        let byte = *self.source.fill_buf().map_err(Stop::Source)?.first().ok_or(Stop::End)?;
        self.source.consume(1);
        self.left -= 1;
        Ok(byte)
    }

    /// Passes over `count` bytes.
    #[inline]
    pub(super) fn skip(&mut self, count: u64) -> Result<(), Stop> {
        if count > self.left {
            return Err(Stop::End);
        }
        self.left -= count;
        let mut count = count;
        while count > 0 {
            let ready = self.source.fill_buf().map_err(Stop::Source)?.len() as u64;
            if ready == 0 {
                return Err(Stop::End);
            }
            let step = ready.min(count);
            self.source.consume(step as usize);
            count -= step;
        }
        Ok(())
    }

    /// The next `count` bytes. Where they are more than `bytes_max` they are passed over, and it is `None`. The vector grows
    /// with what is really there.
    pub(super) fn collect(&mut self, count: u32, bytes_max: usize) -> Result<Option<Vec<u8>>, Stop> {
        if u64::from(count) > self.left {
            return Err(Stop::End);
        }
        if count as usize > bytes_max {
            return self.skip(u64::from(count)).map(|()| None);
        }
        let mut bytes = Vec::new();
        while bytes.len() < count as usize {
            let ready = self.source.fill_buf().map_err(Stop::Source)?;
            let step = ready.len().min(count as usize - bytes.len());
            if step == 0 {
                return Err(Stop::End);
            }
            bytes.extend_from_slice(&ready[..step]);
            self.source.consume(step);
        }
        self.left -= u64::from(count);
        Ok(Some(bytes))
    }

    /// Whether the source has ended.
    pub(super) fn at_end(&mut self) -> Result<bool, Stop> {
        Ok(self.source.fill_buf().map_err(Stop::Source)?.is_empty())
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<i32, Stop> {
        let raw = self.unsigned(LEN_MAX_32)?;
        let raw = u32::try_from(raw).map_err(|_| Stop::Overlong)?;
        Ok((raw >> 1) as i32 ^ -((raw & 1) as i32))
    }

    #[inline]
    pub(super) fn varlong(&mut self) -> Result<i64, Stop> {
        let raw = self.unsigned(LEN_MAX_64)?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// A varint out of the buffered bytes where it lies there whole, which is nearly always.
    #[inline]
    fn unsigned(&mut self, len_max: u32) -> Result<u64, Stop> {
        let buffered = self.source.fill_buf().map_err(Stop::Source)?;
        let (value, len) = match *buffered {
            [first, ..] if first < 0x80 && self.left > 0 => (u64::from(first), 1),
            [first, second, ..] if second < 0x80 && self.left > 1 => {
                (u64::from(first & 0x7f) | u64::from(second) << 7, 2)
            }
            _ => return self.unsigned_long(len_max),
        };
        self.source.consume(len);
        self.left -= len as u64;
        Ok(value)
    }

    /// A varint byte by byte: three bytes or more, or across the end of the buffer.
    fn unsigned_long(&mut self, len_max: u32) -> Result<u64, Stop> {
        let mut value = 0_u64;
        for index in 0..len_max {
            let byte = self.byte()?;
            // The tenth byte has room for one bit.
            if index == LEN_MAX_64 - 1 && byte > 1 {
                return Err(Stop::Overlong);
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Stop::Overlong)
    }
}

impl<'a> Cursor<&'a [u8]> {
    /// The next `count` bytes, borrowed.
    #[inline]
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Stop> {
        if count as u64 > self.left {
            return Err(Stop::End);
        }
        let (taken, rest) = self.source.split_at_checked(count).ok_or(Stop::End)?;
        self.source = rest;
        self.left -= count as u64;
        Ok(taken)
    }

    /// What has not been read, the allowance aside.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.source
    }
}

/// Appends a zigzag varint of 32 bits.
pub(super) fn put_varint(out: &mut Vec<u8>, value: i32) {
    put_varlong(out, i64::from(value));
}

/// Appends a zigzag varint of 64 bits.
pub(super) fn put_varlong(out: &mut Vec<u8>, value: i64) {
    let mut raw = zigzag(value);
    while raw >= 0x80 {
        out.push(raw as u8 | 0x80);
        raw >>= 7;
    }
    out.push(raw as u8);
}

/// Bytes that [`put_varlong`] appends for `value`.
pub(super) fn varlong_len(value: i64) -> usize {
    // Seven bits a byte, and one byte for zero.
    (64 - (zigzag(value) | 1).leading_zeros() as usize).div_ceil(7)
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

#[cfg(test)]
mod tests {
    use super::{Cursor, Stop, put_varint, put_varlong, varlong_len};

    #[test]
    fn round_trips_at_every_width() {
        for shift in 0..64 {
            for value in [1_i64 << shift, (1_i64 << shift).wrapping_sub(1), (1_i64 << shift).wrapping_neg(), i64::MAX] {
                let mut bytes = Vec::new();
                put_varlong(&mut bytes, value);
                assert_eq!(bytes.len(), varlong_len(value), "{value}");
                assert_eq!(Cursor::new(bytes.as_slice()).varlong().unwrap(), value);
                let narrow = value as i32;
                bytes.clear();
                put_varint(&mut bytes, narrow);
                assert!(bytes.len() <= 5);
                assert_eq!(Cursor::new(bytes.as_slice()).varint().unwrap(), narrow);
            }
        }
    }

    #[test]
    fn overlong_and_short() {
        let check = |bytes: &[u8]| Cursor::new(bytes).varint();
        assert!(matches!(check(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Ok(i32::MIN)));
        assert!(matches!(check(&[0xff, 0xff, 0xff, 0xff, 0x1f]), Err(Stop::Overlong)));
        assert!(matches!(check(&[0x80; 5]), Err(Stop::Overlong)));
        assert!(matches!(check(&[0x80, 0x80]), Err(Stop::End)));
        assert!(matches!(check(&[0x80, 0x00]), Ok(0)), "padding is legal");
        assert!(matches!(Cursor::new([0xff; 10].as_slice()).varlong(), Err(Stop::Overlong)));
    }

    #[test]
    fn the_allowance_is_a_fence() {
        let mut cursor = Cursor::new([2_u8, 4, 6].as_slice());
        cursor.allow(2);
        assert_eq!(cursor.varint().unwrap(), 1);
        assert!(matches!(cursor.take(2), Err(Stop::End)));
        assert_eq!(cursor.take(1).unwrap(), [4]);
        assert!(matches!(cursor.byte(), Err(Stop::End)));
    }
}

//! Kafka's 128-bit ids (topics, directories) and their text form.
//!
//! Making random ids is the business of whoever owns randomness; nothing here does.

use std::fmt;

/// A topic or directory id: 16 bytes, most significant first, as on the wire.
///
/// Its text is URL-safe base64 without padding, 22 characters (`org.apache.kafka.common.Uuid`).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

/// Why a text is not a [`Uuid`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UuidParseError {
    /// Wrong number of characters.
    #[error("an id has 22 characters, got {got}")]
    Length {
        /// Characters found.
        got: usize,
    },
    /// A byte outside the URL-safe alphabet.
    #[error("character {at} of an id is outside A-Z a-z 0-9 - _")]
    Character {
        /// Index of the byte.
        at: usize,
    },
    /// The last character carries bits beyond the 128th.
    #[error("an id ends with bits beyond its 128th")]
    SpareBits,
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const TEXT_LEN: usize = 22;

impl Uuid {
    /// "No id": what versions without ids leave in the field.
    pub const ZERO: Self = Self([0; 16]);

    /// Whether this is [`Uuid::ZERO`].
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 128 bits are 21 full groups of six and one group of two bits, which base64 pads with zeros on the right.
        let bits = u128::from_be_bytes(self.0);
        let text: [u8; TEXT_LEN] = std::array::from_fn(|i| {
            let group = if i < 21 { bits >> (122 - 6 * i) } else { bits << 4 };
            ALPHABET[(group & 63) as usize]
        });
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uuid({self})")
    }
}

impl std::str::FromStr for Uuid {
    type Err = UuidParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != TEXT_LEN {
            return Err(UuidParseError::Length { got: text.chars().count() });
        }
        let mut bits = 0u128;
        for (at, byte) in text.bytes().enumerate() {
            let group = ALPHABET.iter().position(|&a| a == byte).ok_or(UuidParseError::Character { at })? as u128;
            if at < TEXT_LEN - 1 {
                bits = bits << 6 | group;
            } else if group & 15 == 0 {
                bits = bits << 2 | group >> 4;
            } else {
                return Err(UuidParseError::SpareBits);
            }
        }
        Ok(Self(bits.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form() {
        let table = [
            ([0; 16], "AAAAAAAAAAAAAAAAAAAAAA"),
            ([0xff; 16], "_____________________w"),
            ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], "AAECAwQFBgcICQoLDA0ODw"),
        ];
        for (bytes, text) in table {
            assert_eq!(Uuid(bytes).to_string(), text);
            assert_eq!(text.parse(), Ok(Uuid(bytes)));
        }
    }

    #[test]
    fn text_that_is_no_id() {
        assert_eq!("".parse::<Uuid>(), Err(UuidParseError::Length { got: 0 }));
        assert_eq!("AAAAAAAAAAAAAAAAAAAA=A".parse::<Uuid>(), Err(UuidParseError::Character { at: 20 }));
        assert_eq!("AAAAAAAAAAAAAAAAAAAAAB".parse::<Uuid>(), Err(UuidParseError::SpareBits));
    }
}

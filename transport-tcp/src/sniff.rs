//! What a peer that does not speak Kafka probably speaks, from the four bytes that should have been a length.

use std::fmt;

/// A guess at the protocol of unusable first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sniffed {
    /// A TLS handshake record.
    Tls,
    /// An HTTP request line.
    Http,
    /// Nothing we know.
    Unknown,
}

const HTTP_VERBS: [&[u8; 4]; 8] = [b"GET ", b"POST", b"PUT ", b"HEAD", b"DELE", b"OPTI", b"PATC", b"CONN"];

impl Sniffed {
    /// Guesses from the bytes that stand where a frame's length belongs.
    pub(crate) fn guess(prefix: [u8; 4]) -> Sniffed {
        match prefix {
            [0x16, 0x03, ..] => Sniffed::Tls,
            _ if HTTP_VERBS.contains(&&prefix) => Sniffed::Http,
            _ => Sniffed::Unknown,
        }
    }
}

impl fmt::Display for Sniffed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Sniffed::Tls => "this is a plaintext Kafka port, and the peer speaks TLS",
            Sniffed::Http => "this is a Kafka port, and the peer speaks HTTP",
            Sniffed::Unknown => "the peer does not speak the Kafka protocol",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses() {
        for (prefix, guess) in [
            ([0x16, 3, 1, 2], Sniffed::Tls),
            (*b"GET ", Sniffed::Http),
            (*b"POST", Sniffed::Http),
            ([0xFF; 4], Sniffed::Unknown),
        ] {
            assert_eq!(Sniffed::guess(prefix), guess, "{prefix:?}");
        }
    }
}

//! Length-prefixed frames out of a stream that is cut anywhere. Sans-IO: bytes in, frames out, one [`Decoder`] a stream.

use crate::CloseCode;

/// Bytes of the length prefix.
pub const PREFIX_LEN: usize = 4;

/// Room that a frame gets before any of its body has arrived; from there it grows as bytes come.
const FIRST_ROOM: usize = 4096;

/// Why a stream is no longer a sequence of frames. The decoder answers the same error from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The prefix is out of bounds.
    #[error("frame length {got} is not between 1 and {max}")]
    Length {
        /// What the prefix said.
        got: i32,
        /// The largest allowed body, in bytes.
        max: usize,
    },
    /// The stream ended inside a frame.
    #[error("the stream ended after {got} of {expected} bytes of a frame")]
    Cut {
        /// Bytes that arrived, prefix included.
        got: usize,
        /// Bytes of the whole frame, prefix included; only the prefix's own size while that is incomplete.
        expected: usize,
    },
}

impl FrameError {
    /// The code that ends the stream.
    pub fn close_code(self) -> CloseCode {
        match self {
            FrameError::Length { .. } => CloseCode::FrameLength,
            FrameError::Cut { .. } => CloseCode::FrameCut,
        }
    }
}

/// Finds the frames of one direction of one stream.
///
/// Call [`Decoder::push`] for every run of bytes, in order, and [`Decoder::finish`] once when the peer ended the stream.
#[derive(Debug)]
pub struct Decoder {
    max_body: usize,
    prefix: [u8; PREFIX_LEN],
    prefix_len: usize,
    body: Vec<u8>,
    failed: Option<FrameError>,
}

impl Decoder {
    /// For bodies of at most `max_body` bytes.
    pub fn new(max_body: usize) -> Decoder {
        assert!(max_body <= i32::MAX as usize, "a frame length is an int32, got a limit of {max_body}");
        Decoder { max_body, prefix: [0; PREFIX_LEN], prefix_len: 0, body: Vec::new(), failed: None }
    }

    /// Takes the next bytes of the stream and hands every completed body to `on_frame`.
    pub fn push(&mut self, mut bytes: &[u8], mut on_frame: impl FnMut(Vec<u8>)) -> Result<(), FrameError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        while !bytes.is_empty() {
            if self.prefix_len < PREFIX_LEN {
                self.take_prefix(&mut bytes)?;
            }
            if self.prefix_len == PREFIX_LEN && self.take_body(&mut bytes) {
                on_frame(std::mem::take(&mut self.body));
                self.prefix_len = 0;
            }
        }
        Ok(())
    }

    /// The peer ended the stream: fine between two frames.
    pub fn finish(&self) -> Result<(), FrameError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        match (self.prefix_len, self.expected()) {
            (0, _) => Ok(()),
            (PREFIX_LEN, expected) => {
                Err(FrameError::Cut { got: PREFIX_LEN + self.body.len(), expected: PREFIX_LEN + expected })
            }
            (got, _) => Err(FrameError::Cut { got, expected: PREFIX_LEN }),
        }
    }

    /// Bytes held for the unfinished frame.
    pub fn held(&self) -> usize {
        self.body.capacity()
    }

    fn expected(&self) -> usize {
        usize::try_from(i32::from_be_bytes(self.prefix)).unwrap_or(0)
    }

    fn take_prefix(&mut self, bytes: &mut &[u8]) -> Result<(), FrameError> {
        let n = bytes.len().min(PREFIX_LEN - self.prefix_len);
        self.prefix[self.prefix_len..self.prefix_len + n].copy_from_slice(&bytes[..n]);
        self.prefix_len += n;
        *bytes = &bytes[n..];
        let got = i32::from_be_bytes(self.prefix);
        if self.prefix_len == PREFIX_LEN && !(1..=self.max_body as i64).contains(&i64::from(got)) {
            let error = FrameError::Length { got, max: self.max_body };
            self.failed = Some(error);
            return Err(error);
        }
        Ok(())
    }

    /// True once the body is whole.
    fn take_body(&mut self, bytes: &mut &[u8]) -> bool {
        let missing = self.expected() - self.body.len();
        let n = bytes.len().min(missing);
        if self.body.capacity() == 0 {
            self.body.reserve_exact(self.expected().min(FIRST_ROOM.max(n)));
        }
        self.body.extend_from_slice(&bytes[..n]);
        *bytes = &bytes[n..];
        n == missing
    }
}

/// The prefix of a body of `len` bytes.
pub fn prefix(len: usize) -> [u8; PREFIX_LEN] {
    #[expect(clippy::expect_used, reason = "our own frames are bounded far below 2 GiB by the response limits")]
    let len = i32::try_from(len).expect("a frame of ours fits an int32");
    len.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(bodies: &[&[u8]]) -> Vec<u8> {
        bodies.iter().flat_map(|b| [&prefix(b.len())[..], b].concat()).collect()
    }

    fn decode(decoder: &mut Decoder, pieces: &[&[u8]]) -> Result<Vec<Vec<u8>>, FrameError> {
        let mut frames = Vec::new();
        for piece in pieces {
            decoder.push(piece, |f| frames.push(f))?;
        }
        Ok(frames)
    }

    #[test]
    fn frames_survive_every_cut() {
        let bodies: &[&[u8]] = &[b"a", b"four", &[7; 100]];
        let bytes = stream(bodies);
        for cut in 0..=bytes.len() {
            for second in cut..=bytes.len() {
                let mut d = Decoder::new(100);
                let got = decode(&mut d, &[&bytes[..cut], &bytes[cut..second], &bytes[second..]]).unwrap();
                assert_eq!(got, bodies, "cut at {cut} and {second}");
                assert_eq!(d.finish(), Ok(()));
            }
        }
    }

    #[test]
    fn a_length_out_of_bounds_ends_the_stream_for_good() {
        for got in [0, -1, i32::MIN, 101, i32::MAX] {
            let mut d = Decoder::new(100);
            let error = FrameError::Length { got, max: 100 };
            assert_eq!(decode(&mut d, &[&got.to_be_bytes()]), Err(error));
            assert_eq!(decode(&mut d, &[&stream(&[b"fine"])]), Err(error));
            assert_eq!(d.finish(), Err(error));
            assert_eq!(error.close_code(), CloseCode::FrameLength);
        }
    }

    #[test]
    fn an_end_inside_a_frame_says_where() {
        let bytes = stream(&[b"12345"]);
        for cut in 1..bytes.len() {
            let mut d = Decoder::new(100);
            decode(&mut d, &[&bytes[..cut]]).unwrap();
            let expected = if cut < PREFIX_LEN { PREFIX_LEN } else { bytes.len() };
            assert_eq!(d.finish(), Err(FrameError::Cut { got: cut, expected }));
        }
    }

    #[test]
    fn a_claimed_length_reserves_next_to_nothing() {
        let mut d = Decoder::new(100 << 20);
        decode(&mut d, &[&prefix(100 << 20), b"only this"]).unwrap();
        assert!(d.held() <= FIRST_ROOM, "{} bytes held for 9 received", d.held());
    }
}

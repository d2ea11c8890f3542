//! From one codec to another in a stream: what is plain in between is never there as a whole, however much it is.

use std::io::{self, Read, Write};

use flate2::write::GzEncoder;

use super::{Codec, CompressError, Decoder, gzip, lz4, snappy, zstd};

/// Plain bytes in hand at a time: one block of snappy's framing.
const STEP_BYTES: usize = snappy::BLOCK_BYTES;

/// Reads all of `input` and returns it compressed with `codec`, at most `out_bytes_max`; with more it is
/// [`CompressError::TooLarge`]. `level` as in [`compress`](super::compress).
pub fn transcode(
    mut input: Decoder<'_>,
    codec: Codec,
    level: Option<i32>,
    out_bytes_max: usize,
) -> Result<Vec<u8>, CompressError> {
    let typed = |error| CompressError::from_io(codec, error);
    let mut sink = Sink::new(codec, level);
    let mut step = vec![0; STEP_BYTES];
    loop {
        let len = fill(&mut input, &mut step).map_err(typed)?;
        if len == 0 {
            break;
        }
        sink.write(&step[..len]).map_err(typed)?;
        if sink.written() > out_bytes_max {
            return Err(CompressError::TooLarge { cap_bytes: out_bytes_max });
        }
    }
    let out = sink.finish().map_err(typed)?;
    if out.len() > out_bytes_max { Err(CompressError::TooLarge { cap_bytes: out_bytes_max }) } else { Ok(out) }
}

/// Reads until `step` is full or the input ends.
fn fill(input: &mut Decoder<'_>, step: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < step.len() {
        match input.read(&mut step[len..])? {
            0 => break,
            count => len += count,
        }
    }
    Ok(len)
}

/// Compresses what is written to it a piece at a time; only what came out of the codec is kept.
pub(crate) struct Encoder {
    sink: Sink,
    /// Plain bytes that fill no step yet.
    pending: Vec<u8>,
}

impl Encoder {
    /// `level` as in [`compress`](super::compress).
    pub(crate) fn new(codec: Codec, level: Option<i32>) -> Encoder {
        Encoder { sink: Sink::new(codec, level), pending: Vec::with_capacity(STEP_BYTES) }
    }

    /// Takes plain bytes.
    pub(crate) fn write(&mut self, mut plain: &[u8]) {
        while !plain.is_empty() {
            let count = plain.len().min(STEP_BYTES - self.pending.len());
            self.pending.extend_from_slice(&plain[..count]);
            plain = &plain[count..];
            if self.pending.len() == STEP_BYTES {
                self.flush();
            }
        }
    }

    /// Bytes that came out so far; some of what went in is still held back.
    pub(crate) fn written(&self) -> usize {
        self.sink.written()
    }

    /// Everything, compressed.
    #[expect(clippy::expect_used, reason = "a vector takes every byte")]
    pub(crate) fn finish(mut self) -> Vec<u8> {
        if !self.pending.is_empty() {
            self.flush();
        }
        self.sink.finish().expect("a vector takes every byte")
    }

    #[expect(clippy::expect_used, reason = "a vector takes every byte")]
    fn flush(&mut self) {
        self.sink.write(&self.pending).expect("a vector takes every byte");
        self.pending.clear();
    }
}

enum Sink {
    None(Vec<u8>),
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Snappy(Box<snappy::Writer>),
    Lz4(Box<lz4::Writer>),
    Zstd(zstd::Writer),
}

impl Sink {
    fn new(codec: Codec, level: Option<i32>) -> Sink {
        match codec {
            Codec::None => Sink::None(Vec::new()),
            Codec::Gzip => Sink::Gzip(Box::new(gzip::writer(level))),
            Codec::Snappy => Sink::Snappy(Box::new(snappy::Writer::new())),
            Codec::Lz4 => Sink::Lz4(Box::new(lz4::Writer::new(level))),
            Codec::Zstd => Sink::Zstd(zstd::writer(level)),
        }
    }

    fn write(&mut self, plain: &[u8]) -> io::Result<()> {
        match self {
            Sink::None(out) => out.write_all(plain),
            Sink::Gzip(encoder) => encoder.write_all(plain),
            Sink::Snappy(writer) => {
                writer.block(plain);
                Ok(())
            }
            Sink::Lz4(writer) => writer.write_all(plain),
            Sink::Zstd(encoder) => encoder.write_all(plain),
        }
    }

    /// Compressed bytes so far; encoders may hold back some.
    fn written(&self) -> usize {
        match self {
            Sink::None(out) => out.len(),
            Sink::Gzip(encoder) => encoder.get_ref().len(),
            Sink::Snappy(writer) => writer.out.len(),
            Sink::Lz4(writer) => writer.written(),
            Sink::Zstd(encoder) => encoder.get_ref().len(),
        }
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Sink::None(out) => Ok(out),
            Sink::Gzip(encoder) => encoder.finish(),
            Sink::Snappy(writer) => Ok(writer.out),
            Sink::Lz4(writer) => writer.finish(),
            Sink::Zstd(encoder) => encoder.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{compress, decompress_capped};
    use super::*;

    fn plain(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i / 7 % 251) as u8).collect()
    }

    #[test]
    fn every_codec_to_every_other() {
        for len in [1, 1000, STEP_BYTES, STEP_BYTES + 1, 300_000] {
            for from in Codec::ALL {
                let input = compress(from, None, &plain(len));
                for to in Codec::ALL {
                    let decoder = Decoder::new(from, &input, usize::MAX).unwrap();
                    let out = transcode(decoder, to, None, 1 << 20).unwrap();
                    assert_eq!(decompress_capped(to, &out, usize::MAX).unwrap(), plain(len), "{from:?} {to:?} {len}");
                }
            }
        }
    }

    #[test]
    fn pieces_of_any_size_come_out_as_one_stream() {
        for codec in Codec::ALL {
            for piece in [1, 7, STEP_BYTES, STEP_BYTES + 1] {
                let whole = plain(70_000);
                let mut encoder = Encoder::new(codec, None);
                whole.chunks(piece).for_each(|piece| encoder.write(piece));
                assert!(encoder.written() <= 70_000 + 64, "{codec:?}");
                assert_eq!(
                    decompress_capped(codec, &encoder.finish(), usize::MAX).unwrap(),
                    whole,
                    "{codec:?} {piece}"
                );
            }
        }
    }

    #[test]
    fn both_caps_hold() {
        let input = compress(Codec::Zstd, None, &plain(300_000));
        for (plain_max, out_max, cap_bytes) in [(299_999, 1 << 20, 299_999), (300_000, 299_999, 299_999)] {
            let decoder = Decoder::new(Codec::Zstd, &input, plain_max).unwrap();
            let error = transcode(decoder, Codec::None, None, out_max).unwrap_err();
            assert_eq!(error, CompressError::TooLarge { cap_bytes });
        }
    }
}

//! The records that stay, written one behind the other a piece at a time, and compressed again where they were.

use super::super::BatchView;
use super::super::varint::{put_varint, put_varlong};
use super::PIECE_BYTES;
use super::walk::Place;
use crate::compress::{Codec, Codecs, Encoder};

/// Bytes that a record grows by at most where its timestamp is written anew: the longest varint of it, and its length's.
const MOVED_BYTES_MAX: usize = 12;

/// How far a batch is written.
#[derive(Default)]
pub(super) struct Writing {
    /// Takes the place of the base timestamp.
    horizon_ms: Option<i64>,
    /// The first of the records that stay which is not written.
    next: usize,
    /// A piece that is to be compressed.
    piece: Vec<u8>,
    /// For what is more than one piece.
    encoder: Option<Encoder>,
}

impl Writing {
    pub(super) fn begin(&mut self, batch: &BatchView<'_>, kept: &[Place], horizon_ms: Option<i64>) {
        (self.horizon_ms, self.next) = (horizon_ms, 0);
        self.piece.clear();
        // A timestamp that counts from elsewhere may be longer.
        let longer = if horizon_ms.is_some() { MOVED_BYTES_MAX } else { 0 };
        let bytes: usize = kept.iter().map(|place| place.end - place.start + longer).sum();
        let in_pieces = batch.codec() != Codec::None && bytes > PIECE_BYTES / 2;
        self.encoder = in_pieces.then(|| Encoder::new(batch.codec(), None));
    }

    pub(super) fn horizon_ms(&self) -> Option<i64> {
        self.horizon_ms
    }

    /// Puts a piece behind `out`; true once it was the last one.
    pub(super) fn piece(
        &mut self,
        batch: &BatchView<'_>,
        body: &[u8],
        kept: &[Place],
        codecs: &mut Codecs,
        out: &mut Vec<u8>,
    ) -> bool {
        if batch.codec() == Codec::None {
            self.next = put_records(out, batch, body, kept, self.next, self.horizon_ms);
            return self.next == kept.len();
        }
        self.piece.clear();
        self.next = put_records(&mut self.piece, batch, body, kept, self.next, self.horizon_ms);
        let is_last = self.next == kept.len();
        match &mut self.encoder {
            None => codecs.pack(batch.codec(), &self.piece, out),
            Some(encoder) => encoder.write(&self.piece),
        }
        if let Some(encoder) = self.encoder.take_if(|_| is_last) {
            out.extend_from_slice(&encoder.finish());
        }
        is_last
    }
}

/// Appends records from `next` on, about half of [`PIECE_BYTES`]; the first that is left.
fn put_records(
    out: &mut Vec<u8>,
    batch: &BatchView<'_>,
    body: &[u8],
    kept: &[Place],
    mut next: usize,
    horizon_ms: Option<i64>,
) -> usize {
    let upto = out.len() + PIECE_BYTES / 2;
    while let Some(place) = kept.get(next).filter(|_| out.len() <= upto) {
        match horizon_ms {
            None => out.extend_from_slice(&body[place.start..place.end]),
            Some(horizon) => put_moved(out, body, place, batch.base_timestamp(), horizon),
        }
        next += 1;
    }
    next
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

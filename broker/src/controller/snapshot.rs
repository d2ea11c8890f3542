//! The whole metadata in one piece, so that a start need not replay the log from its beginning. The layout is stated in
//! `broker/METADATA.md`.

use super::ReplayError;
use super::record::{Record, RecordError};
use crate::image::MetadataImage;

/// Bytes of a record's length field.
const LENGTH: usize = 4;

/// All records that make `image`, each behind its length.
pub fn encode(image: &MetadataImage) -> Vec<u8> {
    let mut out = Vec::new();
    for record in image.records() {
        let bytes = record.encode();
        #[expect(clippy::expect_used, reason = "a record is bounded by the request frame that it came from")]
        let len = u32::try_from(bytes.len()).expect("a record is smaller than 4 GiB");
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(&bytes);
    }
    out
}

/// The image as of offset `upto`.
pub fn decode(mut image: MetadataImage, upto: i64, mut bytes: &[u8]) -> Result<MetadataImage, ReplayError> {
    let cut = || ReplayError::Record { offset: upto, error: RecordError::Malformed { record_type: 0, position: 0 } };
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<LENGTH>().ok_or_else(cut)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| cut())?;
        let (record, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
        let record = Record::decode(record).map_err(|error| ReplayError::Record { offset: upto, error })?;
        image.apply(&record).map_err(|error| ReplayError::Apply { offset: upto, error })?;
        bytes = rest;
    }
    image.advance(upto);
    Ok(image)
}

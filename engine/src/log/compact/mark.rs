//! What is remembered of compaction, a log: `ringlog.compacted`. It says where gaps between offsets may be, which a start has to
//! know, and which part was cleaned. Everything is there twice, so that one flipped bit takes nothing.

use crate::log::copies::first_difference;
use crate::log::envelope::{self, EnvelopeError, Kind};
use crate::log::limits::STATE_BYTES_MAX;
use crate::log::{names, tasks};
use crate::shard::Io;
use std::io;
use std::path::Path;

/// Bytes of the payload.
const MARK_LEN: usize = 16;
/// Where the second copy begins.
const COPY_AT: usize = 4096;

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::log) struct Mark {
    /// From this offset on there are no gaps. Everything below was sealed and flushed when this was written, so no journal
    /// holds anything of it that its segment needs.
    pub(in crate::log) gaps_below: i64,
    /// What has never been cleaned begins here.
    pub(in crate::log) first_dirty: i64,
}

/// A mark as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::log) struct FoundMark {
    pub(in crate::log) mark: Mark,
    /// What is wrong with one of its copies, and at which byte.
    pub(in crate::log) wrong: Option<(usize, String)>,
}

impl Mark {
    pub(in crate::log) fn to_file(self) -> Vec<u8> {
        let payload = [self.gaps_below.to_le_bytes(), self.first_dirty.to_le_bytes()].concat();
        let mut file = envelope::seal(Kind::Compaction, &payload);
        let copy = file.clone();
        file.resize(COPY_AT, 0);
        file.extend_from_slice(&copy);
        file
    }

    /// The mark in a file of which at least one copy can be believed.
    pub(in crate::log) fn from_file(file: &[u8]) -> Result<FoundMark, EnvelopeError> {
        let copies = [file.get(..COPY_AT), file.get(COPY_AT..)].map(|copy| Mark::decode(copy.unwrap_or_default()));
        let (mark, wrong) = match copies {
            [Ok(mark), second] => (mark, second.err().map(|error| (COPY_AT, error.to_string()))),
            [Err(error), Ok(mark)] => (mark, Some((0, error.to_string()))),
            [Err(error), Err(_)] => return Err(error),
        };
        let meant = mark.to_file();
        let wrong = wrong.or_else(|| first_difference(&meant, file).map(|at| (at, "not what was written".to_owned())));
        Ok(FoundMark { mark, wrong })
    }

    fn decode(copy: &[u8]) -> Result<Mark, EnvelopeError> {
        let payload = envelope::open(Kind::Compaction, copy)?;
        let bad = || EnvelopeError::Payload(format!("{} bytes, expected {MARK_LEN}", payload.len()));
        let (gaps_below, rest) = payload.split_first_chunk::<8>().ok_or_else(bad)?;
        let first_dirty = <[u8; 8]>::try_from(rest).map_err(|_| bad())?;
        Ok(Mark { gaps_below: i64::from_le_bytes(*gaps_below), first_dirty: i64::from_le_bytes(first_dirty) })
    }

    /// Makes it durable.
    pub(in crate::log) async fn write(self, io: &Io, dir: &Path) -> io::Result<()> {
        tasks::replace(io, &dir.join(names::COMPACTED), self.to_file()).await
    }
}

/// The mark of a log; `None` where there is no such file. The inner error says why it cannot be believed.
pub(in crate::log) async fn load(io: &Io, dir: &Path) -> io::Result<Option<Result<FoundMark, EnvelopeError>>> {
    match tasks::read_whole(io, &dir.join(names::COMPACTED), STATE_BYTES_MAX).await {
        Ok(file) => Ok(Some(Mark::from_file(&file))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_flipped_bit_takes_nothing_and_is_noticed() {
        let mark = Mark { gaps_below: 1 << 40, first_dirty: 77 };
        let file = mark.to_file();
        assert_eq!(Mark::from_file(&file), Ok(FoundMark { mark, wrong: None }));
        for bit in (0..file.len() * 8).step_by(7) {
            let mut bad = file.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let found = Mark::from_file(&bad).unwrap();
            assert_eq!(found.mark, mark, "bit {bit}");
            assert!(found.wrong.is_some(), "bit {bit}");
        }
        assert!(Mark::from_file(&[]).is_err());
    }
}

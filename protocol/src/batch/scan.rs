//! Batch after batch out of a fetch response or a piece of a log.

use super::{BatchError, BatchView};

/// Iterates over the batches of `bytes`. The end of the bytes ends the iteration; anything that is no whole batch is its last
/// item: [`BatchError::is_partial`] tells a batch that continues elsewhere from damage. Checksums are not looked at.
#[must_use]
pub fn iter_batches(bytes: &[u8]) -> Batches<'_> {
    Batches { rest: bytes, position: 0, stopped: false }
}

/// See [`iter_batches`].
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    rest: &'a [u8],
    position: usize,
    stopped: bool,
}

impl<'a> Batches<'a> {
    /// Bytes of the whole batches seen so far: where the next batch, or what is none, begins.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<BatchView<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.stopped || self.rest.is_empty() {
            return None;
        }
        match BatchView::parse(self.rest) {
            Ok((batch, rest)) => {
                self.rest = rest;
                self.position += batch.size_bytes();
                Some(Ok(batch))
            }
            Err(error) => {
                self.stopped = true;
                Some(Err(error))
            }
        }
    }
}

impl std::iter::FusedIterator for Batches<'_> {}

//! How much memory of one kind is alive, wherever it is by now.

use crate::sync::{Arc, AtomicUsize, Ordering};

/// Counts the memory of all buffers made with it, from then on until the last slice of each is dropped, on any thread.
///
/// ```
/// # use engine::mem::{Buf, Gauge};
/// let gauge = Gauge::default();
/// let slice = Buf::counted(5000, &gauge).freeze();
/// assert_eq!(gauge.bytes(), 8192, "whole blocks");
/// drop(slice);
/// assert_eq!(gauge.bytes(), 0);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicUsize>);

impl Gauge {
    /// Bytes alive now. Nothing is ordered by it: a moment later there may be fewer.
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self, bytes: usize) -> Counted {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Counted { gauge: self.clone(), bytes }
    }
}

/// Takes its bytes off the gauge when dropped.
pub(super) struct Counted {
    gauge: Gauge,
    bytes: usize,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.gauge.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Buf;
    use super::*;

    #[test]
    fn a_buffer_counts_until_its_last_slice_is_gone_wherever_that_is() {
        let gauge = Gauge::default();
        let mut first = Buf::counted(4096, &gauge);
        first.fill_zero(10);
        let first = first.freeze();
        let second = Buf::counted(1 << 20, &gauge);
        assert_eq!(gauge.bytes(), 4096 + (1 << 20));
        let part = first.slice(5..10);
        drop((first, second));
        assert_eq!(gauge.bytes(), 4096);
        std::thread::scope(|scope| {
            scope.spawn(|| drop(part));
        });
        assert_eq!(gauge.bytes(), 0);
        drop(Buf::with_capacity(4096));
        assert_eq!(gauge.bytes(), 0);
    }
}

//! Requests on their way to a socket. Small ones are copied together, so that one call sends all that are due; of large ones
//! only places are kept, and one vectored call sends several from where they lie.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::rc::Rc;

/// Requests from here on are sent from where they lie, in bytes.
const LARGE: usize = 8 * 1024;

/// Most pieces in one vectored send.
const PIECES_MAX: usize = 16;

/// A request that is encoded once: what differs between partitions, then the batch that all of them share and that so stays
/// in the processor's cache.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// Length, header, topic, partition.
    pub head: Rc<[u8]>,
    /// The record batch.
    pub batch: Rc<[u8]>,
}

impl Frame {
    fn len(&self) -> usize {
        self.head.len() + self.batch.len()
    }

    /// What is left after `at` bytes.
    fn rest(&self, at: usize) -> [&[u8]; 2] {
        let batch_at = at.saturating_sub(self.head.len());
        [&self.head[at.min(self.head.len())..], &self.batch[batch_at..]]
    }
}

/// What one connection has still to send. A connection's requests are either all small or all large.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    small: Vec<u8>,
    /// Sent bytes of `small`, or of the first of `large`.
    at: usize,
    large: VecDeque<Frame>,
}

impl Outbox {
    /// Takes a request.
    pub(super) fn push(&mut self, frame: &Frame) {
        if frame.len() >= LARGE {
            self.large.push_back(frame.clone());
        } else {
            self.small.extend_from_slice(&frame.head);
            self.small.extend_from_slice(&frame.batch);
        }
    }

    /// Takes the bytes of a request.
    pub(super) fn push_bytes(&mut self, bytes: &[u8]) {
        self.small.extend_from_slice(bytes);
    }

    /// Writes until nothing is left (true) or the socket takes no more.
    pub(super) fn flush(&mut self, socket: &mut impl Write) -> io::Result<bool> {
        loop {
            let sent = if !self.small.is_empty() {
                socket.write(&self.small[self.at..])
            } else if !self.large.is_empty() {
                self.write_large(socket)
            } else {
                return Ok(true);
            };
            match sent {
                Ok(n) => self.advance(n),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn write_large(&self, socket: &mut impl Write) -> io::Result<usize> {
        let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
        let mut count = 0;
        let mut at = self.at;
        for frame in self.large.iter().take(PIECES_MAX / 2) {
            for piece in frame.rest(at) {
                pieces[count] = IoSlice::new(piece);
                count += 1;
            }
            at = 0;
        }
        socket.write_vectored(&pieces[..count])
    }

    fn advance(&mut self, sent: usize) {
        self.at += sent;
        if !self.small.is_empty() {
            if self.at == self.small.len() {
                self.small.clear();
                self.at = 0;
            }
            return;
        }
        while let Some(frame) = self.large.front() {
            if self.at < frame.len() {
                return;
            }
            self.at -= frame.len();
            self.large.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes few bytes at a time and refuses every third call.
    struct Reluctant {
        taken: Vec<u8>,
        calls: usize,
        room: usize,
    }

    impl Write for Reluctant {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.write_vectored(&[IoSlice::new(bytes)])
        }

        fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
            self.calls += 1;
            if self.calls.is_multiple_of(3) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let all: Vec<u8> = pieces.iter().flat_map(|p| p.iter().copied()).take(self.room).collect();
            self.taken.extend_from_slice(&all);
            Ok(all.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn check(batch_bytes: usize, count: u8) {
        let batch: Rc<[u8]> = vec![0xbb; batch_bytes].into();
        let (mut outbox, mut expected) = (Outbox::default(), Vec::new());
        for n in 0..count {
            let head: Rc<[u8]> = vec![n; 50].into();
            expected.extend_from_slice(&head);
            expected.extend_from_slice(&batch);
            outbox.push(&Frame { head, batch: batch.clone() });
        }
        let mut socket = Reluctant { taken: Vec::new(), calls: 0, room: 7_001 };
        while !outbox.flush(&mut socket).unwrap() {}
        assert!(socket.taken == expected, "{batch_bytes} bytes, {count} requests");
        assert_eq!(outbox.at, 0);
    }

    #[test]
    fn what_a_reluctant_socket_gets_is_what_was_pushed() {
        for (batch_bytes, count) in [(100, 20), (LARGE, 1), (20_000, 5), (16_000, 40)] {
            check(batch_bytes, count);
        }
    }
}

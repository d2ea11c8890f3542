//! The fetching side of a connection. Of an answer only the fields in front and the first batch's header are read; the records
//! are discarded inside the kernel (`MSG_TRUNC`), which costs a consumer's share of neither copies nor cache. So the
//! consumer is cheaper than any real one, and the broker is what is measured. Whether the bytes are right is for tests.

use crate::frames::{AnswerError, FetchHead, FetchTemplate, fetch_head};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use std::io;
use std::os::fd::{AsRawFd, RawFd};

/// Room for the fields in front of an answer's records and one batch header. What else is read here belongs to the next
/// answer.
const HEAD_ROOM: usize = 512;

/// Most bytes discarded by one call.
const DISCARD_MAX: usize = 8 << 20;

/// Memory that the kernel is told to fill and leaves alone; one for all connections.
pub(super) struct Scratch(Vec<u8>);

impl Scratch {
    pub(super) fn new() -> Scratch {
        // Zeroed pages are not made until they are touched, and nobody does.
        Scratch(vec![0; DISCARD_MAX])
    }
}

/// A whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fetched {
    /// Bytes of whole record batches.
    pub bytes: usize,
    /// The offset after the last whole batch; `None` when there was none.
    pub next: Option<i64>,
    /// The partition's high watermark.
    pub high_watermark: i64,
}

/// What is known of the answer that is coming.
enum State {
    /// Its first bytes are collected.
    Head,
    /// So many bytes are still to be discarded, then it is whole.
    Body { left: usize, fetched: Fetched },
}

/// One connection's fetches, one at a time.
pub(super) struct Reader {
    template: FetchTemplate,
    /// The offset that is asked for next.
    pub offset: i64,
    head: [u8; HEAD_ROOM],
    filled: usize,
    state: State,
}

/// Why an answer could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Socket(#[from] io::Error),
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

impl Reader {
    /// A reader from offset 0.
    pub(super) fn new(template: FetchTemplate) -> Reader {
        Reader { template, offset: 0, head: [0; HEAD_ROOM], filled: 0, state: State::Head }
    }

    /// The request for [`Reader::offset`].
    pub(super) fn request(&mut self) -> &[u8] {
        self.template.at(self.offset)
    }

    /// Receives; a whole answer, or nothing when the socket has no more.
    pub(super) fn receive(
        &mut self,
        socket: &impl AsRawFd,
        scratch: &mut Scratch,
    ) -> Result<Option<Fetched>, ReadError> {
        let fd = socket.as_raw_fd();
        loop {
            if let Some(whole) = self.whole() {
                return Ok(Some(whole));
            }
            let received = match &mut self.state {
                State::Head => take(fd, &mut self.head[self.filled..], MsgFlags::empty())?,
                State::Body { left, .. } => {
                    let len = (*left).min(DISCARD_MAX);
                    take(fd, &mut scratch.0[..len], MsgFlags::MSG_TRUNC)?
                }
            };
            let Some(received) = received else { return Ok(None) };
            match &mut self.state {
                State::Head => {
                    self.filled += received;
                    self.begin_body()?;
                }
                State::Body { left, .. } => *left -= received,
            }
        }
    }

    fn whole(&mut self) -> Option<Fetched> {
        let State::Body { left: 0, fetched } = self.state else { return None };
        self.state = State::Head;
        Some(fetched)
    }

    /// Once the head is there: what it says, and how much of the answer is still to come.
    fn begin_body(&mut self) -> Result<(), ReadError> {
        let bytes = &self.head[..self.filled];
        let Some(prefix) = bytes.first_chunk::<4>() else { return Ok(()) };
        let len = 4 + u32::from_be_bytes(*prefix) as usize;
        let Some(head) = fetch_head(&bytes[4..bytes.len().min(len)], len - 4)? else { return Ok(()) };
        let fetched = self.judge(&head)?;
        let here = bytes.len().min(len);
        // One request is outstanding, so nothing follows an answer.
        self.filled = 0;
        self.state = State::Body { left: len - here, fetched };
        Ok(())
    }

    /// All batches of a topic are of one size here, so the first tells where the last whole one ends.
    fn judge(&self, head: &FetchHead) -> Result<Fetched, AnswerError> {
        let high_watermark = head.high_watermark;
        let Some(first) = head.first else { return Ok(Fetched { bytes: 0, next: None, high_watermark }) };
        if first.base_offset != self.offset {
            return Err(AnswerError::Offset { got: first.base_offset, wanted: self.offset });
        }
        let whole = head.records_len / first.len;
        if whole == 0 {
            return Err(AnswerError::Cut { got: head.records_len, batch: first.len });
        }
        let next = first.base_offset + first.records * whole as i64;
        Ok(Fetched { bytes: whole * first.len, next: Some(next), high_watermark })
    }
}

/// `None` when there is nothing now.
fn take(fd: RawFd, room: &mut [u8], flags: MsgFlags) -> io::Result<Option<usize>> {
    loop {
        match recv(fd, room, flags) {
            Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the broker closed the connection")),
            Ok(n) => return Ok(Some(n)),
            Err(Errno::EAGAIN) => return Ok(None),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::{self, testing::fetch_answer};
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    /// What a reader makes of an answer that comes in pieces of `step` bytes.
    fn received(answer: &[u8], offset: i64, step: usize) -> Result<Fetched, ReadError> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (near, _) = listener.accept().unwrap();
        near.set_nonblocking(true).unwrap();
        let mut reader = Reader::new(frames::FetchTemplate::new("t", 0, 1 << 20, 100).unwrap());
        reader.offset = offset;
        let mut scratch = Scratch::new();
        for piece in answer.chunks(step) {
            far.write_all(piece).unwrap();
            loop {
                match reader.receive(&near, &mut scratch)? {
                    Some(whole) => return Ok(whole),
                    None if nix::sys::socket::recv(near.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK).is_err() => break,
                    None => {}
                }
            }
        }
        // The kernel may still be carrying the last bytes.
        loop {
            if let Some(whole) = reader.receive(&near, &mut scratch)? {
                return Ok(whole);
            }
        }
    }

    #[test]
    fn an_answer_is_judged_by_its_head_and_discarded_whole() {
        let (one, count) = frames::batch(3_000, 100, 0);
        let mut second = one.clone();
        second[..8].copy_from_slice(&(count as i64).to_be_bytes());
        let cut = &second[..second.len() - 1];
        for (tail, batches) in [(&second[..], 2), (cut, 1)] {
            let answer = fetch_answer(0, 500, &[&one[..], tail].concat());
            for step in [7, 333, answer.len()] {
                let got = received(&answer, 0, step).unwrap();
                let expected =
                    Fetched { bytes: one.len() * batches, next: Some((count * batches) as i64), high_watermark: 500 };
                assert_eq!(got, expected, "{step} bytes at a time");
            }
        }
    }

    #[test]
    fn an_empty_answer_an_error_and_a_wrong_offset_are_told_apart() {
        let nothing = received(&fetch_answer(0, 3, &[]), 3, 10).unwrap();
        assert_eq!(nothing, Fetched { bytes: 0, next: None, high_watermark: 3 });
        let refused = received(&fetch_answer(1, 0, &[]), 0, 10);
        assert!(matches!(refused, Err(ReadError::Answer(AnswerError::Code(1)))));
        let (one, _) = frames::batch(3_000, 100, 0);
        let elsewhere = received(&fetch_answer(0, 9, &one), 5, 100);
        assert!(matches!(elsewhere, Err(ReadError::Answer(AnswerError::Offset { got: 0, wanted: 5 }))));
        let cut = received(&fetch_answer(0, 9, &one[..one.len() / 2]), 0, 100);
        assert!(matches!(cut, Err(ReadError::Answer(AnswerError::Cut { .. }))));
    }
}

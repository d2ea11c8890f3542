//! Lines of an input as bytes: they end with `\n`, `\r\n` or `\r`, as Java's readers have it. They are lent from the buffer that
//! they were read into, so that a line costs nothing but its bytes.

use memchr::memchr2;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

/// What is read at once.
const CHUNK: usize = 256 << 10;

/// See the module.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    /// What was read and not handed out: `buffer[from..to]`; the part before `scanned` has no end of a line.
    from: usize,
    scanned: usize,
    to: usize,
    /// Whether a line ended with `\r`: a `\n` right behind it belongs to it.
    after_return: bool,
    is_ended: bool,
    /// The longest line that is kept.
    line_bytes_max: usize,
    /// Bytes of a longer line that were passed over.
    passed: u64,
}

/// A line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Without its end.
    Whole(&'a [u8]),
    /// So many bytes were more than is kept of a line.
    TooLong(u64),
}

impl Lines<File> {
    /// The lines of standard input.
    pub(super) fn of_stdin(line_bytes_max: usize) -> io::Result<Self> {
        Ok(Lines::new(File::from(io::stdin().as_fd().try_clone_to_owned()?), line_bytes_max))
    }

    /// What to wait for before [`read`](Self::read).
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }
}

impl<R: Read> Lines<R> {
    pub(super) fn new(input: R, line_bytes_max: usize) -> Self {
        Lines {
            input,
            buffer: Vec::new(),
            from: 0,
            scanned: 0,
            to: 0,
            after_return: false,
            is_ended: false,
            line_bytes_max,
            passed: 0,
        }
    }

    /// Whether everything was read and handed out.
    pub(super) fn is_done(&self) -> bool {
        self.is_ended && self.from == self.to && self.passed == 0
    }

    /// Reads what is there, once.
    pub(super) fn read(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.from..self.to, 0);
        (self.from, self.scanned, self.to) = (0, self.scanned - self.from, self.to - self.from);
        if self.buffer.len() < self.to + CHUNK {
            self.buffer.resize(self.to + CHUNK, 0);
        }
        let read = loop {
            match self.input.read(&mut self.buffer[self.to..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => break outcome?,
            }
        };
        self.to += read;
        self.is_ended |= read == 0;
        Ok(())
    }

    /// The next line of what was read; none if that needs more, or nothing is left.
    pub(super) fn next(&mut self) -> Option<Line<'_>> {
        if self.after_return && self.from < self.to {
            self.after_return = false;
            let is_its_end = self.buffer[self.from] == b'\n';
            self.from += usize::from(is_its_end);
            self.scanned = self.scanned.max(self.from);
        }
        let (start, end) = match memchr2(b'\n', b'\r', &self.buffer[self.scanned..self.to]) {
            Some(at) => {
                let (start, end) = (self.from, self.scanned + at);
                self.after_return = self.buffer[end] == b'\r';
                (self.from, self.scanned) = (end + 1, end + 1);
                (start, end)
            }
            None if self.is_ended && (self.from < self.to || self.passed > 0) => {
                let start = self.from;
                (self.from, self.scanned) = (self.to, self.to);
                (start, self.to)
            }
            None => {
                self.scanned = self.to;
                self.pass_over();
                return None;
            }
        };
        let bytes = &self.buffer[start..end];
        let whole = self.passed + bytes.len() as u64;
        self.passed = 0;
        let is_too_long = whole > self.line_bytes_max as u64;
        Some(if is_too_long { Line::TooLong(whole) } else { Line::Whole(bytes) })
    }

    /// Keeps nothing of a line that is too long already.
    fn pass_over(&mut self) {
        if self.passed > 0 || self.to - self.from > self.line_bytes_max {
            self.passed += (self.to - self.from) as u64;
            (self.from, self.scanned) = (self.to, self.to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives so many bytes at once.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let most = self.1.min(into.len());
            self.0.read(&mut into[..most])
        }
    }

    fn lines(text: &[u8], at_once: usize, max: usize) -> Vec<String> {
        let mut lines = Lines::new(Slow(text, at_once), max);
        let mut all = Vec::new();
        while !lines.is_done() {
            lines.read().expect("bytes");
            while let Some(line) = lines.next() {
                all.push(match line {
                    Line::Whole(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                    Line::TooLong(bytes) => format!("({bytes})"),
                });
            }
        }
        all
    }

    #[test]
    fn every_kind_of_end() {
        for at_once in [1, 2, 3, 64] {
            let text = b"a\nb\r\nc\rd\n\n\r\r\nlast";
            assert_eq!(lines(text, at_once, 100), ["a", "b", "c", "d", "", "", "", "last"], "{at_once}");
        }
        assert_eq!(lines(b"", 1, 100), [""; 0]);
        assert_eq!(lines(b"a\r\n", 9, 100), ["a"]);
    }

    #[test]
    fn of_a_line_that_is_too_long_only_its_length_is_kept() {
        for at_once in [1, 3, 7, 64] {
            assert_eq!(lines(b"1234\n12345\r\n\n1234567890", at_once, 4), ["1234", "(5)", "", "(10)"], "{at_once}");
        }
    }

    #[test]
    fn a_line_may_be_longer_than_what_is_read_at_once() {
        let long = "x".repeat(3 * CHUNK);
        assert_eq!(lines(format!("{long}\ny\n").as_bytes(), usize::MAX, 4 * CHUNK), [long.as_str(), "y"]);
    }
}

//! Lines of an input as bytes: they end with `\n`, `\r\n` or `\r`, as Java's readers have it.

use std::io::{self, BufRead};
use std::sync::mpsc::{self, Receiver};

/// Lines that a thread reads ahead of whoever takes them, so that waiting for a line does not keep batches from being sent.
const AHEAD: usize = 256;

/// See the module.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: R,
    /// Whether a line ended with `\r`: a `\n` right behind it belongs to it.
    after_return: bool,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Lines { input, after_return: false }
    }

    /// The next line without its end; none at the end of the input.
    fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let mut is_line = false;
        loop {
            let bytes = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                bytes => bytes?,
            };
            let Some(&first) = bytes.first() else { return Ok(is_line.then_some(line)) };
            if std::mem::take(&mut self.after_return) && first == b'\n' {
                self.input.consume(1);
                continue;
            }
            is_line = true;
            if let Some(at) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
                line.extend_from_slice(&bytes[..at]);
                self.after_return = bytes[at] == b'\r';
                self.input.consume(at + 1);
                return Ok(Some(line));
            }
            line.extend_from_slice(bytes);
            let len = bytes.len();
            self.input.consume(len);
        }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// The lines of standard input, read by a thread that nobody waits for.
pub(super) fn of_stdin() -> Receiver<io::Result<Vec<u8>>> {
    let (tell, lines) = mpsc::sync_channel(AHEAD);
    std::thread::spawn(move || {
        for line in Lines::new(io::stdin().lock()) {
            let is_last = line.is_err();
            if tell.send(line).is_err() || is_last {
                return;
            }
        }
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    #[test]
    fn every_kind_of_end() {
        for capacity in [1, 2, 3, 64] {
            let text = &b"a\nb\r\nc\rd\n\n\r\r\n\xff"[..];
            let lines: Vec<_> =
                Lines::new(BufReader::with_capacity(capacity, text)).map(|line| line.expect("bytes")).collect();
            assert_eq!(lines, [&b"a"[..], b"b", b"c", b"d", b"", b"", b"", b"\xff"], "{capacity}");
        }
        assert_eq!(Lines::new(&b""[..]).count(), 0);
        assert_eq!(Lines::new(&b"a\r\n"[..]).count(), 1);
    }
}

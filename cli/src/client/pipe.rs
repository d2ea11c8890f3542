//! A connection on which several requests are on their way at once and nobody waits: what a producer and a consumer at full
//! speed need. One request, waited for, is [`Connection`].
//!
//! ```text
//! send(..) send(..) ─► await_any(..) until something can go on ─► progress() ─► (number, answer) …
//! ```
//!
//! After an error the pipe is of no more use: of what was on its way nobody knows what became of it.

use super::address::Address;
use super::api::{Answer, Api};
use super::connection::{ANSWER_BYTES_MAX, Connection, Spoken};
use super::error::Error;
use super::{Client, connect};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::marker::PhantomData;
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// What an answer may take at once, however long it says that it is.
const GROWTH: usize = 1 << 20;
/// Bytes of an answer's length.
const PREFIX: usize = 4;

/// See the module.
#[derive(Debug)]
pub struct Pipe<Q> {
    stream: TcpStream,
    address: Address,
    client_id: String,
    version: i16,
    next: i32,
    /// What was not taken by the kernel yet, from `sent` on.
    out: Vec<u8>,
    sent: usize,
    /// The answer that is coming, behind its length.
    frame: Vec<u8>,
    asked: VecDeque<Asked>,
    api: PhantomData<fn() -> Q>,
}

/// A request that is on its way.
#[derive(Debug)]
struct Asked {
    number: i32,
    until: Instant,
    within: Duration,
}

impl Client {
    /// A connection of its own to a broker, for requests of one kind.
    pub fn pipe<Q: Api>(&mut self, broker: i32) -> Result<Pipe<Q>, Error> {
        let address = self.address_of(broker)?;
        let connection = connect::one(&address, &self.settings.client_id, self.settings.connect_timeout);
        Pipe::new(connection.map_err(|cause| super::unreachable(address, cause))?)
    }
}

impl<Q: Api> Pipe<Q> {
    fn new(connection: Connection) -> Result<Self, Error> {
        let version = connection.version_for::<Q>()?;
        let (stream, address, client_id, next) = connection.into_parts();
        let lost = |cause| Error::Lost { address: address.clone(), cause };
        stream.set_nonblocking(true).map_err(lost)?;
        Ok(Pipe {
            stream,
            client_id,
            version,
            next,
            out: Vec::new(),
            sent: 0,
            frame: Vec::new(),
            asked: VecDeque::new(),
            api: PhantomData,
            address,
        })
    }

    /// Puts a request on its way; its number comes back with the answer, which must come within a time.
    /// `R` is `Q` with a life of its own.
    pub fn send<R: Api>(&mut self, request: &R, within: Duration) -> Result<i32, Error> {
        let number = self.send_only(request)?;
        self.asked.push_back(Asked { number, until: Instant::now() + within, within });
        Ok(number)
    }

    /// Puts a request on its way that has no answer: a Produce with `acks=0`.
    pub fn send_only<R: Api>(&mut self, request: &R) -> Result<i32, Error> {
        assert_eq!(R::KEY, Q::KEY, "a pipe is for requests of one kind");
        let spoken = Spoken { key: Q::KEY, version: self.version, correlation: self.next };
        let frame = spoken.frame(request, &self.client_id).map_err(|cause| Error::Unsayable {
            address: self.address.clone(),
            api: Q::KEY,
            version: self.version,
            cause,
        })?;
        self.next += 1;
        if self.sent == self.out.len() {
            (self.out, self.sent) = (frame, 0);
        } else {
            self.out.extend_from_slice(&frame);
        }
        self.write()?;
        Ok(spoken.correlation)
    }

    /// How many requests have no answer yet.
    pub fn asked(&self) -> usize {
        self.asked.len()
    }

    /// Bytes that the kernel has not taken yet.
    pub fn unsent_bytes(&self) -> usize {
        self.out.len() - self.sent
    }

    /// When the oldest request is too old.
    pub fn deadline(&self) -> Option<Instant> {
        self.asked.front().map(|asked| asked.until)
    }

    /// The number of bytes of the answer that is coming that are here.
    pub fn held_bytes(&self) -> usize {
        self.frame.len()
    }

    /// Writes and reads what can be without waiting; the next answer if it is whole, with its request's number.
    ///
    /// # Errors
    /// The connection broke, or the oldest request is too old.
    pub fn progress(&mut self) -> Result<Option<(i32, Answer<Q>)>, Error> {
        self.write()?;
        if self.read()? {
            return self.take().map(Some);
        }
        match self.asked.front() {
            Some(asked) if asked.until <= Instant::now() => {
                Err(Error::Late { address: self.address.clone(), api: Q::KEY, after: asked.within })
            }
            _ => Ok(None),
        }
    }

    fn write(&mut self) -> Result<(), Error> {
        while self.sent < self.out.len() {
            match (&self.stream).write(&self.out[self.sent..]) {
                Ok(0) => return Err(self.lost(ErrorKind::WriteZero.into())),
                Ok(taken) => self.sent += taken,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.lost(error)),
            }
        }
        (self.out, self.sent) = (Vec::new(), 0);
        Ok(())
    }

    /// Reads until the answer is whole, which is true, or nothing more is there.
    fn read(&mut self) -> Result<bool, Error> {
        loop {
            let wanted = match self.frame.first_chunk::<PREFIX>() {
                None => PREFIX,
                Some(len) => PREFIX + self.checked(u32::from_be_bytes(*len))?,
            };
            if self.frame.len() == wanted && wanted > PREFIX {
                return Ok(true);
            }
            let missing = wanted - self.frame.len();
            self.frame.reserve(missing.min(GROWTH));
            let piece = (&self.stream).take(missing.min(GROWTH) as u64).read_to_end(&mut self.frame);
            match piece {
                Ok(0) => return Err(self.lost(ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(self.lost(error)),
            }
        }
    }

    fn checked(&self, len: u32) -> Result<usize, Error> {
        if (4..=ANSWER_BYTES_MAX).contains(&len) {
            return Ok(len as usize);
        }
        let text = format!("a frame of {len} bytes is no answer (at most {ANSWER_BYTES_MAX})");
        Err(self.lost(io::Error::new(ErrorKind::InvalidData, text)))
    }

    fn take(&mut self) -> Result<(i32, Answer<Q>), Error> {
        let frame = std::mem::take(&mut self.frame);
        let stray = |number| io::Error::new(ErrorKind::InvalidData, format!("an answer to request {number}"));
        let asked = self.asked.pop_front().ok_or_else(|| self.lost(stray(-1)))?;
        let spoken = Spoken { key: Q::KEY, version: self.version, correlation: asked.number };
        let unreadable = |cause| Error::Unreadable { address: self.address.clone(), api: Q::KEY, cause };
        match spoken.answer(frame, PREFIX) {
            Ok(answer) => Ok((asked.number, answer.map_err(unreadable)?)),
            Err(got) => Err(self.lost(stray(got))),
        }
    }

    fn lost(&self, cause: io::Error) -> Error {
        Error::Lost { address: self.address.clone(), cause }
    }
}

/// Waits until one of these pipes can go on, or the input can be read, which is the answer; no longer than `within`.
pub fn await_any<'p, Q: Api + 'p>(
    pipes: impl Iterator<Item = &'p Pipe<Q>>,
    input: Option<BorrowedFd<'_>>,
    within: Duration,
) -> bool {
    let of_pipe = |pipe: &'p Pipe<Q>| {
        let unsent = if pipe.unsent_bytes() > 0 { PollFlags::POLLOUT } else { PollFlags::empty() };
        PollFd::new(pipe.stream.as_fd(), PollFlags::POLLIN | unsent)
    };
    let mut all: Vec<PollFd<'_>> = input.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).into_iter().collect();
    all.extend(pipes.map(of_pipe));
    // A millisecond is the finest that it takes; less than one must not become a loop that never sleeps.
    let whole = within.as_nanos().div_ceil(1_000_000);
    let timeout = PollTimeout::try_from(whole).unwrap_or(PollTimeout::MAX);
    // A call that was interrupted is one that waited less: who called looks again.
    let is_ready = poll(&mut all, timeout).is_ok_and(|ready| ready > 0);
    is_ready && input.is_some() && all[0].any().unwrap_or(true)
}

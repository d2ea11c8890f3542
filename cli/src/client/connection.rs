//! One blocking connection to one broker: frames out, frames in, each within a time. How a connection comes about is in
//! [`connect`](super::connect), which broker to ask in [`Client`](super::Client).

use super::address::Address;
use super::api::{Answer, Api};
use super::error::Error;
use super::versions::Served;
use protocol::{ApiKey, DecodeError, EncodeError, RequestHeader, ResponseHeader, Writer};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Longest answer that is read: what a fetch of a hundred megabytes needs, and room.
pub(super) const ANSWER_BYTES_MAX: u32 = 256 << 20;

/// See the module.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    address: Address,
    client_id: String,
    served: Served,
    next: i32,
}

/// What a request's frame says about itself, and its answer must match.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spoken {
    pub(super) key: ApiKey,
    pub(super) version: i16,
    pub(super) correlation: i32,
}

impl Spoken {
    /// The request's frame.
    pub(super) fn frame<Q: Api>(&self, request: &Q, client_id: &str) -> Result<Vec<u8>, EncodeError> {
        let mut writer = Writer::new();
        let start = writer.begin_frame();
        let header = RequestHeader {
            api_key: self.key as i16,
            api_version: self.version,
            correlation_id: self.correlation,
            client_id: Some(client_id.into()),
        };
        header.encode(&mut writer)?;
        request.encode(&mut writer, self.version)?;
        writer.end_frame(start)?;
        #[expect(clippy::expect_used, reason = "requests of ours hold their records, nothing external")]
        Ok(writer.into_bytes().expect("no external pieces"))
    }

    /// The answer in a frame whose header begins at `at`; the number that it has, if it answers another request.
    pub(super) fn answer<Q: Api>(&self, frame: Vec<u8>, at: usize) -> Result<Result<Answer<Q>, DecodeError>, i32> {
        let mut reader = protocol::Reader::new(&frame[at..]);
        match reader.i32() {
            Err(cause) => return Ok(Err(cause)),
            Ok(got) if got != self.correlation => return Err(got),
            Ok(_) => {}
        }
        let mut reader = protocol::Reader::new(&frame[at..]);
        if let Err(cause) = ResponseHeader::decode(&mut reader, self.key, self.version) {
            return Ok(Err(cause));
        }
        let body = at + reader.position();
        Ok(Answer::new(frame, body, self.version))
    }
}

impl Connection {
    /// Takes over a stream on which nothing has been said. Which versions the broker serves is not known yet.
    pub(super) fn new(stream: TcpStream, address: Address, client_id: &str) -> Self {
        Connection { stream, address, client_id: client_id.to_owned(), served: Served::default(), next: 0 }
    }

    /// Says what the broker serves, once it is known.
    pub(super) fn serves(self, served: Served) -> Self {
        Connection { served, ..self }
    }

    /// The stream, on which nothing is on its way, the address it leads to, our name and the next request's number.
    pub(super) fn into_parts(self) -> (TcpStream, Address, String, i32) {
        (self.stream, self.address, self.client_id, self.next)
    }

    /// The broker's address.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What the broker serves.
    pub fn served(&self) -> &Served {
        &self.served
    }

    /// Sends a request in the newest version that both sides speak and waits for its answer.
    pub fn ask<Q: Api>(&mut self, request: &Q, within: Duration) -> Result<Answer<Q>, Error> {
        let version = self.version_for::<Q>()?;
        self.ask_in(request, version, within)
    }

    /// Sends a request that has no answer: a Produce with `acks=0`.
    pub fn tell<Q: Api>(&mut self, request: &Q, within: Duration) -> Result<(), Error> {
        let version = self.version_for::<Q>()?;
        self.send(request, version, Instant::now() + within).map(|_| ())
    }

    /// The version that a request would be sent in.
    pub fn version_for<Q: Api>(&self) -> Result<i16, Error> {
        let theirs = self.served.range(Q::KEY);
        let refusal = Error::NotServed { address: self.address.clone(), api: Q::KEY, ours: Q::SPOKEN, theirs };
        let Some(theirs) = theirs else { return Err(refusal) };
        let version = theirs.max.min(Q::SPOKEN.max);
        if version < theirs.min.max(Q::SPOKEN.min) { Err(refusal) } else { Ok(version) }
    }

    /// The same in a version of the caller's choice.
    pub(super) fn ask_in<Q: Api>(&mut self, request: &Q, version: i16, within: Duration) -> Result<Answer<Q>, Error> {
        let end = Instant::now() + within;
        let asked = self.send(request, version, end)?;
        let late = |address: &Address| Error::Late { address: address.clone(), api: Q::KEY, after: within };
        loop {
            let frame = match self.receive(end) {
                Err(error) if is_timeout(&error) => return Err(late(&self.address)),
                Err(cause) => return Err(Error::Lost { address: self.address.clone(), cause }),
                Ok(frame) => frame,
            };
            if let Some(answer) = self.answer(frame, &asked)? {
                return Ok(answer);
            }
        }
    }

    /// The answer in a frame; `None` if it belongs to an earlier request, whose answer nobody waited for.
    fn answer<Q: Api>(&self, frame: Vec<u8>, asked: &Spoken) -> Result<Option<Answer<Q>>, Error> {
        match asked.answer(frame, 0) {
            Ok(answer) => answer.map(Some).map_err(|cause| Error::Unreadable {
                address: self.address.clone(),
                api: Q::KEY,
                cause,
            }),
            Err(got) if (0..asked.correlation).contains(&got) => Ok(None),
            Err(got) => {
                let cause = io::Error::new(io::ErrorKind::InvalidData, format!("an answer to request {got}"));
                Err(Error::Lost { address: self.address.clone(), cause })
            }
        }
    }

    fn send<Q: Api>(&mut self, request: &Q, version: i16, end: Instant) -> Result<Spoken, Error> {
        let asked = Spoken { key: Q::KEY, version, correlation: self.next };
        let frame = asked.frame(request, &self.client_id).map_err(|cause| Error::Unsayable {
            address: self.address.clone(),
            api: Q::KEY,
            version,
            cause,
        })?;
        self.next += 1;
        let sent = set_write_timeout(&self.stream, end).and_then(|()| self.stream.write_all(&frame));
        sent.map_err(|cause| Error::Lost { address: self.address.clone(), cause })?;
        Ok(asked)
    }

    /// The next frame. Memory grows with what arrives, not with what is announced.
    fn receive(&mut self, end: Instant) -> io::Result<Vec<u8>> {
        let mut timed = Timed { stream: &self.stream, end };
        let mut len = [0; 4];
        timed.read_exact(&mut len)?;
        let len = u32::from_be_bytes(len);
        if !(4..=ANSWER_BYTES_MAX).contains(&len) {
            let text = format!("a frame of {len} bytes is no answer (at most {ANSWER_BYTES_MAX})");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let mut frame = Vec::with_capacity((len as usize).min(1 << 16));
        timed.take(u64::from(len)).read_to_end(&mut frame)?;
        if frame.len() < len as usize { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(frame) }
    }
}

/// A stream that is read until a moment, however many reads that takes.
struct Timed<'s> {
    stream: &'s TcpStream,
    end: Instant,
}

impl Read for Timed<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left(self.end)?))?;
        self.stream.read(into)
    }
}

fn set_write_timeout(stream: &TcpStream, end: Instant) -> io::Result<()> {
    stream.set_write_timeout(Some(left(end)?))
}

/// The time left until `end`; an error when it has passed, because a socket takes a timeout of zero for none.
fn left(end: Instant) -> io::Result<Duration> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Whether a read ended because its time did; the kernel calls that "would block".
pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

//! One blocking connection: frames out, frames in. What the frames mean is in [`requests`](crate::requests).

use protocol::{ApiKey, DecodeError, EncodeError, Reader, RequestHeader, ResponseHeader, Writer};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest that an answer may take while nothing is wrong.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The connection broke, which a fault does.
    #[error("the connection: {0}")]
    Broken(#[from] io::Error),
    /// The answer is none: a violation whenever it comes.
    #[error("an answer that cannot be read: {0}")]
    Answer(#[from] DecodeError),
    /// A request of ours has no encoding.
    #[error("a request that cannot be written: {0}")]
    Request(#[from] EncodeError),
    /// An answer to something that was not asked.
    #[error("an answer to request {got}, expected {expected}")]
    Order {
        /// Its correlation id.
        got: i32,
        /// The oldest unanswered one.
        expected: i32,
    },
    /// The broker says no where it has to say yes.
    #[error("{what}: the broker answered error {code}")]
    Refused {
        /// What was asked.
        what: String,
        /// Kafka's error code.
        code: i16,
    },
}

impl WireError {
    /// True when no fault excuses it: an answer came, and it is no answer.
    pub fn is_wrong(&self) -> bool {
        !matches!(self, WireError::Broken(_) | WireError::Refused { .. })
    }
}

/// A request whose answer has not been read yet.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    key: ApiKey,
    version: i16,
    correlation: i32,
}

/// See the module.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    next: i32,
}

impl Connection {
    /// A new connection to the broker at `address`.
    pub fn open(address: SocketAddr) -> Result<Connection, WireError> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, next: 0 })
    }

    /// Sends a request without waiting for its answer. Answers come in the order of requests.
    pub fn send(
        &mut self,
        key: ApiKey,
        version: i16,
        body: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
    ) -> Result<Asked, WireError> {
        let mut writer = Writer::new();
        let start = writer.begin_frame();
        let correlation = self.next;
        let header = RequestHeader {
            api_key: key as i16,
            api_version: version,
            correlation_id: correlation,
            client_id: Some("rigs".into()),
        };
        header.encode(&mut writer)?;
        body(&mut writer)?;
        writer.end_frame(start)?;
        self.next += 1;
        #[expect(clippy::expect_used, reason = "requests of ours hold their records, nothing external")]
        let frame = writer.into_bytes().expect("no external pieces");
        self.stream.write_all(&frame)?;
        Ok(Asked { key, version, correlation })
    }

    /// Reads the answer to the oldest unanswered request.
    pub fn receive<T>(
        &mut self,
        asked: Asked,
        decode: impl for<'a> FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<T, WireError> {
        let mut len = [0; 4];
        self.stream.read_exact(&mut len)?;
        let mut frame = vec![0; u32::from_be_bytes(len) as usize];
        self.stream.read_exact(&mut frame)?;
        let mut reader = Reader::new(&frame);
        let header = ResponseHeader::decode(&mut reader, asked.key, asked.version)?;
        if header.correlation_id != asked.correlation {
            return Err(WireError::Order { got: header.correlation_id, expected: asked.correlation });
        }
        Ok(decode(&mut reader)?)
    }

    /// Sends a request and reads its answer.
    pub fn ask<T>(
        &mut self,
        key: ApiKey,
        version: i16,
        body: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
        decode: impl for<'a> FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<T, WireError> {
        let asked = self.send(key, version, body)?;
        self.receive(asked, decode)
    }
}

//! A request off the wire: who sent it, its header, and the frame that its body borrows from. Also the way back: framing an
//! answer and handing it to the shard that holds the connection. Decoding bodies is each API's own file.

use crate::front::{Message, Patience};
use crate::{Broker, Chunk, Effect, Origin, Store, io::ReplyPart};
use protocol::header::{RequestHeader, ResponseHeader};
use protocol::messages::keys::ApiKey;
use protocol::{DecodeError, EncodeError, Piece, Reader, Writer};
use std::net::SocketAddr;
use std::sync::Arc;

/// What every request starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which API.
    pub key: ApiKey,
    /// Its version; for ApiVersions any number, else one that is served.
    pub version: i16,
    /// Comes back in the answer.
    pub correlation_id: i32,
    /// The client's name for itself.
    pub client_id: Option<Arc<str>>,
}

/// One request whose header is known.
#[derive(Clone, Debug)]
pub struct Request<C> {
    /// Where its answer belongs.
    pub origin: Origin,
    /// Its header.
    pub header: Header,
    /// The whole frame.
    pub frame: C,
    /// Index in the frame where the body starts.
    pub body: usize,
    /// Our address as the client reached it.
    pub local: SocketAddr,
    /// The client's address.
    pub peer: SocketAddr,
    /// What the client does while a heartbeat is not answered.
    pub patience: Patience,
}

/// Why a request ends its connection instead of being answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The header or body is not what its key and version demand.
    #[error("undecodable {what}: {error}")]
    Decode {
        /// The header, or the API's name.
        what: &'static str,
        /// What is wrong.
        error: DecodeError,
    },
    /// A key that Kafka does not have, or that is not served here.
    #[error("api key {key} is not served")]
    Key {
        /// The key.
        key: i16,
    },
    /// A version outside the advertised range, or one that is advertised for old clients' sake only (Produce 0 to 2).
    #[error("{} version {version} is not served", .key.name())]
    Version {
        /// The API.
        key: ApiKey,
        /// The version.
        version: i16,
    },
    /// The answer could not be encoded: a mistake of ours, and the client must not wait for it.
    #[error("the answer cannot be encoded: {0}")]
    Answer(EncodeError),
    /// A request without an answer failed (acks=0).
    #[error("{0}")]
    Unanswerable(String),
}

impl<C: Chunk> Request<C> {
    /// Reads the header of `frame`. Whether key and version are served is not asked here.
    pub fn decode(
        origin: Origin,
        frame: C,
        local: SocketAddr,
        peer: SocketAddr,
        patience: Patience,
    ) -> Result<Self, Refusal> {
        let mut reader = Reader::new(&frame);
        let undecodable = |error| Refusal::Decode { what: "request header", error };
        let wire = RequestHeader::decode(&mut reader).map_err(undecodable)?;
        let key = ApiKey::try_from(wire.api_key).map_err(|_| Refusal::Key { key: wire.api_key })?;
        let header = Header {
            key,
            version: wire.api_version,
            correlation_id: wire.correlation_id,
            client_id: wire.client_id.as_deref().map(Arc::from),
        };
        let body = reader.position();
        Ok(Request { origin, header, frame, body, local, peer, patience })
    }

    /// Decodes the body with `decode`. Bytes behind it are ignored, as Kafka does.
    pub fn body<'a, T>(
        &'a self,
        decode: impl FnOnce(&mut Reader<'a>, i16) -> Result<T, DecodeError>,
    ) -> Result<T, Refusal> {
        let mut reader = Reader::new(&self.frame[self.body..]);
        let undecodable = |error| Refusal::Decode { what: self.header.key.name(), error };
        decode(&mut reader, self.header.version).map_err(undecodable)
    }
}

impl<S: Store> Broker<S> {
    /// Answers a request with what `encode` writes; it is given the request's version.
    pub fn respond(
        &mut self,
        origin: Origin,
        header: &Header,
        encode: impl FnOnce(&mut Writer, i16) -> Result<(), EncodeError>,
    ) {
        self.respond_with(origin, header, &[], |writer| encode(writer, header.version));
    }

    /// As [`Broker::respond`], with records by reference: `Records::External { tag, .. }` stands for `records[tag]`.
    pub fn respond_with(
        &mut self,
        origin: Origin,
        header: &Header,
        records: &[Vec<S::Chunk>],
        encode: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
    ) {
        match frame(header, encode) {
            Ok(pieces) => {
                let parts = into_parts(pieces, records);
                self.answer(origin, parts);
            }
            Err(error) => {
                tracing::error!(api = header.key.name(), version = header.version, %error, "answer not encodable");
                self.close(origin, &Refusal::Answer(error));
            }
        }
    }

    /// Hands a framed answer to the shard that holds the connection.
    pub(crate) fn answer(&mut self, origin: Origin, parts: Vec<ReplyPart<S::Chunk>>) {
        if origin.shard != self.me {
            self.effects.push_back(Effect::Send { to: origin.shard, msg: Message::Answer { origin, parts } });
        } else if let Some(conn) = self.front.conns.get_mut(&origin.conn) {
            conn.beat.take_if(|beat| beat.seq == origin.seq);
            self.effects.push_back(Effect::Reply { conn: origin.conn, seq: origin.seq, parts });
        }
    }

    /// Ends the connection of a request, after the answers before it.
    pub(crate) fn close(&mut self, origin: Origin, refusal: &Refusal) {
        let reason = refusal.to_string();
        let effect = if origin.shard == self.me {
            Effect::Close { conn: origin.conn, seq: origin.seq, reason }
        } else {
            Effect::Send { to: origin.shard, msg: Message::Close { origin, reason } }
        };
        self.effects.push_back(effect);
    }
}

fn frame(
    header: &Header,
    encode: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
) -> Result<Vec<Piece>, EncodeError> {
    let mut writer = Writer::new();
    let start = writer.begin_frame();
    ResponseHeader { correlation_id: header.correlation_id }.encode(&mut writer, header.key, header.version)?;
    encode(&mut writer)?;
    writer.end_frame(start)?;
    Ok(writer.finish())
}

fn into_parts<C: Chunk>(pieces: Vec<Piece>, records: &[Vec<C>]) -> Vec<ReplyPart<C>> {
    let mut parts = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) => parts.push(ReplyPart::Bytes(bytes)),
            Piece::External { tag, .. } => parts.extend(records[tag as usize].iter().cloned().map(ReplyPart::Chunk)),
        }
    }
    parts
}

//! Kafka over QUIC: the wire's rules and the frame codec that both ends share.
//!
//! `WIRE.md` beside this crate is the document for people who write clients. The endpoint itself (quinn-proto over the
//! engine's datagram operations) is deliberately not here yet; it belongs to the issue on QUIC.

pub mod frame;

/// ALPN name of a client's connection: each stream is one Kafka wire.
pub const ALPN_CLIENT: &[u8] = b"kafka/1";

/// ALPN name of a connection between two brokers.
pub const ALPN_NODE: &[u8] = b"ringlog-node/1";

/// Application error codes on streams and connections, as WIRE.md lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum CloseCode {
    /// A clean end.
    NoError = 0,
    /// A frame length below 1 or above the limit.
    FrameLength = 1,
    /// The stream ended inside a frame.
    FrameCut = 2,
    /// What makes a Kafka broker close a TCP connection.
    RequestRefused = 3,
    /// More streams than the server allows.
    TooManyWires = 4,
    /// The server is shutting down.
    GoingAway = 5,
}

//! Bytes off a socket to frames: the transport's answer against the few lines that say what a frame is.

use engine::io::{ConnId, Done, ListenerId, Op, RecvInto};
use engine::mem::{Buf, Slice};
use engine::time::Mono;
use std::net::SocketAddr;
use std::sync::Arc;
use transport_tcp::{Admission, CloseReason, Event, Limits, TcpTransport};

/// Largest frame that is allowed here.
const FRAME_BYTES_MAX: usize = 32 * 1024;

/// Memory of one connection: the buffer that is received into and the room of an unfinished frame, twice while it moves.
pub const MEMORY_BYTES_MAX: usize = 1 << 20;

/// The first byte says in which pieces the others arrive.
pub fn stream(data: &[u8]) {
    let Some((&pieces, stream)) = data.split_first() else { return };
    let (frames, reason) = through_transport(stream, 1 << (pieces % 16));
    let (expect, bad_len) = cut(stream);
    assert_eq!(
        frames.iter().map(|frame| &frame[..]).collect::<Vec<_>>(),
        expect,
        "frames in pieces of 2^{}",
        pieces % 16
    );
    match (reason, bad_len) {
        (CloseReason::FrameLength { len, .. }, Some(expect)) => assert_eq!(len, expect),
        (CloseReason::PeerClosed | CloseReason::PeerClosedInFrame { .. }, None) => {}
        (reason, bad_len) => panic!("closed with {reason:?}, a bad length: {bad_len:?}"),
    }
}

/// The same over a stream of QUIC, whose decoder is fed pieces itself.
pub fn quic(data: &[u8]) {
    let Some((&pieces, stream)) = data.split_first() else { return };
    let mut decoder = transport_quic::frame::Decoder::new(FRAME_BYTES_MAX);
    let (mut frames, mut failed, mut given) = (Vec::new(), None, 0);
    for piece in stream.chunks(1 << (pieces % 16)) {
        given += piece.len();
        failed = decoder.push(piece, |frame| frames.push(frame)).err();
        assert!(decoder.held() <= 2 * given + 4096, "{} bytes held of {given}", decoder.held());
        if failed.is_some() {
            break;
        }
    }
    let (expect, bad_len) = cut(stream);
    assert_eq!(frames.iter().map(|frame| &frame[..]).collect::<Vec<_>>(), expect);
    let max = FRAME_BYTES_MAX;
    assert_eq!(failed, bad_len.map(|got| transport_quic::frame::FrameError::Length { got, max }));
    let whole: usize = expect.iter().map(|frame| 4 + frame.len()).sum();
    assert_eq!(decoder.finish().is_ok(), bad_len.is_none() && whole == stream.len());
}

/// The whole frames of a stream, and the length that ends it if one is unusable.
fn cut(mut stream: &[u8]) -> (Vec<&[u8]>, Option<i32>) {
    let mut frames = Vec::new();
    while let Some((prefix, rest)) = stream.split_first_chunk() {
        let len = i32::from_be_bytes(*prefix);
        if !(1..=FRAME_BYTES_MAX as i32).contains(&len) {
            return (frames, Some(len));
        }
        let Some((frame, rest)) = rest.split_at_checked(len as usize) else { break };
        frames.push(frame);
        stream = rest;
    }
    (frames, None)
}

/// Frames that the transport reports when `stream` arrives in pieces of at most `piece` bytes, and why it closed.
fn through_transport(mut stream: &[u8], piece: usize) -> (Vec<Slice>, CloseReason) {
    let limits = Limits { frame_bytes_max: FRAME_BYTES_MAX, ..Limits::default() };
    let mut transport = TcpTransport::new(limits, Arc::new(Admission::unlimited()));
    transport.listen(ListenerId(0));
    let (mut frames, mut accepted) = (Vec::new(), false);
    loop {
        let Some((token, op)) = transport.poll_op() else { panic!("an open connection neither reads nor ends") };
        let (result, op) = match op {
            Op::Accept { .. } if std::mem::replace(&mut accepted, true) => continue,
            Op::Accept { listener, .. } => {
                let address = Some(SocketAddr::from(([127, 0, 0, 1], 9092)));
                (0, Op::Accept { listener, peer: address, local: address })
            }
            Op::Recv { conn: ConnId(conn), into } => {
                let (taken, into) = receive(&mut stream, into, piece);
                (taken, Op::Recv { conn: ConnId(conn), into })
            }
            other => panic!("{other:?} before the connection ended"),
        };
        transport.handle(Done { token, result: Ok(result), op }, Mono(0));
        while let Some(event) = transport.poll_event() {
            match event {
                Event::Opened { .. } => {}
                Event::Frame { conn, seq, frame } => {
                    frames.push(frame);
                    transport.no_reply(conn, seq);
                }
                Event::Closed { reason, .. } => return (frames, reason),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// What the kernel does with a receive: at most a piece, unless all of the room has to be filled.
fn receive(stream: &mut &[u8], into: RecvInto, piece: usize) -> (u32, RecvInto) {
    let (mut buf, fills) = match into {
        RecvInto::Any => (Buf::with_capacity(piece.min(16 * 1024)), false),
        RecvInto::Buf(buf) => (buf, false),
        RecvInto::Fill(buf) => (buf, true),
    };
    let most = if fills { buf.spare_len() } else { buf.spare_len().min(piece) };
    let (taken, rest) = stream.split_at(most.min(stream.len()));
    buf.extend_from_slice(taken);
    *stream = rest;
    (taken.len() as u32, if fills { RecvInto::Fill(buf) } else { RecvInto::Buf(buf) })
}

//! Sockets: the crate's stream says when there is something to do. What it reads itself is the first block, into memory
//! that it may see; the rest of what is there comes straight into its place, and sends are vectored, by system calls like
//! the crate's own.

use super::shared::Cut;
use crate::io::RecvInto;
use crate::io::kernel::{count, socket, vectors};
use crate::io::limits::ANY_BYTES;
use crate::mem::{BLOCK, Buf, Slice};
use futures_io::{AsyncRead, AsyncWrite};
use glommio::net::TcpStream;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A connected socket and whether an op is under way in each direction.
pub(super) struct Conn {
    stream: RefCell<TcpStream>,
    pub(super) receiving: Cell<bool>,
    pub(super) sending: Cell<bool>,
}

/// Memory that ops use within one poll.
pub(super) struct Scratch {
    first: Box<[u8; BLOCK]>,
    iovecs: Vec<libc::iovec>,
}

impl Scratch {
    pub(super) fn new() -> Scratch {
        Scratch { first: Box::new([0; BLOCK]), iovecs: Vec::new() }
    }
}

/// A stream of the crate over `socket`. Within the executor.
fn stream(socket: OwnedFd) -> TcpStream {
    // SAFETY: the descriptor is open and given away here.
    unsafe { TcpStream::from_raw_fd(socket.into_raw_fd()) }
}

impl Conn {
    /// Within the executor.
    pub(super) fn new(socket: OwnedFd) -> Conn {
        Conn { stream: RefCell::new(stream(socket)), receiving: Cell::new(false), sending: Cell::new(false) }
    }

    pub(super) fn fd(&self) -> RawFd {
        self.stream.borrow().as_raw_fd()
    }

    pub(super) async fn recv(&self, into: &mut RecvInto, cut: &Cut, scratch: &RefCell<Scratch>) -> io::Result<u32> {
        let mut got = 0;
        poll_fn(|cx| {
            if cut.is_asked(cx) {
                return Poll::Ready(Err(io::ErrorKind::Interrupted.into()));
            }
            self.poll_recv(cx, into, &mut got, &mut scratch.borrow_mut().first)
        })
        .await
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        into: &mut RecvInto,
        got: &mut usize,
        first: &mut [u8; BLOCK],
    ) -> Poll<io::Result<u32>> {
        loop {
            let room = match into {
                RecvInto::Any => ANY_BYTES,
                RecvInto::Fill(buf) | RecvInto::Buf(buf) => buf.spare_len(),
            };
            let first = &mut first[..room.min(BLOCK)];
            let read = if room == 0 {
                Poll::Ready(Ok(0))
            } else {
                Pin::new(&mut *self.stream.borrow_mut()).poll_read(cx, first)
            };
            let bytes = match read {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(count(*got))),
                Poll::Ready(Ok(bytes)) => &first[..bytes],
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            };
            match place(self.fd(), into, bytes) {
                Ok(bytes) => *got += bytes,
                Err(error) => return Poll::Ready(Err(error)),
            }
            if !matches!(into, RecvInto::Fill(_)) {
                return Poll::Ready(Ok(count(*got)));
            }
        }
    }

    pub(super) async fn send(&self, bufs: &[Slice], cut: &Cut, scratch: &RefCell<Scratch>) -> io::Result<u32> {
        let mut sent = 0;
        poll_fn(|cx| {
            if cut.is_asked(cx) {
                return Poll::Ready(Err(io::ErrorKind::Interrupted.into()));
            }
            self.poll_send(cx, bufs, &mut sent, &mut scratch.borrow_mut().iovecs)
        })
        .await
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        bufs: &[Slice],
        sent: &mut usize,
        iovecs: &mut Vec<libc::iovec>,
    ) -> Poll<io::Result<u32>> {
        while *sent < vectors::total(bufs) {
            match socket::send(self.fd(), bufs, *sent, iovecs) {
                Ok(bytes) => *sent += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // Waits for room, or makes use of it if it is there by now.
                    match Pin::new(&mut *self.stream.borrow_mut()).poll_write(cx, next_piece(bufs, *sent)) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(Ok(bytes)) => *sent += bytes,
                        Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    }
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(count(*sent)))
    }
}

/// The piece that begins after the first `skip` bytes of `bufs`, which are not all.
fn next_piece(bufs: &[Slice], mut skip: usize) -> &[u8] {
    for buf in bufs {
        if skip < buf.len() {
            return &buf[skip..];
        }
        skip -= buf.len();
    }
    &[]
}

/// Puts the first bytes of a receive where it wants them, and behind them what else is there if they were a whole block.
/// Says how many that is.
fn place(fd: RawFd, into: &mut RecvInto, first: &[u8]) -> io::Result<usize> {
    let more = first.len() == BLOCK;
    if matches!(into, RecvInto::Any) {
        *into = RecvInto::Buf(Buf::with_capacity(if more { ANY_BYTES } else { first.len() }));
    }
    let (RecvInto::Buf(buf) | RecvInto::Fill(buf)) = into else { unreachable!("any has just become a buffer") };
    let had = buf.len();
    buf.extend_from_slice(first);
    while more && buf.spare_len() > 0 {
        match socket::recv(fd, buf) {
            // The end is still there for the stream to see.
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(buf.len() - had)
}

/// Takes one connection. The crate's own accept makes the listener non-blocking and blocking again each time, which is
/// not safe where several shards share it.
pub(super) async fn accept(listener: &TcpListener, cut: &Cut) -> io::Result<Conn> {
    let mut waits = None;
    let socket = poll_fn(|cx| {
        if cut.is_asked(cx) {
            return Poll::Ready(Err(io::ErrorKind::Interrupted.into()));
        }
        poll_accept(cx, listener, &mut waits)
    });
    let socket = socket.await?;
    socket::set_no_delay(&socket);
    Ok(Conn::new(socket))
}

/// `waits` is a stream over the listener itself: the crate waits for readiness in no other way. Its first read waits until
/// there is something to accept, and then fails.
fn poll_accept(
    cx: &mut Context<'_>,
    listener: &TcpListener,
    waits: &mut Option<TcpStream>,
) -> Poll<io::Result<OwnedFd>> {
    loop {
        match socket::accept(listener.as_raw_fd()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // That client left while it waited; the next may be there.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            result => return Poll::Ready(result),
        }
        if waits.is_none() {
            match listener.try_clone() {
                Ok(same) => *waits = Some(stream(same.into())),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        if let Some(stream) = waits {
            match Pin::new(stream).poll_read(cx, &mut [0]) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(_) => *waits = None,
            }
        }
    }
}

//! Non-blocking calls on stream sockets.

use super::{check, vectors};
use crate::mem::{Buf, Slice};
use std::io;
use std::mem::size_of;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Takes one connection out of a listener's queue.
pub(in crate::io) fn accept(listener: RawFd) -> io::Result<OwnedFd> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: null for the address is allowed; `peer` asks for it later.
    let fd = check(unsafe { libc::accept4(listener, std::ptr::null_mut(), std::ptr::null_mut(), flags) })?;
    // SAFETY: the kernel just gave us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Sends small answers at once. A socket that broke meanwhile says so at its first receive.
pub(in crate::io) fn set_no_delay(socket: &OwnedFd) {
    let on: i32 = 1;
    let (level, option, len) = (libc::IPPROTO_TCP, libc::TCP_NODELAY, size_of::<i32>() as u32);
    // SAFETY: the kernel reads the integer we own.
    unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const on).cast(), len) };
}

/// Receives what is there into the spare room of `buf`, which is not empty; 0 is the end.
pub(in crate::io) fn recv(socket: RawFd, buf: &mut Buf) -> io::Result<usize> {
    // SAFETY: the spare room is ours and writable for its whole length.
    let rc = unsafe { libc::recv(socket, buf.spare_ptr().cast(), buf.spare_len(), libc::MSG_DONTWAIT) };
    let got = check(rc as i64)?;
    // SAFETY: the kernel wrote that many bytes.
    unsafe { buf.advance(got) };
    Ok(got)
}

/// Sends what the socket takes of `bufs` after their first `done` bytes.
pub(in crate::io) fn send(
    socket: RawFd,
    bufs: &[Slice],
    done: usize,
    iovecs: &mut Vec<libc::iovec>,
) -> io::Result<usize> {
    vectors::remaining(bufs, done, iovecs);
    let message = message(iovecs);
    // SAFETY: the message points to `iovecs`, these to slices of the op, and all live across the call.
    let rc = unsafe { libc::sendmsg(socket, &raw const message, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
    check(rc as i64)
}

/// A message of these pieces, for a connected socket. Good while `iovecs` stays where it is.
pub(in crate::io) fn message(iovecs: &mut [libc::iovec]) -> libc::msghdr {
    // SAFETY: all zeros is a valid, empty msghdr.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = iovecs.as_mut_ptr();
    message.msg_iovlen = iovecs.len();
    message
}

/// Ends both directions. A socket that is not connected any more has nothing to end.
pub(in crate::io) fn shutdown(socket: RawFd) {
    // SAFETY: a call without pointers.
    unsafe { libc::shutdown(socket, libc::SHUT_RDWR) };
}

/// Breaks the connection off when the other side takes none of what was sent for so many milliseconds.
pub(in crate::io) fn give_up_after(socket: RawFd, millis: u32) {
    let (level, option, len) = (libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, size_of::<u32>() as u32);
    // SAFETY: the kernel reads the integer we own.
    unsafe { libc::setsockopt(socket, level, option, (&raw const millis).cast(), len) };
}

type NameCall = unsafe extern "C" fn(i32, *mut libc::sockaddr, *mut libc::socklen_t) -> i32;

/// The address of the other side, if the socket still knows.
pub(in crate::io) fn peer(socket: RawFd) -> Option<SocketAddr> {
    name(socket, libc::getpeername)
}

/// The address that the other side reached.
pub(in crate::io) fn local(socket: RawFd) -> Option<SocketAddr> {
    name(socket, libc::getsockname)
}

fn name(socket: RawFd, call: NameCall) -> Option<SocketAddr> {
    // SAFETY: all zeros is a valid sockaddr_storage.
    let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let mut len = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes into the storage we own.
    check(unsafe { call(socket, (&raw mut storage).cast(), &raw mut len) }).ok()?;
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that it is a sockaddr_in, which fits and needs no more alignment than the storage.
            let address = unsafe { *(&raw const storage).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
            Some(SocketAddr::from((ip, u16::from_be(address.sin_port))))
        }
        libc::AF_INET6 => {
            // SAFETY: as above, for a sockaddr_in6.
            let address = unsafe { *(&raw const storage).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
            Some(SocketAddr::from((ip, u16::from_be(address.sin6_port))))
        }
        _ => None,
    }
}

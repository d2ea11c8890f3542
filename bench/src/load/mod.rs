//! The load generator: one thread, many connections, requests encoded beforehand.
//!
//! [`plan`] says what to do, [`outbox`] sends, [`reader`] discards what a fetch brought, [`run`] is the loop, [`stats`](crate::stats)
//! counts. Closed loop: each connection keeps `depth` requests outstanding. Open loop: requests are due at fixed times
//! whatever the broker does, and latency counts from the time at which a request was due, so that a stall is seen by
//! every request that it delayed. JetStream's protocol has a loop of its own, [`nats`].

mod clock;
mod outbox;
mod plan;
mod reader;
mod run;

pub mod nats;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

pub(crate) use clock::cpu_time;
pub use plan::{Goes, LoadError, Pace, Plan, Readers, Sends, Window, Writers};
pub use run::{run, run_until};

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long without any answer before a run is given up, in seconds.
pub const STALL_S: u64 = 30;

/// Sends one request over a blocking socket and returns the answer without its length prefix.
pub fn ask(address: SocketAddr, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(STALL_S)))?;
    ask_on(&mut socket, request)
}

/// The same over a connection that is there.
pub fn ask_on(socket: &mut TcpStream, request: &[u8]) -> io::Result<Vec<u8>> {
    socket.write_all(request)?;
    let mut prefix = [0; 4];
    socket.read_exact(&mut prefix)?;
    let mut answer = vec![0; u32::from_be_bytes(prefix) as usize];
    socket.read_exact(&mut answer)?;
    Ok(answer)
}

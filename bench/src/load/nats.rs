//! The load for NATS JetStream: its text protocol, as much of it as publishing with acknowledgements takes.
//!
//! A stream stands for a partition: subject `bench.<n>`, stream `bench<n>`. Each connection has an inbox, and each of its
//! outstanding messages a slot whose number is the last token of its reply subject, because acknowledgements of several streams
//! may overtake each other. A message is a whole record batch's worth of bytes, so that requests compare with Kafka's.

use super::clock::{Busy, WindowClock};
use super::plan::{LoadError, Pace, Window, Writers};
use super::{STALL_S, outbox::Outbox};
use crate::stats::Stats;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Digits of a slot's number in a reply subject.
const SLOT_DIGITS: usize = 4;

/// What the server says, as far as a publisher must understand it.
#[derive(Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// `INFO`, `+OK`, `PONG`: nothing to do.
    Nothing,
    /// Answer with `PONG`.
    Ping,
    /// `-ERR`.
    Error(&'a [u8]),
    /// A message: its subject and its payload.
    Message(&'a [u8], &'a [u8]),
}

/// The first whole thing that was said and its length, or `None` when more must come. Headers (`HMSG`) are never asked for.
pub fn next_said(bytes: &[u8]) -> Option<(Said<'_>, usize)> {
    let line_len = bytes.windows(2).position(|w| w == b"\r\n")?;
    let line = &bytes[..line_len];
    let after = line_len + 2;
    if line.starts_with(b"MSG ") {
        // MSG <subject> <sid> [reply-to] <#bytes>
        let mut words = line[4..].split(|b| *b == b' ').filter(|w| !w.is_empty());
        let subject = words.next().unwrap_or_default();
        let len: usize = words.next_back().and_then(|w| std::str::from_utf8(w).ok()?.parse().ok()).unwrap_or(0);
        let payload = bytes.get(after..after + len)?;
        let said = match bytes.get(after + len..after + len + 2)? {
            b"\r\n" => Said::Message(subject, payload),
            _ => Said::Error(line),
        };
        return Some((said, after + len + 2));
    }
    let said = match line {
        b"PING" => Said::Ping,
        _ if line.starts_with(b"-ERR") => Said::Error(line),
        _ => Said::Nothing,
    };
    Some((said, after))
}

/// Opens a connection that has greeted and subscribed to `inbox`.
fn greet(address: SocketAddr, inbox: &str) -> io::Result<std::net::TcpStream> {
    let mut socket = std::net::TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    let hello =
        r#"CONNECT {"verbose":false,"pedantic":false,"headers":false,"lang":"bench","version":"1","protocol":0}"#;
    socket.write_all(format!("{hello}\r\nSUB {inbox}.* 1\r\n").as_bytes())?;
    Ok(socket)
}

/// Sends one request and waits for its answer.
pub fn ask(address: SocketAddr, subject: &str, payload: &str) -> io::Result<Vec<u8>> {
    let mut socket = greet(address, "_INBOX.ask")?;
    socket.set_read_timeout(Some(Duration::from_secs(STALL_S)))?;
    socket.write_all(format!("PUB {subject} _INBOX.ask.1 {}\r\n{payload}\r\n", payload.len()).as_bytes())?;
    let mut got = Vec::new();
    let mut room = [0; 4096];
    loop {
        while let Some((said, len)) = next_said(&got) {
            match said {
                Said::Message(_, payload) => return Ok(payload.to_vec()),
                Said::Error(text) => return Err(io::Error::other(String::from_utf8_lossy(text).into_owned())),
                Said::Ping => socket.write_all(b"PONG\r\n")?,
                Said::Nothing => {}
            }
            got.drain(..len);
        }
        match socket.read(&mut room)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => got.extend_from_slice(&room[..n]),
        }
    }
}

/// Makes the streams that [`run`] writes to; `bytes_max` is each one's retention, -1 for none.
pub fn create_streams(address: SocketAddr, streams: i32, bytes_max: i64) -> io::Result<()> {
    for n in 0..streams {
        let config = serde_json::json!({"name": format!("bench{n}"), "subjects": [format!("bench.{n}")],
            "storage": "file", "retention": "limits", "discard": "old", "num_replicas": 1, "max_bytes": bytes_max});
        let answer = ask(address, &format!("$JS.API.STREAM.CREATE.bench{n}"), &config.to_string())?;
        let json: serde_json::Value = serde_json::from_slice(&answer).unwrap_or_default();
        if json.get("error").is_some() {
            return Err(io::Error::other(format!("stream bench{n}: {}", json["error"])));
        }
    }
    Ok(())
}

struct Conn {
    socket: TcpStream,
    writable: bool,
    outbox: Outbox,
    /// `PUB bench.<n> <inbox>.<slot> <len>\r\n` for each of its streams, and where the slot's digits lie.
    heads: Vec<(Vec<u8>, usize)>,
    next: usize,
    due: Vec<Instant>,
    inbox: Vec<u8>,
}

impl Conn {
    /// Publishes in `slot`.
    fn publish(&mut self, slot: usize, payload: &[u8], at: Instant) {
        let heads = self.heads.len();
        let (head, slot_at) = &mut self.heads[self.next % heads];
        self.next += 1;
        let mut left = slot;
        for digit in head[*slot_at..*slot_at + SLOT_DIGITS].iter_mut().rev() {
            *digit = b'0' + (left % 10) as u8;
            left /= 10;
        }
        self.due[slot] = at;
        self.outbox.push_bytes(head);
        self.outbox.push_bytes(payload);
    }
}

/// Runs a closed loop against the streams of [`create_streams`]; `writers.topic` and `writers.acks` do not matter.
pub fn run(
    address: SocketAddr,
    writers: &Writers,
    window: Window,
    mut on_begin: impl FnMut(),
) -> Result<Stats, LoadError> {
    let Pace::Closed { depth } = writers.pace else {
        return Err(LoadError::Poll(io::Error::other("the load for JetStream is a closed loop")));
    };
    let (mut payload, records) = crate::frames::batch(writers.batch_bytes, writers.record_bytes, 0);
    let batch_len = payload.len();
    payload.extend_from_slice(b"\r\n");
    let mut poll = Poll::new()?;
    let mut conns = Vec::new();
    let begin = Instant::now();
    for conn in 0..writers.connections {
        let made = connect(address, writers, conn, depth, batch_len, &poll);
        let mut made = made.map_err(|error| LoadError::Socket { conn, error })?;
        (0..depth).for_each(|slot| made.publish(slot, &payload, begin));
        conns.push(made);
    }
    let mut clock = WindowClock::new(window, begin);
    let (mut busy, mut stats, mut from) = (Busy::new(false), Stats::default(), begin);
    let (mut answered, mut bytes, mut last_answer) = (0, 0, begin);
    let mut events = Events::with_capacity(1024);
    loop {
        match poll.poll(&mut events, Some(Duration::from_millis(20))) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        }
        let now = Instant::now();
        if clock.begins(now, answered, bytes) {
            (busy, stats, from, bytes) = (Busy::new(false), Stats::default(), now, 0);
            on_begin();
        }
        for event in &events {
            let conn = event.token().0;
            let c = &mut conns[conn];
            c.writable |= event.is_writable();
            let wrong = |error| LoadError::Socket { conn, error };
            c.receive().map_err(wrong)?;
            let now = Instant::now();
            while let Some(slot) = c.next_ack(conn)? {
                stats.writes.answered(now - c.due[slot], batch_len, records, now.saturating_duration_since(from));
                (answered, bytes, last_answer) = (answered + 1, bytes + batch_len as u64, now);
                c.publish(slot, &payload, now);
            }
            if c.writable {
                c.writable = c.outbox.flush(&mut c.socket).map_err(wrong)?;
            }
        }
        let after = Instant::now();
        if clock.ends(after, bytes) {
            stats.elapsed = after - from;
            stats.generator_busy = busy.share(stats.elapsed);
            return Ok(stats);
        }
        if after - last_answer > Duration::from_secs(STALL_S) {
            return Err(LoadError::Stalled(STALL_S));
        }
    }
}

impl Conn {
    fn receive(&mut self) -> io::Result<()> {
        let mut room = [0; 16 * 1024];
        loop {
            match self.socket.read(&mut room) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => self.inbox.extend_from_slice(&room[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// The slot of the next acknowledged message.
    fn next_ack(&mut self, conn: usize) -> Result<Option<usize>, LoadError> {
        while let Some((said, len)) = next_said(&self.inbox) {
            let slot = match said {
                Said::Message(subject, payload) => Some(acknowledged(subject, payload, conn)?),
                Said::Error(text) => return Err(refused(conn, text)),
                Said::Ping => {
                    self.outbox.push_bytes(b"PONG\r\n");
                    None
                }
                Said::Nothing => None,
            };
            self.inbox.drain(..len);
            if let Some(slot) = slot.filter(|slot| *slot < self.due.len()) {
                return Ok(Some(slot));
            }
        }
        Ok(None)
    }
}

fn refused(conn: usize, words: &[u8]) -> LoadError {
    LoadError::Refused { conn, answer: String::from_utf8_lossy(words).into_owned() }
}

/// The slot in a reply subject, if the payload is an acknowledgement: `{"stream":"bench0","seq":17}`.
fn acknowledged(subject: &[u8], payload: &[u8], conn: usize) -> Result<usize, LoadError> {
    let has = |needle: &[u8]| payload.windows(needle.len()).any(|w| w == needle);
    if has(b"\"error\"") || !has(b"\"seq\"") {
        return Err(refused(conn, payload));
    }
    let digits = subject.rsplit(|b| *b == b'.').next().unwrap_or_default();
    std::str::from_utf8(digits).ok().and_then(|d| d.parse().ok()).ok_or_else(|| refused(conn, subject))
}

fn connect(
    address: SocketAddr,
    writers: &Writers,
    conn: usize,
    depth: usize,
    len: usize,
    poll: &Poll,
) -> io::Result<Conn> {
    let inbox = format!("_INBOX.c{conn}");
    let socket = greet(address, &inbox)?;
    socket.set_nonblocking(true)?;
    let mut socket = TcpStream::from_std(socket);
    poll.registry().register(&mut socket, Token(conn), Interest::READABLE | Interest::WRITABLE)?;
    let partitions = usize::try_from(writers.partitions).unwrap_or(1).max(1);
    let head = |stream: usize| {
        let front = format!("PUB bench.{stream} {inbox}.");
        let slot_at = front.len();
        (format!("{front}{:0SLOT_DIGITS$} {len}\r\n", 0).into_bytes(), slot_at)
    };
    let heads = (conn % partitions..partitions).step_by(writers.connections).map(head).collect();
    Ok(Conn {
        socket,
        writable: true,
        outbox: Outbox::default(),
        heads,
        next: 0,
        due: vec![Instant::now(); depth],
        inbox: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_split_wherever_it_is_cut() {
        let said = b"INFO {\"max_payload\":1048576}\r\nPING\r\nMSG _INBOX.c1.0007 1 27\r\n{\"stream\":\"b0\",\"seq\":12345}\r\n-ERR 'x'\r\n";
        let mut at = 0;
        let mut kinds = Vec::new();
        while let Some((one, len)) = next_said(&said[at..]) {
            for cut in 0..len {
                assert_eq!(next_said(&said[at..at + cut]), None, "{cut} of {len} bytes are not whole");
            }
            kinds.push(format!("{one:?}").split('(').next().unwrap_or_default().to_owned());
            at += len;
        }
        assert_eq!(at, said.len());
        assert_eq!(kinds, ["Nothing", "Ping", "Message", "Error"]);
    }

    #[test]
    fn a_message_may_name_where_to_reply() {
        let (said, len) = next_said(b"MSG a.b 9 to.me 3\r\nxyz\r\nPING\r\n").unwrap();
        assert_eq!((said, len), (Said::Message(b"a.b", b"xyz"), 24));
        let (said, _) = next_said(b"MSG a.b 9 2\r\nxyz\r\n").unwrap();
        assert_eq!(said, Said::Error(b"MSG a.b 9 2"), "a length that is wrong is not believed");
    }

    #[test]
    fn an_acknowledgement_names_its_slot_and_a_refusal_is_none() {
        assert_eq!(acknowledged(b"_INBOX.c1.0042", br#"{"stream":"bench0","seq":7}"#, 1).unwrap(), 42);
        let full = br#"{"error":{"code":503,"description":"insufficient resources"},"stream":"bench0","seq":0}"#;
        assert!(matches!(acknowledged(b"_INBOX.c1.0042", full, 1), Err(LoadError::Refused { conn: 1, .. })));
    }
}

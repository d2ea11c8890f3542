//! The load generator: one thread, many connections, requests encoded beforehand.
//!
//! Closed loop: each connection keeps `depth` requests outstanding. Open loop: requests are due at fixed times whatever
//! the broker does, and latency counts from the time at which a request was due, so that a stall is seen by every
//! request that it delayed.

use crate::frames::{self, AnswerError, FetchTemplate};
use crate::stats::Stats;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What to do.
#[derive(Clone, Debug)]
pub enum Job {
    /// Produce to partitions in turn: connection `i` writes to partition `i mod partitions`, or walks over several where
    /// there are more partitions than connections.
    Produce,
    /// Read partitions from their start, again and again.
    Fetch {
        /// Most bytes an answer may hold.
        max_bytes: i32,
    },
    /// Produce at a fixed rate and read it back: latency until a long-polling consumer has the record.
    EndToEnd,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The broker.
    pub address: SocketAddr,
    /// An existing topic.
    pub topic: String,
    /// Its partitions.
    pub partitions: i32,
    /// What to do.
    pub job: Job,
    /// Connections.
    pub connections: usize,
    /// Outstanding requests a connection, closed loop.
    pub depth: usize,
    /// Requests a second over all connections; `None` for closed loop.
    pub rate: Option<f64>,
    /// Size of a batch in bytes.
    pub batch_bytes: usize,
    /// Size of a record's value in bytes.
    pub record_bytes: usize,
    /// The acks field.
    pub acks: i16,
    /// Not counted.
    pub warm_up: Duration,
    /// Counted.
    pub duration: Duration,
    /// Ends the run early, so that a fast disk is not filled.
    pub bytes_max: u64,
}

/// Why a run ended without figures.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A socket failed.
    #[error("connection {conn}: {error}")]
    Socket {
        /// Which connection.
        conn: usize,
        /// The cause.
        error: io::Error,
    },
    /// The broker refused a request.
    #[error("connection {conn}: {error}")]
    Answer {
        /// Which connection.
        conn: usize,
        /// The cause.
        error: AnswerError,
    },
    /// No answer for a long time.
    #[error("no answer for {0} s")]
    Stalled(u64),
    /// A request could not be encoded.
    #[error("encoding a request: {0}")]
    Encode(#[from] protocol::EncodeError),
    /// The poller failed.
    #[error("poll: {0}")]
    Poll(#[from] io::Error),
}

/// How long without any answer before a run is given up.
const STALL_S: u64 = 30;

/// Room for reading at once.
const READ_ROOM: usize = 256 * 1024;

/// Sends one request over a blocking socket and returns the answer without its length prefix.
pub fn ask(address: SocketAddr, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut socket = std::net::TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(STALL_S)))?;
    socket.write_all(request)?;
    let mut prefix = [0; 4];
    socket.read_exact(&mut prefix)?;
    let mut answer = vec![0; u32::from_be_bytes(prefix) as usize];
    socket.read_exact(&mut answer)?;
    Ok(answer)
}

/// What one connection sends.
enum Source {
    /// Encoded frames, in turn.
    Frames { frames: Vec<std::rc::Rc<Vec<u8>>>, next: usize },
    /// Reads from where it got to.
    Reader { template: FetchTemplate, offset: i64, follow: bool, partition: usize },
}

struct Conn {
    socket: TcpStream,
    source: Source,
    /// When each outstanding request was due.
    due: VecDeque<Instant>,
    /// Bytes not yet taken by the kernel: small frames are collected here.
    out: Vec<u8>,
    out_at: usize,
    /// A large frame that is sent from its template, and how far it is.
    large: VecDeque<(std::rc::Rc<Vec<u8>>, usize)>,
    /// Received bytes of unfinished answers.
    inbox: Vec<u8>,
    filled: usize,
    writable: bool,
}

/// Frames from here on are sent from their template instead of being copied together.
const LARGE: usize = 8 * 1024;

impl Conn {
    fn queue(&mut self, due: Instant) {
        self.due.push_back(due);
        match &mut self.source {
            Source::Frames { frames, next } => {
                let frame = frames[*next % frames.len()].clone();
                *next += 1;
                if frame.len() >= LARGE { self.large.push_back((frame, 0)) } else { self.out.extend_from_slice(&frame) }
            }
            Source::Reader { template, offset, .. } => self.out.extend_from_slice(template.at(*offset)),
        }
    }

    /// Writes until the kernel takes no more.
    fn flush(&mut self) -> io::Result<()> {
        while self.writable {
            let sent = if self.out_at < self.out.len() {
                self.socket.write(&self.out[self.out_at..])
            } else if let Some((frame, at)) = self.large.front() {
                self.socket.write(&frame[*at..])
            } else {
                return Ok(());
            };
            match sent {
                Ok(n) => self.advance(n),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn advance(&mut self, n: usize) {
        if self.out_at < self.out.len() {
            self.out_at += n;
            if self.out_at == self.out.len() {
                self.out.clear();
                self.out_at = 0;
            }
        } else if let Some((frame, at)) = self.large.front_mut() {
            *at += n;
            if *at == frame.len() {
                self.large.pop_front();
            }
        }
    }

    /// Reads what is there; true when the socket may have more.
    fn fill(&mut self) -> io::Result<bool> {
        let wanted = match self.inbox.first_chunk::<4>() {
            Some(prefix) if self.filled >= 4 => (u32::from_be_bytes(*prefix) as usize + 4).max(READ_ROOM),
            _ => READ_ROOM,
        };
        if self.inbox.len() < wanted {
            self.inbox.resize(wanted, 0);
        }
        match self.socket.read(&mut self.inbox[self.filled..]) {
            Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the broker closed the connection")),
            Ok(n) => {
                self.filled += n;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A run in progress.
struct Run<'a> {
    plan: &'a Plan,
    conns: Vec<Conn>,
    stats: Stats,
    records: usize,
    batch_len: usize,
    counting: bool,
    last_answer: Instant,
    /// End-to-end: when each batch of a partition was due, with the offset after it.
    sent: Vec<VecDeque<Instant>>,
    delivered: Vec<i64>,
    bytes_total: u64,
}

/// Runs a plan.
pub fn run(plan: &Plan) -> Result<Stats, LoadError> {
    let mut poll = Poll::new()?;
    let mut run = Run::start(plan, &poll)?;
    let begin = Instant::now();
    let measure_from = begin + plan.warm_up;
    let end = measure_from + plan.duration;
    let interval = plan.rate.map(|r| Duration::from_secs_f64(1.0 / r));
    let writers = run.writers();
    let mut scheduled = 0u32;
    if interval.is_none() {
        for i in 0..run.conns.len() {
            for _ in 0..plan.depth {
                run.conns[i].queue(begin);
            }
            run.flush(i)?;
        }
    } else {
        for i in writers.len()..run.conns.len() {
            run.conns[i].queue(begin);
            run.flush(i)?;
        }
    }
    let mut events = Events::with_capacity(1024);
    let (mut busy, mut counted_from) = (Duration::ZERO, measure_from);
    loop {
        let before = Instant::now();
        let wait = if interval.is_some() { Duration::ZERO } else { Duration::from_millis(20) };
        match poll.poll(&mut events, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        }
        let now = Instant::now();
        if !run.counting && now >= measure_from {
            run.counting = true;
            run.stats = Stats::default();
            (busy, counted_from) = (Duration::ZERO, now);
        }
        for event in &events {
            run.ready(event.token().0, event.is_writable())?;
        }
        if let Some(interval) = interval {
            while begin + interval * scheduled <= now && now < end {
                let conn = writers[scheduled as usize % writers.len()];
                let due = begin + interval * scheduled;
                run.send_due(conn, due)?;
                scheduled += 1;
            }
        }
        let after = Instant::now();
        if !events.is_empty() {
            busy += after - now;
        }
        if after >= end || run.bytes_total >= plan.bytes_max {
            run.stats.elapsed = after.saturating_duration_since(counted_from);
            run.stats.generator_busy = busy.as_secs_f64() / run.stats.elapsed.as_secs_f64().max(1e-9);
            return Ok(run.stats);
        }
        if before.duration_since(run.last_answer) > Duration::from_secs(STALL_S) {
            return Err(LoadError::Stalled(STALL_S));
        }
    }
}

impl Run<'_> {
    fn start<'a>(plan: &'a Plan, poll: &Poll) -> Result<Run<'a>, LoadError> {
        let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_millis();
        let (batch, records) = frames::batch(plan.batch_bytes, plan.record_bytes, i64::try_from(now_ms).unwrap_or(0));
        let partitions = usize::try_from(plan.partitions).unwrap_or(1).max(1);
        let mut encoded = Vec::new();
        for p in 0..plan.partitions {
            encoded.push(std::rc::Rc::new(frames::produce(&plan.topic, p, plan.acks, &batch)?));
        }
        let mut sources = Vec::new();
        for i in 0..plan.connections {
            let reader = |max_bytes, follow| -> Result<Source, LoadError> {
                let partition = i % partitions;
                let template = FetchTemplate::new(&plan.topic, i32::try_from(partition).unwrap_or(0), max_bytes, 500)?;
                Ok(Source::Reader { template, offset: 0, follow, partition })
            };
            sources.push(match plan.job {
                Job::Produce | Job::EndToEnd => {
                    let mine = encoded.iter().skip(i % partitions).step_by(plan.connections).cloned().collect();
                    Source::Frames { frames: mine, next: 0 }
                }
                Job::Fetch { max_bytes } => reader(max_bytes, false)?,
            });
        }
        if matches!(plan.job, Job::EndToEnd) {
            for p in 0..plan.partitions {
                let template = FetchTemplate::new(&plan.topic, p, 1 << 20, 500)?;
                sources.push(Source::Reader { template, offset: 0, follow: true, partition: p as usize });
            }
        }
        let mut conns = Vec::new();
        for (i, source) in sources.into_iter().enumerate() {
            conns.push(connect(plan.address, i, source, poll).map_err(|error| LoadError::Socket { conn: i, error })?);
        }
        let sent = vec![VecDeque::new(); partitions];
        let now = Instant::now();
        Ok(Run {
            plan,
            conns,
            stats: Stats::default(),
            records,
            batch_len: batch.len(),
            counting: false,
            last_answer: now,
            sent,
            delivered: vec![0; partitions],
            bytes_total: 0,
        })
    }

    /// The connections that send on schedule.
    fn writers(&self) -> Vec<usize> {
        (0..self.plan.connections).collect()
    }

    fn flush(&mut self, conn: usize) -> Result<(), LoadError> {
        self.conns[conn].flush().map_err(|error| LoadError::Socket { conn, error })
    }

    fn send_due(&mut self, conn: usize, due: Instant) -> Result<(), LoadError> {
        if let (Job::EndToEnd, Source::Frames { frames, next }) = (&self.plan.job, &self.conns[conn].source) {
            // Connection c owns partitions c, c + connections, …
            let partition = conn % self.sent.len() + (*next % frames.len()) * self.plan.connections;
            self.sent[partition].push_back(due);
        }
        self.conns[conn].queue(due);
        self.flush(conn)
    }

    fn ready(&mut self, conn: usize, writable: bool) -> Result<(), LoadError> {
        self.conns[conn].writable |= writable;
        while self.conns[conn].fill().map_err(|error| LoadError::Socket { conn, error })? {
            self.answers(conn)?;
        }
        self.flush(conn)
    }

    /// Handles every whole answer in the inbox.
    fn answers(&mut self, conn: usize) -> Result<(), LoadError> {
        let now = Instant::now();
        let inbox = std::mem::take(&mut self.conns[conn].inbox);
        let filled = self.conns[conn].filled;
        let mut at = 0;
        while let Some(prefix) = inbox[at..filled].first_chunk::<4>() {
            let len = u32::from_be_bytes(*prefix) as usize;
            let Some(answer) = inbox[at + 4..filled].get(..len) else { break };
            self.answer(conn, answer, now)?;
            at += 4 + len;
        }
        let c = &mut self.conns[conn];
        c.inbox = inbox;
        c.inbox.copy_within(at..filled, 0);
        c.filled = filled - at;
        Ok(())
    }

    fn answer(&mut self, conn: usize, answer: &[u8], now: Instant) -> Result<(), LoadError> {
        let wrong = |error| LoadError::Answer { conn, error };
        let due = self.conns[conn].due.pop_front().unwrap_or(now);
        let latency = now.saturating_duration_since(due);
        self.last_answer = now;
        match &mut self.conns[conn].source {
            Source::Frames { .. } => {
                frames::produced(answer).map_err(wrong)?;
                self.bytes_total += self.batch_len as u64;
                if !matches!(self.plan.job, Job::EndToEnd) {
                    self.stats.answered(latency, self.batch_len, self.records);
                }
                if self.plan.rate.is_none() {
                    self.conns[conn].queue(now);
                }
            }
            Source::Reader { offset, follow, partition, .. } => {
                let got = frames::fetched(answer).map_err(wrong)?;
                self.bytes_total += got.bytes as u64;
                let (follow, partition) = (*follow, *partition);
                *offset = match got.next {
                    Some(next) if follow || next < got.high_watermark => next,
                    None if follow => *offset,
                    _ => 0,
                };
                if follow {
                    self.delivered(partition, got.next, now);
                } else {
                    self.stats.answered(latency, got.bytes, 0);
                }
                self.conns[conn].queue(now);
            }
        }
        Ok(())
    }

    /// A consumer has everything below `next`.
    fn delivered(&mut self, partition: usize, next: Option<i64>, now: Instant) {
        let Some(next) = next else { return };
        while self.delivered[partition] < next {
            self.delivered[partition] += self.records as i64;
            if let Some(due) = self.sent[partition].pop_front() {
                self.stats.answered(now.saturating_duration_since(due), self.batch_len, self.records);
            }
        }
    }
}

fn connect(address: SocketAddr, token: usize, source: Source, poll: &Poll) -> io::Result<Conn> {
    let socket = std::net::TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_nonblocking(true)?;
    let mut socket = TcpStream::from_std(socket);
    poll.registry().register(&mut socket, Token(token), Interest::READABLE | Interest::WRITABLE)?;
    Ok(Conn {
        socket,
        source,
        due: VecDeque::new(),
        out: Vec::new(),
        out_at: 0,
        large: VecDeque::new(),
        inbox: Vec::new(),
        filled: 0,
        writable: true,
    })
}

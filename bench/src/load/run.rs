//! The loop: sockets that are ready, requests that are due, the window that is counted.

use super::STALL_S;
use super::clock::{Busy, Schedule, WindowClock};
use super::outbox::{Frame, Outbox};
use super::plan::{Goes, LoadError, Pace, Plan, Readers, Sends, Writers};
use super::reader::{ReadError, Reader, Scratch};
use crate::frames::{self, FetchTemplate};
use crate::stats::Stats;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use nix::sys::socket::{setsockopt, sockopt};
use std::collections::VecDeque;
use std::io::{self, Read};
use std::time::{Duration, Instant};

/// Room for answers to Produce, read at once.
const ANSWERS_ROOM: usize = 64 * 1024;

/// Asked for a socket's buffers, in bytes; the system may give less.
const SOCKET_BUFFER: usize = 4 << 20;

/// What one connection does.
enum Role {
    Writer {
        frames: Vec<Frame>,
        /// Which frame is next, and so which partition.
        next: usize,
        /// When each outstanding request was due.
        due: VecDeque<Instant>,
        /// The begun answer behind the last whole one.
        rest: Vec<u8>,
    },
    Reader {
        reader: Box<Reader>,
        partition: usize,
        since: Instant,
    },
}

struct Conn {
    socket: TcpStream,
    writable: bool,
    outbox: Outbox,
    role: Role,
}

/// Batches of one partition that no consumer has yet.
#[derive(Debug, Default)]
struct Undelivered {
    due: VecDeque<Instant>,
    /// The offset below which everything was delivered.
    below: i64,
}

/// A run in progress.
struct Run<'a> {
    writers: Option<&'a Writers>,
    readers: Option<&'a Readers>,
    conns: Vec<Conn>,
    writing: usize,
    readers_left: usize,
    stats: Stats,
    window_from: Instant,
    /// Records and bytes of the writers' batch.
    batch: (usize, usize),
    answered: u64,
    bytes: u64,
    last_answer: Instant,
    undelivered: Vec<Undelivered>,
    answers: Box<[u8]>,
    scratch: Scratch,
}

/// Runs a plan; `on_begin` is called when the warm-up is over.
pub fn run(plan: &Plan, on_begin: impl FnMut()) -> Result<Stats, LoadError> {
    run_until(plan, on_begin, || false)
}

/// The same, which also ends once somebody has seen `enough`.
pub fn run_until(plan: &Plan, mut on_begin: impl FnMut(), enough: impl Fn() -> bool) -> Result<Stats, LoadError> {
    let mut poll = Poll::new()?;
    let mut run = Run::start(plan, &poll)?;
    let begin = Instant::now();
    let mut schedule = Schedule::new(plan, begin);
    run.first_requests(begin)?;
    let mut clock = WindowClock::new(plan.window, begin);
    let mut busy = Busy::new(schedule.is_some());
    let mut events = Events::with_capacity(1024);
    loop {
        let wait = if schedule.is_some() { Duration::ZERO } else { Duration::from_millis(20) };
        match poll.poll(&mut events, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        }
        let now = Instant::now();
        if clock.begins(now, run.answered, run.bytes) {
            (run.stats, run.window_from, run.bytes) = (Stats::default(), now, 0);
            busy = Busy::new(schedule.is_some());
            on_begin();
        }
        for event in &events {
            run.ready(event.token().0, event.is_writable())?;
        }
        let mut sent = false;
        while let Some((conn, due)) = schedule.as_mut().and_then(|s| s.next_due(now)) {
            run.send_due(conn, due)?;
            sent = true;
        }
        let after = Instant::now();
        busy.turned(!events.is_empty() || sent, after - now);
        if clock.ends(after, run.bytes) || run.readers_are_done() || enough() {
            run.stats.elapsed = after.saturating_duration_since(run.window_from);
            run.stats.generator_busy = busy.share(run.stats.elapsed);
            return Ok(run.stats);
        }
        if after.duration_since(run.last_answer) > Duration::from_secs(STALL_S) {
            return Err(LoadError::Stalled(STALL_S));
        }
    }
}

impl<'a> Run<'a> {
    fn start(plan: &'a Plan, poll: &Poll) -> Result<Run<'a>, LoadError> {
        let now = Instant::now();
        let mut roles = Vec::new();
        let mut batch = (0, 0);
        if let Some(writers) = &plan.writers {
            let (made, sizes) = match writers.sends {
                Sends::Batches => writer_roles(writers)?,
                Sends::Commits => committer_roles(writers)?,
            };
            batch = sizes;
            roles.extend(made);
        }
        let writing = roles.len();
        if let Some(readers) = &plan.readers {
            roles.extend(reader_roles(readers, now)?);
        }
        let readers_left = roles.len() - writing;
        let mut conns = Vec::with_capacity(roles.len());
        for (conn, role) in roles.into_iter().enumerate() {
            let socket = connect(plan, conn, poll).map_err(|error| LoadError::Socket { conn, error })?;
            conns.push(Conn { socket, writable: true, outbox: Outbox::default(), role });
        }
        let partitions = plan.writers.as_ref().map_or(0, |w| usize::try_from(w.partitions).unwrap_or(0));
        Ok(Run {
            writers: plan.writers.as_ref(),
            readers: plan.readers.as_ref(),
            conns,
            writing,
            readers_left,
            stats: Stats::default(),
            window_from: now,
            batch,
            answered: 0,
            bytes: 0,
            last_answer: now,
            undelivered: (0..partitions).map(|_| Undelivered::default()).collect(),
            answers: vec![0; ANSWERS_ROOM].into(),
            scratch: Scratch::new(),
        })
    }

    fn first_requests(&mut self, now: Instant) -> Result<(), LoadError> {
        let depth = match self.writers.map(|w| w.pace) {
            Some(Pace::Closed { depth }) => depth,
            Some(Pace::Open { .. }) | None => 0,
        };
        for conn in 0..self.conns.len() {
            let count = if conn < self.writing { depth } else { 1 };
            for _ in 0..count {
                self.conns[conn].request(now);
            }
            self.flush(conn)?;
        }
        Ok(())
    }

    fn readers_are_done(&self) -> bool {
        self.readers.is_some_and(|r| r.goes == Goes::Once) && self.readers_left == 0
    }

    fn follows(&self) -> bool {
        self.readers.is_some_and(|r| r.goes == Goes::Follow)
    }

    fn flush(&mut self, conn: usize) -> Result<(), LoadError> {
        let c = &mut self.conns[conn];
        if c.writable {
            c.writable = c.outbox.flush(&mut c.socket).map_err(|error| LoadError::Socket { conn, error })?;
        }
        Ok(())
    }

    fn send_due(&mut self, conn: usize, due: Instant) -> Result<(), LoadError> {
        if self.follows() {
            let partition = self.next_partition(conn);
            self.undelivered[partition].due.push_back(due);
        }
        self.conns[conn].request(due);
        self.flush(conn)
    }

    /// The partition that a writer's next request is for.
    fn next_partition(&self, conn: usize) -> usize {
        match &self.conns[conn].role {
            Role::Writer { frames, next, .. } => conn % self.undelivered.len() + (next % frames.len()) * self.writing,
            Role::Reader { .. } => 0,
        }
    }

    fn ready(&mut self, conn: usize, writable: bool) -> Result<(), LoadError> {
        self.conns[conn].writable |= writable;
        match self.conns[conn].role {
            Role::Writer { .. } => self.take_answers(conn)?,
            Role::Reader { .. } => self.take_fetched(conn)?,
        }
        self.flush(conn)
    }

    fn take_answers(&mut self, conn: usize) -> Result<(), LoadError> {
        let mut room = std::mem::take(&mut self.answers);
        loop {
            match self.conns[conn].socket.read(&mut room) {
                Ok(0) => return Err(LoadError::Socket { conn, error: io::ErrorKind::UnexpectedEof.into() }),
                Ok(n) => {
                    self.answers_in(conn, &room[..n])?;
                    // The socket tells again when more comes; less than was asked for is all there was.
                    if n < room.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(LoadError::Socket { conn, error }),
            }
        }
        self.answers = room;
        Ok(())
    }

    /// Handles every whole answer in what was received, and keeps a begun one.
    fn answers_in(&mut self, conn: usize, received: &[u8]) -> Result<(), LoadError> {
        let now = Instant::now();
        let sends = self.writers.map_or(Sends::Batches, |w| w.sends);
        let Role::Writer { rest, .. } = &mut self.conns[conn].role else { return Ok(()) };
        let mut joined = std::mem::take(rest);
        let bytes: &[u8] = if joined.is_empty() {
            received
        } else {
            joined.extend_from_slice(received);
            &joined
        };
        let mut at = 0;
        while let Some(prefix) = bytes[at..].first_chunk::<4>() {
            let len = u32::from_be_bytes(*prefix) as usize;
            let Some(answer) = bytes.get(at + 4..at + 4 + len) else { break };
            let checked = match sends {
                Sends::Batches => frames::produced(answer).map(|_| ()),
                Sends::Commits => frames::committed(answer),
            };
            checked.map_err(|error| LoadError::Answer { conn, error })?;
            self.produced(conn, now);
            at += 4 + len;
        }
        if at < bytes.len() {
            let begun = bytes[at..].to_vec();
            if let Role::Writer { rest, .. } = &mut self.conns[conn].role {
                *rest = begun;
            }
        }
        Ok(())
    }

    fn produced(&mut self, conn: usize, now: Instant) {
        let Role::Writer { due, .. } = &mut self.conns[conn].role else { return };
        let latency = now.saturating_duration_since(due.pop_front().unwrap_or(now));
        let (records, bytes) = self.batch;
        self.stats.writes.answered(latency, bytes, records, now.saturating_duration_since(self.window_from));
        self.counted(bytes, now);
        if matches!(self.writers.map(|w| w.pace), Some(Pace::Closed { .. })) {
            self.conns[conn].request(now);
        }
    }

    fn counted(&mut self, bytes: usize, now: Instant) {
        self.answered += 1;
        self.bytes += bytes as u64;
        self.last_answer = now;
    }

    fn take_fetched(&mut self, conn: usize) -> Result<(), LoadError> {
        loop {
            let c = &mut self.conns[conn];
            let Role::Reader { reader, partition, since } = &mut c.role else { return Ok(()) };
            let got = reader.receive(&c.socket, &mut self.scratch).map_err(|error| match error {
                ReadError::Socket(error) => LoadError::Socket { conn, error },
                ReadError::Answer(error) => LoadError::Answer { conn, error },
            })?;
            let Some(got) = got else { return Ok(()) };
            let now = Instant::now();
            let (since, partition) = (std::mem::replace(since, now), *partition);
            let goes = self.readers.map_or(Goes::Round, |r| r.goes);
            let at_end = got.next.is_none_or(|next| next >= got.high_watermark);
            let next = got.next.unwrap_or(reader.offset);
            reader.offset = if at_end && goes == Goes::Round { 0 } else { next };
            self.counted(got.bytes, now);
            if goes == Goes::Follow {
                self.deliver(partition, next, now);
            } else {
                let at = now.saturating_duration_since(self.window_from);
                self.stats.reads.answered(now.saturating_duration_since(since), got.bytes, 0, at);
            }
            if at_end && goes == Goes::Once {
                self.readers_left -= 1;
                return Ok(());
            }
            self.conns[conn].request(now);
            self.flush(conn)?;
        }
    }

    /// A consumer has everything below `next`.
    fn deliver(&mut self, partition: usize, next: i64, now: Instant) {
        let (records, bytes) = self.batch;
        let at = now.saturating_duration_since(self.window_from);
        let log = &mut self.undelivered[partition];
        while log.below < next {
            log.below += records as i64;
            if let Some(due) = log.due.pop_front() {
                self.stats.delivered.answered(now.saturating_duration_since(due), bytes, records, at);
            }
        }
    }
}

impl Conn {
    /// Queues the next request.
    fn request(&mut self, at: Instant) {
        match &mut self.role {
            Role::Writer { frames, next, due, .. } => {
                due.push_back(at);
                self.outbox.push(&frames[*next % frames.len()]);
                *next += 1;
            }
            Role::Reader { reader, since, .. } => {
                *since = at;
                self.outbox.push_bytes(reader.request());
            }
        }
    }
}

/// The writing connections, with records and bytes of a batch.
fn writer_roles(writers: &Writers) -> Result<(Vec<Role>, (usize, usize)), LoadError> {
    let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_millis();
    let (batch, records) = frames::batch(writers.batch_bytes, writers.record_bytes, i64::try_from(now_ms).unwrap_or(0));
    let shared: std::rc::Rc<[u8]> = batch.as_slice().into();
    let mut all = Vec::new();
    for partition in 0..writers.partitions {
        let head = frames::produce_head(&writers.topic, partition, writers.acks, &batch)?;
        all.push(Frame { head: head.into(), batch: shared.clone() });
    }
    let role = |conn: usize| Role::Writer {
        frames: all.iter().skip(conn % all.len()).step_by(writers.connections).cloned().collect(),
        next: 0,
        due: VecDeque::new(),
        rest: Vec::new(),
    };
    Ok(((0..writers.connections).map(role).collect(), (records, batch.len())))
}

/// The committing connections; a commit counts as one record of no bytes.
fn committer_roles(writers: &Writers) -> Result<(Vec<Role>, (usize, usize)), LoadError> {
    let role = |conn: usize| -> Result<Role, LoadError> {
        let partition = i32::try_from(conn).unwrap_or(0) % writers.partitions.max(1);
        let head = frames::commit(&Sends::group(conn), &writers.topic, partition, 1_000_000)?;
        let frame = Frame { head: head.into(), batch: [].into() };
        Ok(Role::Writer { frames: vec![frame], next: 0, due: VecDeque::new(), rest: Vec::new() })
    };
    let roles = (0..writers.connections).map(role).collect::<Result<_, _>>()?;
    Ok((roles, (1, 0)))
}

fn reader_roles(readers: &Readers, now: Instant) -> Result<Vec<Role>, LoadError> {
    let partitions = usize::try_from(readers.partitions).unwrap_or(1).max(1);
    let role = |conn: usize| -> Result<Role, LoadError> {
        let partition = conn % partitions;
        let index = i32::try_from(partition).unwrap_or(0);
        let template = FetchTemplate::new(&readers.topic, index, readers.max_bytes, 500)?;
        Ok(Role::Reader { reader: Box::new(Reader::new(template)), partition, since: now })
    };
    (0..readers.connections).map(role).collect()
}

fn connect(plan: &Plan, token: usize, poll: &Poll) -> io::Result<TcpStream> {
    let socket = std::net::TcpStream::connect(plan.address)?;
    socket.set_nodelay(true)?;
    socket.set_nonblocking(true)?;
    // Refused sizes are no reason to stop: the system's own serve.
    let _ = setsockopt(&socket, sockopt::SndBuf, &SOCKET_BUFFER);
    let _ = setsockopt(&socket, sockopt::RcvBuf, &SOCKET_BUFFER);
    let mut socket = TcpStream::from_std(socket);
    poll.registry().register(&mut socket, Token(token), Interest::READABLE | Interest::WRITABLE)?;
    Ok(socket)
}

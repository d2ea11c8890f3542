//! The members' connections, one each, and the loop: answers that have come, requests that are due. Each says first that it is Kafka's
//! Java client, and keeps that client's times: a broker that treats clients by their name treats these as it would treat that one.

use super::{Member, MembersError, Next, Place};
use crate::frames;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Whom members say to be.
const SOFTWARE: &str = "apache-kafka-java";
const SOFTWARE_VERSION: &str = "4.3.1";

/// Room for what one read brings.
const ROOM: usize = 64 * 1024;

/// One member and its connection.
struct Hand {
    member: Member,
    socket: TcpStream,
    /// What the socket has not taken yet.
    out: Vec<u8>,
    /// The begun answer behind the last whole one.
    rest: Vec<u8>,
    /// When it sends next; none while that hangs on an answer.
    due: Option<Instant>,
    /// When it last sent something.
    sent: Instant,
    /// The broker has heard who it is.
    is_known: bool,
}

/// All members.
pub(super) struct Crew {
    poll: Poll,
    hands: Vec<Option<Hand>>,
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    /// Answers so far.
    pub(super) answered: u64,
    /// When a member that was in was last sent to join again, or a new one joined.
    pub(super) last_joined: Instant,
}

impl Crew {
    pub(super) fn new() -> Result<Crew, MembersError> {
        let (poll, last_joined) = (Poll::new()?, Instant::now());
        Ok(Crew { poll, hands: Vec::new(), timers: BinaryHeap::new(), answered: 0, last_joined })
    }

    /// A member more; it joins after `delay`. Its number is the answer.
    pub(super) fn add(&mut self, address: SocketAddr, member: Member, delay: Duration) -> Result<usize, MembersError> {
        let number = self.hands.iter().position(Option::is_none).unwrap_or(self.hands.len());
        let failed = |error| MembersError::Socket { member: number, error };
        let socket = std::net::TcpStream::connect(address).map_err(failed)?;
        socket.set_nodelay(true).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        let mut socket = TcpStream::from_std(socket);
        self.poll.registry().register(&mut socket, Token(number), Interest::READABLE | Interest::WRITABLE)?;
        let (out, rest, sent) = (frames::introduction(SOFTWARE, SOFTWARE_VERSION)?, Vec::new(), Instant::now());
        let hand = Hand { member, socket, out, rest, due: None, sent, is_known: false };
        if number == self.hands.len() {
            self.hands.push(Some(hand));
        } else {
            self.hands[number] = Some(hand);
        }
        self.last_joined = Instant::now();
        self.set_due(number, Instant::now() + delay);
        Ok(number)
    }

    /// A member says that it goes, whatever is under way; it is gone when it was answered.
    pub(super) fn dismiss(&mut self, number: usize) -> Result<(), MembersError> {
        let Some(hand) = self.hands[number].as_mut() else { return Ok(()) };
        hand.due = None;
        let words = hand.member.leave()?;
        hand.out.extend_from_slice(&words);
        hand.flush().map_err(|error| MembersError::Socket { member: number, error })
    }

    /// The place that all members agree on, and what they have there together.
    pub(super) fn agreed(&self) -> Option<Place> {
        let mut places = self.hands.iter().flatten().map(|h| h.member.place());
        let first = places.next()??;
        places.try_fold(first, |sum, place| {
            let place = place.filter(|p| p.generation == sum.generation)?;
            Some(Place { partitions: sum.partitions + place.partitions, ..sum })
        })
    }

    /// The longest time between two heartbeats of a member.
    pub(super) fn interval(&self) -> Duration {
        self.hands.iter().flatten().map(|h| h.member.interval()).max().unwrap_or_default()
    }

    /// How many members are in, each in whatever group.
    pub(super) fn settled(&self) -> usize {
        self.hands.iter().flatten().filter(|h| h.member.place().is_some()).count()
    }

    /// Waits for something to do, and does it.
    pub(super) fn turn(&mut self) -> Result<(), MembersError> {
        let mut events = Events::with_capacity(1024);
        let now = Instant::now();
        let next =
            self.timers.peek().map_or(Duration::from_millis(20), |Reverse((at, _))| at.saturating_duration_since(now));
        match self.poll.poll(&mut events, Some(next.min(Duration::from_millis(20)))) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        for event in &events {
            let number = event.token().0;
            if let Some(mut hand) = self.hands[number].take() {
                let stays = self.ready(number, &mut hand)?;
                self.hands[number] = stays.then_some(hand);
            }
        }
        self.send_due()
    }

    fn send_due(&mut self) -> Result<(), MembersError> {
        let now = Instant::now();
        while self.timers.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            let Some(Reverse((at, number))) = self.timers.pop() else { break };
            let Some(hand) = self.hands[number].as_mut().filter(|h| h.due == Some(at)) else { continue };
            hand.due = hand.member.overlaps().map(|interval| now + interval);
            let frame = hand.member.due()?;
            hand.send(&frame).map_err(|error| MembersError::Socket { member: number, error })?;
            if let Some(at) = hand.due {
                self.timers.push(Reverse((at, number)));
            }
        }
        Ok(())
    }

    /// Takes what came for a member; false when it has left.
    fn ready(&mut self, number: usize, hand: &mut Hand) -> Result<bool, MembersError> {
        let failed = |error| MembersError::Socket { member: number, error };
        hand.flush().map_err(failed)?;
        hand.receive().map_err(failed)?;
        while let Some(answer) = hand.take_answer() {
            if !std::mem::replace(&mut hand.is_known, true) {
                continue;
            }
            self.answered += 1;
            let was_in = hand.member.place().is_some();
            match hand.member.answered(&answer)? {
                Next::Send(frame) => {
                    if was_in {
                        self.last_joined = Instant::now();
                    }
                    hand.due = None;
                    hand.send(&frame).map_err(failed)?;
                }
                Next::After(delay) => self.plan(number, hand, Instant::now() + delay),
                Next::Since(delay) => self.plan(number, hand, hand.sent + delay),
                Next::Wait => {}
                Next::Nothing => return Ok(false),
            }
        }
        Ok(true)
    }

    fn plan(&mut self, number: usize, hand: &mut Hand, at: Instant) {
        hand.due = Some(at);
        self.timers.push(Reverse((at, number)));
    }

    fn set_due(&mut self, number: usize, at: Instant) {
        if let Some(hand) = self.hands[number].as_mut() {
            hand.due = Some(at);
            self.timers.push(Reverse((at, number)));
        }
    }
}

impl Hand {
    fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        self.sent = Instant::now();
        self.out.extend_from_slice(frame);
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.out.is_empty() {
            match self.socket.write(&self.out) {
                Ok(n) => drop(self.out.drain(..n)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut room = [0; ROOM];
        loop {
            match self.socket.read(&mut room) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => self.rest.extend_from_slice(&room[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The first whole answer, without its length.
    fn take_answer(&mut self) -> Option<Vec<u8>> {
        let len = u32::from_be_bytes(*self.rest.first_chunk::<4>()?) as usize;
        let answer = self.rest.get(4..4 + len)?.to_vec();
        self.rest.drain(..4 + len);
        Some(answer)
    }
}

//! Received buffers to frames. Several frames are cut out of one buffer without a copy; a frame that is not whole yet
//! continues in memory of its own, which grows as its bytes arrive and never by what its length merely claims:
//!
//! ```text
//!  bytes that arrived    kept in                                     received into
//!  below EARLY_MAX       just as many bytes                          whatever buffer the driver picks
//!  below EARNED_AT       up to ROOM_FACTOR times as many             the frame's own memory
//!  from there on         EARNED_ROOM, then twice as many             the frame's own memory, filled
//! ```
//!
//! Once enough of a large frame is there to justify room for all of it, the room may be somebody else's: the rest of the
//! frame is then received straight into that place.
//!
//! A large frame that came whole earns room for as large a one behind it, at once. So on a connection that brings large
//! frames only the head of the next is received first, as long as heads were there, and nothing but that head is moved.

use crate::event::CloseReason;
use crate::limits::{EARLY_MAX, EARNED_AT, EARNED_ROOM, FILL_MAX, HEAD_MAX, ROOM_FACTOR};
use crate::sniff::Sniffed;
use engine::io::RecvInto;
use engine::mem::{Buf, Slice};

/// Bytes of a frame's length prefix.
const PREFIX: usize = 4;

/// The receiving side of one connection.
#[derive(Debug)]
pub(crate) struct Inbound {
    state: State,
    /// What comes before the place that the rest of this frame goes to.
    head: Option<Slice>,
    /// The large frame under way was offered, or is too late for it.
    was_offered: bool,
    /// Room that the frame before has earned for the next, in bytes: its own length if it was large, else 0.
    earned: usize,
    /// How much of a large frame is received apart, in bytes: what came before the place of those before it.
    head_len: usize,
    /// Bytes that were moved from where they were received, ever.
    moved_bytes: u64,
    frame_bytes_max: usize,
}

/// One frame that arrived.
#[derive(Debug)]
pub(crate) enum Whole {
    Frame(Slice),
    Placed { head: Slice, rest: Buf },
}

impl Whole {
    pub(crate) fn len(&self) -> usize {
        match self {
            Whole::Frame(frame) => frame.len(),
            Whole::Placed { head, rest } => head.len() + rest.len(),
        }
    }
}

#[derive(Debug)]
enum State {
    /// Inside the length prefix: `have` of its bytes arrived, 0 between two frames.
    Prefix { bytes: [u8; PREFIX], have: usize },
    /// Inside a frame of `len` bytes of which fewer than [`EARLY_MAX`] arrived: it holds those and no room.
    Early { len: usize, seen: Vec<u8> },
    /// Inside a frame of `len` bytes that has no memory of its own yet: `seen` arrived among others.
    Begun { len: usize, seen: Slice },
    /// Inside a frame; `buf` holds what arrived of the `len` bytes behind `head`.
    Body { len: usize, buf: Buf },
    /// As `Body`, while a receive owns the buffer.
    Away { len: usize, arrived: usize, capacity: usize },
}

const BETWEEN: State = State::Prefix { bytes: [0; PREFIX], have: 0 };

impl Inbound {
    pub(crate) fn new(frame_bytes_max: usize) -> Inbound {
        let (state, head, was_offered) = (BETWEEN, None, false);
        Inbound { state, head, was_offered, earned: 0, head_len: HEAD_MAX, moved_bytes: 0, frame_bytes_max }
    }

    /// Bytes that were moved from where they were received to a place of their frame's own, ever.
    pub(crate) fn moved_bytes(&self) -> u64 {
        self.moved_bytes
    }

    /// True when the next frame is probably large, so that its head is best received apart.
    pub(crate) fn expects_large(&self) -> bool {
        self.earned > 0 && !self.is_begun()
    }

    /// True inside a frame whose length is known.
    pub(crate) fn is_in_body(&self) -> bool {
        !matches!(self.state, State::Prefix { .. })
    }

    /// True once a byte of a frame arrived that is not whole.
    pub(crate) fn is_begun(&self) -> bool {
        !matches!(self.state, State::Prefix { have: 0, .. })
    }

    /// Bytes that arrived of the unfinished frame, as far as is known, and its length; a prefix counts as a frame of its own.
    pub(crate) fn progress(&self) -> (usize, usize) {
        let head = self.head.as_ref().map_or(0, |head| head.len());
        let (arrived, len) = match &self.state {
            State::Prefix { have, .. } => (*have, PREFIX),
            State::Early { len, seen } => (seen.len(), *len),
            State::Begun { len, seen } => (seen.len(), *len),
            State::Body { len, buf } => (buf.len(), *len),
            State::Away { len, arrived, .. } => (*arrived, *len),
        };
        (head + arrived, head + len)
    }

    /// Memory held for the unfinished frame, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        let body = match &self.state {
            State::Prefix { .. } => 0,
            State::Early { seen, .. } => seen.capacity(),
            State::Begun { seen, .. } => seen.len(),
            State::Body { buf, .. } => buf.capacity(),
            State::Away { capacity, .. } => *capacity,
        };
        body + self.head.as_ref().map_or(0, |head| head.len())
    }

    /// True once per large frame, as soon as its room is earned: time to [`place`](Inbound::place) it.
    pub(crate) fn take_offer(&mut self) -> bool {
        !self.was_offered && {
            self.was_offered = self.front().is_some();
            self.was_offered
        }
    }

    /// What arrived of a large frame without a place, and the frame's length in bytes.
    pub(crate) fn front(&self) -> Option<(&[u8], usize)> {
        let (front, len): (&[u8], usize) = match &self.state {
            State::Begun { len, seen } => (seen, *len),
            State::Body { len, buf } if self.head.is_none() => (buf.as_slice(), *len),
            _ => return None,
        };
        let is_earned = front.len() >= EARNED_AT || self.has_earned(len);
        (is_earned && len <= EARNED_ROOM).then_some((front, len))
    }

    /// True for a large frame no larger than the one before it.
    fn has_earned(&self, len: usize) -> bool {
        (EARNED_AT..=self.earned).contains(&len)
    }

    /// The rest of the frame from byte `at` on goes into `place`, which has room for just that.
    pub(crate) fn place(&mut self, at: usize, mut place: Buf) {
        let (head, rest, len) = match std::mem::replace(&mut self.state, BETWEEN) {
            State::Begun { len, seen } => (seen.slice(0..at), seen.slice(at..seen.len()), len - at),
            State::Body { len, buf } => {
                let seen = buf.freeze();
                (seen.slice(0..at), seen.slice(at..seen.len()), len - at)
            }
            State::Prefix { .. } | State::Early { .. } | State::Away { .. } => {
                unreachable!("only a large frame at rest is placed")
            }
        };
        assert!(place.is_empty() && place.capacity() == len, "room for {} of {len} bytes", place.capacity());
        place.extend_from_slice(&rest);
        self.moved_bytes += rest.len() as u64;
        // Half the way back from a guess that grew: heads that differ a little are not missed every time.
        self.head_len = at.max(usize::midpoint(self.head_len, at)).min(HEAD_MAX);
        self.head = Some(head);
        self.state = State::Body { len, buf: place };
    }

    /// True while the frame under way goes to somebody else's place.
    pub(crate) fn is_placed(&self) -> bool {
        self.head.is_some()
    }

    /// How many bytes more than now the next receive would hold. `confined` as in [`Inbound::target`].
    pub(crate) fn growth_bytes(&self, confined: bool) -> usize {
        match &self.state {
            State::Early { len, seen } if confined => early_room(*len).saturating_sub(seen.capacity()),
            State::Begun { len, seen } => self.room(*len, seen.len()) - seen.len(),
            State::Body { len, buf } if wants_room(*len, buf) => room(*len, buf.len()) - buf.capacity(),
            _ => 0,
        }
    }

    /// Where the next bytes go; a `confined` receive inside a frame brings nothing behind that frame. Wants
    /// [`Inbound::received`] before the next call.
    pub(crate) fn target(&mut self, confined: bool) -> RecvInto {
        match std::mem::replace(&mut self.state, BETWEEN) {
            State::Early { len, seen } if confined => {
                let buf = self.moved(&seen, early_room(len));
                self.send_away(len, buf)
            }
            small @ (State::Prefix { .. } | State::Early { .. }) => {
                self.state = small;
                RecvInto::Any
            }
            State::Begun { len, seen } => {
                let buf = self.moved(&seen, self.room(len, seen.len()));
                self.send_away(len, buf)
            }
            State::Body { len, buf } if wants_room(len, &buf) => {
                let buf = self.moved(buf.as_slice(), room(len, buf.len()));
                self.send_away(len, buf)
            }
            State::Body { len, buf } => self.send_away(len, buf),
            State::Away { .. } => unreachable!("one receive at a time"),
        }
    }

    /// As [`Inbound::target`] where a large frame is expected: just its head. Until bytes come, this holds a page.
    pub(crate) fn target_head(&mut self) -> RecvInto {
        assert!(self.expects_large(), "a head comes between two frames");
        RecvInto::Buf(Buf::with_capacity(PREFIX + self.head_len))
    }

    fn room(&self, len: usize, arrived: usize) -> usize {
        if self.has_earned(len) { len } else { room(len, arrived) }
    }

    fn moved(&mut self, old: &[u8], capacity: usize) -> Buf {
        self.moved_bytes += old.len() as u64;
        let mut new = Buf::with_capacity(capacity);
        new.extend_from_slice(old);
        new
    }

    /// A frame of `len` bytes is whole.
    fn finish(&mut self, len: usize) {
        self.earned = if len >= EARNED_AT { len } else { 0 };
    }

    fn send_away(&mut self, len: usize, buf: Buf) -> RecvInto {
        self.state = State::Away { len, arrived: buf.len(), capacity: buf.capacity() };
        let earned = self.is_placed() || buf.len() >= EARNED_AT || self.has_earned(len) && buf.capacity() == len;
        if earned && buf.spare_len() <= FILL_MAX { RecvInto::Fill(buf) } else { RecvInto::Buf(buf) }
    }

    /// Takes a received buffer and appends the frames that are whole to `frames`.
    pub(crate) fn received(&mut self, buf: Buf, frames: &mut Vec<Whole>) -> Result<(), CloseReason> {
        match std::mem::replace(&mut self.state, BETWEEN) {
            State::Away { len, .. } if buf.len() == len => {
                let whole = match self.head.take() {
                    Some(head) => Whole::Placed { head, rest: buf },
                    None => Whole::Frame(buf.freeze()),
                };
                if matches!(whole, Whole::Frame(_)) && len >= EARNED_AT {
                    self.head_len = (2 * self.head_len).min(HEAD_MAX);
                }
                self.finish(whole.len());
                frames.push(whole);
            }
            State::Away { len, .. } => self.state = State::Body { len, buf },
            State::Prefix { bytes, have } => return self.cut(&buf.freeze(), 0, bytes, have, frames),
            State::Early { len, seen } => return self.go_on(len, seen, &buf.freeze(), frames),
            State::Begun { .. } | State::Body { .. } => unreachable!("a receive inside a body owns its buffer"),
        }
        Ok(())
    }

    /// Why a peer that closes now does so.
    pub(crate) fn at_end(&self) -> CloseReason {
        match self.progress() {
            _ if !self.is_begun() => CloseReason::PeerClosed,
            (arrived, len) => CloseReason::PeerClosedInFrame { arrived, len },
        }
    }

    /// Goes on with a frame that has only begun, then with what `whole` brought behind it.
    fn go_on(
        &mut self,
        len: usize,
        mut seen: Vec<u8>,
        whole: &Slice,
        frames: &mut Vec<Whole>,
    ) -> Result<(), CloseReason> {
        let missing = len - seen.len();
        if whole.len() >= missing {
            seen.extend_from_slice(&whole[..missing]);
            self.moved_bytes += missing as u64;
            self.finish(len);
            frames.push(Whole::Frame(Slice::from(seen)));
            return self.cut(whole, missing, [0; PREFIX], 0, frames);
        }
        let arrived = seen.len() + whole.len();
        self.state = if arrived < EARLY_MAX {
            seen.reserve_exact(whole.len().max(seen.len().min(EARLY_MAX)));
            seen.extend_from_slice(whole);
            self.moved_bytes += whole.len() as u64;
            State::Early { len, seen }
        } else {
            let mut buf = self.moved(&seen, self.room(len, arrived));
            buf.extend_from_slice(whole);
            self.moved_bytes += whole.len() as u64;
            State::Body { len, buf }
        };
        Ok(())
    }

    /// Cuts `whole` from byte `at` on into frames, starting `have` bytes into a prefix.
    fn cut(
        &mut self,
        whole: &Slice,
        mut at: usize,
        mut prefix: [u8; PREFIX],
        mut have: usize,
        frames: &mut Vec<Whole>,
    ) -> Result<(), CloseReason> {
        loop {
            let take = (PREFIX - have).min(whole.len() - at);
            prefix[have..have + take].copy_from_slice(&whole[at..at + take]);
            (have, at) = (have + take, at + take);
            if have < PREFIX {
                self.state = State::Prefix { bytes: prefix, have };
                return Ok(());
            }
            let len = self.checked_len(prefix)?;
            if whole.len() - at < len {
                self.begin(len, whole.slice(at..whole.len()));
                return Ok(());
            }
            frames.push(Whole::Frame(whole.slice(at..at + len)));
            self.finish(len);
            (have, at) = (0, at + len);
        }
    }

    /// A frame of `len` bytes has begun with `seen`.
    fn begin(&mut self, len: usize, seen: Slice) {
        self.was_offered = false;
        self.state = match seen.len() {
            _ if self.has_earned(len) => State::Begun { len, seen },
            EARNED_AT.. => State::Begun { len, seen },
            EARLY_MAX.. => State::Body { len, buf: self.moved(&seen, room(len, seen.len())) },
            _ => {
                self.moved_bytes += seen.len() as u64;
                State::Early { len, seen: seen.to_vec() }
            }
        };
    }

    fn checked_len(&self, prefix: [u8; PREFIX]) -> Result<usize, CloseReason> {
        let len = i32::from_be_bytes(prefix);
        match usize::try_from(len) {
            Ok(usable) if usable > 0 && usable <= self.frame_bytes_max => Ok(usable),
            _ => Err(CloseReason::FrameLength { len, max: self.frame_bytes_max, guess: Sniffed::guess(prefix) }),
        }
    }
}

/// Room that `arrived` bytes of a frame of `len` bytes justify.
fn room(len: usize, arrived: usize) -> usize {
    let earned = if arrived < EARNED_AT { ROOM_FACTOR * arrived } else { EARNED_ROOM.max(2 * arrived) };
    earned.min(len)
}

/// Room for a frame that has only begun, where it must be received apart from what follows it.
fn early_room(len: usize) -> usize {
    (ROOM_FACTOR * EARLY_MAX).min(len)
}

/// Full, or by now worth more room than it began with.
fn wants_room(len: usize, buf: &Buf) -> bool {
    let worth_more = buf.capacity() < EARNED_ROOM && buf.len() >= EARNED_AT;
    buf.capacity() < len && (buf.spare_len() == 0 || worth_more)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 100 << 20;

    fn frame(len: usize) -> Vec<u8> {
        let body = (0..len).map(|i| (i % 251) as u8);
        (len as i32).to_be_bytes().into_iter().chain(body).collect()
    }

    /// Feeds `bytes` in pieces of at most `piece` and returns frames and the most memory that was held at once.
    fn feed(bytes: &[u8], piece: usize) -> (Vec<Slice>, usize) {
        let (wholes, held) = feed_placing(bytes, piece, |_| None);
        let frame = |whole| match whole {
            Whole::Frame(frame) => frame,
            Whole::Placed { .. } => panic!("nothing was placed"),
        };
        (wholes.into_iter().map(frame).collect(), held)
    }

    /// As `feed`; large frames are placed from where `at` says on, given their length.
    fn feed_placing(bytes: &[u8], piece: usize, at: impl Fn(usize) -> Option<usize>) -> (Vec<Whole>, usize) {
        feed_either_way(bytes, piece, false, at)
    }

    fn feed_either_way(
        bytes: &[u8],
        piece: usize,
        confined: bool,
        at: impl Fn(usize) -> Option<usize>,
    ) -> (Vec<Whole>, usize) {
        let (mut inbound, mut frames, mut held) = (Inbound::new(MAX), Vec::new(), 0);
        let mut rest = bytes;
        while !rest.is_empty() {
            let mut buf = match inbound.target(confined) {
                RecvInto::Any => Buf::with_capacity(piece),
                RecvInto::Fill(buf) | RecvInto::Buf(buf) => buf,
            };
            held = held.max(inbound.held_bytes());
            let take = rest.len().min(buf.spare_len()).min(piece);
            buf.extend_from_slice(&rest[..take]);
            rest = &rest[take..];
            inbound.received(buf, &mut frames).expect("lengths are good");
            if inbound.take_offer() {
                let (front, len) = inbound.front().expect("it was just offered");
                assert!(front.len() >= EARNED_AT && front.len() < len, "the front is what arrived");
                if let Some(at) = at(len) {
                    inbound.place(at, Buf::with_capacity(len - at));
                }
            }
        }
        assert!(!inbound.is_in_body(), "all frames are whole");
        (frames, held)
    }

    #[test]
    fn frames_come_out_whole_however_they_arrive() {
        let lens = [1, 3, 100, 5000, 70_000, 2, 300_000];
        let bytes: Vec<u8> = lens.iter().flat_map(|len| frame(*len)).collect();
        for piece in [1, 3, 4, 7, 1000, 16 << 10, 100_000, bytes.len()] {
            let (frames, _) = feed(&bytes, piece);
            assert_eq!(frames.iter().map(|frame| frame.len()).collect::<Vec<_>>(), lens, "pieces of {piece}");
            assert!(frames.iter().zip(lens).all(|(got, len)| **got == frame(len)[4..]), "pieces of {piece}");
            let (confined, _) = feed_either_way(&bytes, piece, true, |_| None);
            assert_eq!(confined.iter().map(Whole::len).collect::<Vec<_>>(), lens, "confined pieces of {piece}");
        }
    }

    #[test]
    fn placed_frames_come_out_whole_however_they_are_cut() {
        let lens = [7, 40_000, 100_000, 3, 300_000, EARNED_ROOM, EARNED_ROOM + 1, 5];
        let bytes: Vec<u8> = lens.iter().flat_map(|len| frame(*len)).collect();
        for piece in [4093, EARNED_AT + PREFIX + 11, 64 << 10, bytes.len()] {
            for at in [0, 57, EARNED_AT] {
                let (wholes, _) = feed_placing(&bytes, piece, |_| Some(at));
                let mut got = Vec::new();
                for (whole, len) in wholes.iter().zip(lens) {
                    got.extend((len as i32).to_be_bytes());
                    match whole {
                        Whole::Frame(frame) => got.extend_from_slice(frame),
                        Whole::Placed { head, rest } => {
                            assert_eq!(head.len(), at);
                            got.extend_from_slice(head);
                            got.extend_from_slice(rest.as_slice());
                        }
                    }
                }
                assert!(got == bytes, "in pieces of {piece}, placed from {at} on");
                assert_eq!(wholes.len(), lens.len());
                let placed = wholes.iter().filter(|whole| matches!(whole, Whole::Placed { .. })).count();
                assert!(piece == bytes.len() || placed >= 3, "{placed} placed in pieces of {piece}");
            }
        }
    }

    #[test]
    fn small_frames_share_the_received_buffer() {
        let bytes: Vec<u8> = [10, 20].iter().flat_map(|len| frame(*len)).collect();
        let (frames, held) = feed(&bytes, bytes.len());
        let gap = frames[1].as_ptr().addr() - frames[0].as_ptr().addr();
        assert_eq!((gap, held), (14, 0));
    }

    /// Feeds the first `arrived` bytes of a frame that claims the most, a byte at a time; what is held at the end.
    fn crawled(arrived: usize) -> usize {
        let (mut inbound, mut frames) = (Inbound::new(MAX), Vec::new());
        for byte in [&(MAX as i32).to_be_bytes()[..], &vec![7; arrived]].concat() {
            let mut buf = match inbound.target(false) {
                RecvInto::Any => Buf::with_capacity(1),
                RecvInto::Fill(buf) | RecvInto::Buf(buf) => buf,
            };
            buf.extend_from_slice(&[byte]);
            inbound.received(buf, &mut frames).expect("the length is allowed");
        }
        assert_eq!(inbound.progress(), (arrived, MAX));
        inbound.held_bytes()
    }

    #[test]
    fn a_claimed_length_holds_what_arrived_and_little_more() {
        for arrived in [0, 1, 2, 50, 1000, EARLY_MAX - 1] {
            assert!(crawled(arrived) <= 2 * arrived, "{arrived} bytes hold {}", crawled(arrived));
        }
        for arrived in [EARLY_MAX, EARLY_MAX + 1, 10_000, EARNED_AT - 1] {
            assert!(crawled(arrived) <= ROOM_FACTOR * arrived, "{arrived} bytes hold {}", crawled(arrived));
        }
    }

    #[test]
    fn a_frame_that_has_begun_can_be_received_alone() {
        let (mut inbound, mut frames) = (Inbound::new(MAX), Vec::new());
        let mut buf = Buf::with_capacity(100);
        buf.extend_from_slice(&frame(300)[..50]);
        inbound.received(buf, &mut frames).expect("the length is allowed");
        assert_eq!((inbound.growth_bytes(false), inbound.growth_bytes(true)), (0, 300 - inbound.held_bytes()));
        assert!(matches!(inbound.target(false), RecvInto::Any));
        assert!(matches!(inbound.target(true), RecvInto::Buf(buf) if buf.capacity() == 300 && buf.len() == 46));
    }

    #[test]
    fn arrived_bytes_earn_room_to_be_received_straight_into() {
        let (mut inbound, mut frames) = (Inbound::new(MAX), Vec::new());
        let mut buf = Buf::with_capacity(EARNED_AT + PREFIX);
        buf.extend_from_slice(&frame(1 << 20)[..EARNED_AT + PREFIX]);
        inbound.received(buf, &mut frames).expect("the length is allowed");
        let RecvInto::Fill(buf) = inbound.target(false) else {
            panic!("a large frame is received straight into its memory")
        };
        assert_eq!((buf.capacity(), buf.len()), (1 << 20, EARNED_AT));
    }

    #[test]
    fn unusable_lengths_say_what_was_seen() {
        for (prefix, len, guess) in [
            ([0, 0, 0, 0], 0, Sniffed::Unknown),
            ([0xFF, 0xFF, 0xFF, 0xFE], -2, Sniffed::Unknown),
            ([0x7F, 0xFF, 0xFF, 0xFF], i32::MAX, Sniffed::Unknown),
            ([0x16, 0x03, 0x01, 0x02], 0x1603_0102, Sniffed::Tls),
            (*b"GET ", 0x4745_5420, Sniffed::Http),
        ] {
            let mut buf = Buf::with_capacity(4);
            buf.extend_from_slice(&prefix);
            let got = Inbound::new(MAX).received(buf, &mut Vec::new());
            let Err(CloseReason::FrameLength { len: got_len, max: MAX, guess: got_guess }) = got else {
                panic!("{prefix:?} gave {got:?}")
            };
            assert_eq!((got_len, got_guess), (len, guess));
        }
    }
}

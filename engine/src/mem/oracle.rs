//! Random scripts over buffers, slices, a tail and its lease, held against plain vectors. After every step everything that
//! is alive is compared: a byte that two of them share by mistake, or that recycled memory lets through, shows at once.
//! Between threads the same is modelled in `loom-tests`.

use super::{Buf, Gauge, Lease, Slice, Tail};
use crate::io::sim::Rng;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Scripts; miri has time for fewer.
const SCRIPTS: u64 = if cfg!(miri) { 3 } else { 150 };
const STEPS: usize = if cfg!(miri) { 120 } else { 400 };

/// Capacities around the size classes and their edges.
const CAPACITIES: [usize; 7] = [0, 1, 63, 4095, 4096, 4097, 9000];

const TAIL_CAPACITY: usize = 5000;

/// A slice, what it must hold, and which counted memory it keeps alive.
struct Shared {
    slice: Slice,
    bytes: Vec<u8>,
    memory: Option<Rc<usize>>,
}

struct Owned {
    buf: Buf,
    bytes: Vec<u8>,
    /// Bytes that the gauge counts for it.
    memory: Option<Rc<usize>>,
}

struct World {
    rng: Rng,
    gauge: Gauge,
    owned: Vec<Owned>,
    shared: Vec<Shared>,
    tail: Tail,
    /// What the tail must hold, and how much of it is published.
    written: Vec<u8>,
    published: usize,
    lent: Option<(Buf, Vec<u8>)>,
}

impl World {
    fn new(seed: u64) -> World {
        World {
            rng: Rng::new(seed),
            gauge: Gauge::default(),
            owned: Vec::new(),
            shared: Vec::new(),
            tail: Tail::new(TAIL_CAPACITY),
            written: Vec::new(),
            published: 0,
            lent: None,
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.rng.below(bound as u64) as usize
    }

    /// Fresh bytes that fit `room`.
    fn bytes(&mut self, room: usize) -> Vec<u8> {
        let len = self.below(room.min(600) + 1);
        (0..len).map(|_| self.rng.next_u64() as u8).collect()
    }

    fn step(&mut self) {
        match self.below(12) {
            0 => self.take(),
            1 | 2 => self.write(),
            3 => self.change(),
            4 => self.freeze(),
            5 => self.divide(),
            6 => self.let_go(),
            7 => self.append(),
            8 => self.patch(),
            9 => self.publish(),
            10 => self.lend_or_fill(),
            _ => self.end_lease(),
        }
        self.compare();
    }

    fn take(&mut self) {
        let at = self.below(CAPACITIES.len());
        let capacity = CAPACITIES[at];
        let (buf, memory) = if self.rng.coin() {
            let class = capacity.max(4096).next_power_of_two();
            (Buf::counted(capacity, &self.gauge), Some(Rc::new(class)))
        } else {
            (Buf::with_capacity(capacity), None)
        };
        assert_eq!((buf.len(), buf.capacity(), buf.spare_len()), (0, capacity, capacity));
        self.owned.push(Owned { buf, bytes: Vec::new(), memory });
    }

    fn write(&mut self) {
        if self.owned.is_empty() {
            return;
        }
        let at = self.below(self.owned.len());
        let new = self.bytes(self.owned[at].buf.spare_len());
        let zeros = self.rng.coin();
        let Owned { buf, bytes, .. } = &mut self.owned[at];
        if zeros {
            buf.fill_zero(new.len());
            bytes.resize(bytes.len() + new.len(), 0);
        } else {
            buf.extend_from_slice(&new);
            bytes.extend(new);
        }
    }

    fn change(&mut self) {
        if self.owned.is_empty() {
            return;
        }
        let at = self.below(self.owned.len());
        let value = self.rng.next_u64() as u8;
        let keep = self.below(self.owned[at].bytes.len() + 1);
        let Owned { buf, bytes, .. } = &mut self.owned[at];
        buf.truncate(keep);
        bytes.truncate(keep);
        buf.as_mut_slice().fill(value);
        bytes.fill(value);
    }

    fn freeze(&mut self) {
        if self.owned.is_empty() {
            return;
        }
        let at = self.below(self.owned.len());
        let Owned { buf, bytes, memory } = self.owned.swap_remove(at);
        self.shared.push(Shared { slice: buf.freeze(), bytes, memory });
    }

    fn divide(&mut self) {
        if self.shared.is_empty() {
            let bytes = self.bytes(100);
            return self.shared.push(Shared { slice: Slice::from(bytes.clone()), bytes, memory: None });
        }
        let at = self.below(self.shared.len());
        let end = self.below(self.shared[at].bytes.len() + 1);
        let start = self.below(end + 1);
        let Shared { slice, bytes, memory } = &self.shared[at];
        let part = Shared { slice: slice.slice(start..end), bytes: bytes[start..end].to_vec(), memory: memory.clone() };
        self.shared.push(part);
    }

    /// Drops something, here or on another thread.
    fn let_go(&mut self) {
        let elsewhere = !cfg!(miri) && self.below(8) == 0;
        if self.rng.coin() && !self.owned.is_empty() {
            let at = self.below(self.owned.len());
            drop(self.owned.swap_remove(at));
        } else if !self.shared.is_empty() {
            let at = self.below(self.shared.len());
            let gone = self.shared.swap_remove(at).slice;
            if elsewhere {
                std::thread::scope(|scope| scope.spawn(move || drop(gone)).join().expect("it only drops"));
            }
        }
    }

    fn append(&mut self) {
        if self.lent.is_some() {
            return assert!(self.tail.is_leased());
        }
        let new = self.bytes(self.tail.room());
        let start = self.written.len();
        assert_eq!(self.tail.append(&new), start..start + new.len());
        self.written.extend(new);
    }

    fn patch(&mut self) {
        let value = self.rng.next_u64() as u8;
        self.tail.unpublished_mut().fill(value);
        self.written[self.published..].fill(value);
    }

    /// Publishes and shares some of it; a full tail gives way to a new one.
    fn publish(&mut self) {
        self.tail.publish();
        self.published = self.written.len();
        let end = self.below(self.published + 1);
        let start = self.below(end + 1);
        let bytes = self.written[start..end].to_vec();
        self.shared.push(Shared { slice: self.tail.slice(start..end), bytes, memory: None });
        if self.tail.room() < 100 && self.lent.is_none() {
            self.tail = Tail::new(TAIL_CAPACITY);
            (self.written, self.published) = (Vec::new(), 0);
        }
    }

    fn lend_or_fill(&mut self) {
        let Some((buf, _)) = &self.lent else {
            let len = self.below(self.tail.room() + 1);
            return self.lent = Some((self.tail.lease(len).into_buf(), Vec::new()));
        };
        let new = self.bytes(buf.spare_len());
        if let Some((buf, bytes)) = &mut self.lent {
            buf.extend_from_slice(&new);
            bytes.extend(new);
        }
    }

    /// Accepts some of what the lease received, or drops it.
    fn end_lease(&mut self) {
        let Some((buf, mut bytes)) = self.lent.take() else { return };
        let mut lease = Lease::from_buf(buf).expect("the tail lent it");
        assert!(self.tail.has_lent(&lease));
        if self.rng.coin() {
            let keep = self.below(bytes.len() + 1);
            lease.truncate(keep);
            bytes.truncate(keep);
            let start = self.written.len();
            assert_eq!(self.tail.accept(lease), start..start + keep);
            self.written.extend(bytes);
        } else {
            drop(lease);
        }
        assert!(!self.tail.is_leased());
    }

    fn compare(&mut self) {
        for Owned { buf, bytes, .. } in &self.owned {
            assert_eq!(buf.as_slice(), bytes);
        }
        for Shared { slice, bytes, .. } in &self.shared {
            assert_eq!(**slice, **bytes);
        }
        if let Some((buf, bytes)) = &self.lent {
            assert_eq!(buf.as_slice(), bytes);
        }
        assert_eq!(*self.tail.slice(0..self.published), self.written[..self.published]);
        assert_eq!(self.tail.unpublished_mut(), &self.written[self.published..]);
        assert_eq!((self.tail.len(), self.tail.room()), (self.written.len(), TAIL_CAPACITY - self.written.len()));
        let counted = self
            .owned
            .iter()
            .filter_map(|o| o.memory.as_ref())
            .chain(self.shared.iter().filter_map(|s| s.memory.as_ref()));
        let alive: BTreeMap<_, _> = counted.map(|memory| (Rc::as_ptr(memory), **memory)).collect();
        assert_eq!(self.gauge.bytes(), alive.values().sum::<usize>());
    }
}

#[test]
fn every_script_does_what_vectors_do() {
    for seed in 0..SCRIPTS {
        let mut world = World::new(seed);
        (0..STEPS).for_each(|_| world.step());
        let gauge = world.gauge.clone();
        drop(world);
        assert_eq!(gauge.bytes(), 0, "seed {seed}");
    }
}

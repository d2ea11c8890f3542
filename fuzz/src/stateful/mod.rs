//! A whole node, and clients that send it whatever a script of bytes says: valid requests of every API and version, nearly
//! valid ones, pieces, silence, and hang-ups, while the node is stopped, killed and loses its power.
//!
//! What must hold: nothing panics; every answer is well formed, of the version that was asked, and in the order of the
//! requests; a client beside them that keeps to the protocol is answered within seconds, and reads all that was
//! acknowledged to it, in order, also after every restart; the node stops cleanly.
//!
//! Reading order: `host` is the node in its world, `asks` the requests, `rogue` and `honest` the two kinds of clients.

mod asks;
mod honest;
mod host;
mod rogue;

use crate::mutate::Rng;
use honest::Honest;
use host::{Ending, Host};
use rogue::{Learned, Rogue};

/// Memory of a node with its world: its buffers, the simulated disk, and what the clients hold.
pub const MEMORY_BYTES_MAX: usize = 96 << 20;

/// Steps of a script that are carried out; each costs virtual time, and real.
const STEPS_MAX: usize = 64;
/// Restarts in one script, for the same reason.
const RESTARTS_MAX: usize = 2;
/// Connections that misbehave.
const ROGUES: usize = 4;

/// Bytes as a source of decisions; zeros once they have ended.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        bytes
    }
}

/// Everything that a script acts on.
struct Scene {
    host: Host,
    honest: Honest,
    rogues: [Option<Rogue>; ROGUES],
    learned: Learned,
    restarts: usize,
}

/// Carries a script out.
pub fn script(data: &[u8]) {
    let mut script = Script(data);
    let mut host = Host::boot();
    let honest = Honest::arrive(&mut host);
    let (rogues, learned) = (Default::default(), Learned::default());
    let mut scene = Scene { host, honest, rogues, learned, restarts: 0 };
    for _ in 0..STEPS_MAX {
        if script.0.is_empty() {
            break;
        }
        scene.step(&mut script);
        scene.listen();
    }
    scene.host.run_for(1_000);
    scene.listen();
    scene.honest.produce(&mut scene.host);
    scene.honest.read_all(&mut scene.host);
    scene.restart(Ending::Clean);
    scene.honest.read_all(&mut scene.host);
}

impl Scene {
    fn step(&mut self, script: &mut Script<'_>) {
        match script.byte() % 16 {
            0..=7 => self.ask(script),
            8 => {
                let (slot, len) = (script.below(ROGUES), script.below(96));
                let bytes = script.take(len);
                self.rogue(slot).send(bytes);
            }
            9 => self.host.run_for(1 << script.below(14)),
            10 => self.hang_up(script),
            11 => self.honest.produce(&mut self.host),
            12 => self.honest.read_all(&mut self.host),
            13 if self.restarts < RESTARTS_MAX => {
                self.restarts += 1;
                self.restart([Ending::Clean, Ending::Kill, Ending::PowerCut][script.below(3)]);
            }
            14 => {
                let slot = script.below(ROGUES);
                let frame = asks::any(script.byte(), script.byte(), script.byte());
                self.rogue(slot).send_frame(&frame);
            }
            _ => {
                let (slot, times) = (script.below(ROGUES), 1 + script.below(8));
                let frame = asks::sensible(script.byte(), script.byte(), script.byte(), &self.learned);
                (0..times).for_each(|_| self.rogue(slot).send_frame(&frame));
            }
        }
        self.host.run_for(1);
    }

    /// One request: as it should be, or damaged, in one piece or two.
    fn ask(&mut self, script: &mut Script<'_>) {
        let slot = script.below(ROGUES);
        let mut frame = asks::sensible(script.byte(), script.byte(), script.byte(), &self.learned);
        let (damage, cut) = (script.byte(), script.byte());
        if damage >= 128 {
            let mut rng = Rng(u64::from(damage) << 8 | u64::from(cut));
            let other = asks::any(cut, damage, 0);
            crate::mutate::mutate(&mut rng, &mut frame, &other);
        }
        if cut < 224 {
            return self.rogue(slot).send_frame(&frame);
        }
        let whole = [&(frame.len() as i32).to_be_bytes()[..], &frame].concat();
        let (one, other) = whole.split_at(usize::from(cut) % whole.len());
        self.rogue(slot).send(one);
        self.host.run_for(u64::from(cut % 32));
        self.rogue(slot).send(other);
    }

    /// The connection of this slot, opened when there is none.
    fn rogue(&mut self, slot: usize) -> &mut Rogue {
        let host = &self.host;
        self.rogues[slot].get_or_insert_with(|| Rogue::new(host.connect()))
    }

    fn hang_up(&mut self, script: &mut Script<'_>) {
        let slot = script.below(ROGUES);
        let Some(rogue) = self.rogues[slot].take() else { return };
        match script.below(3) {
            0 => rogue.peer.close(),
            1 => rogue.peer.reset(),
            _ => {}
        }
    }

    /// What the node said to those who misbehave.
    fn listen(&mut self) {
        for slot in &mut self.rogues {
            if let Some(rogue) = slot {
                rogue.read(&mut self.learned);
                if rogue.peer.is_closed() {
                    *slot = None;
                }
            }
        }
    }

    fn restart(&mut self, ending: Ending) {
        self.host.end(ending);
        self.rogues = Default::default();
        self.host.start();
        self.honest.come_back(&mut self.host);
    }
}

/// Scripts that say everything once, and some that do one thing often.
#[must_use]
pub fn scripts() -> Vec<Vec<u8>> {
    let ask = |kind: u8, version: u8, variant: u8| vec![0, kind, kind, version, variant, 0, 0];
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for kind in 0..asks::KINDS {
        for version in [0, 3, 255] {
            seeds.push((0..4).flat_map(|variant| ask(kind, version, variant)).collect());
        }
    }
    // A topic, records in it, everything that asks for them, a restart of each kind, and the records again.
    let life: Vec<u8> = [(9, 0), (0, 0), (0, 1), (1, 0), (2, 0), (5, 0), (6, 0), (7, 0), (8, 0), (3, 0), (4, 0)]
        .into_iter()
        .flat_map(|(kind, variant)| ask(kind, 255, variant))
        .collect();
    for ending in 0..3 {
        seeds.push([&[11][..], &life, &[9, 9, 11, 12, 13, ending, 12], &life, &[9, 12]].concat());
    }
    seeds.push([[8, 0, 20].as_slice(), &[255; 20], &[10, 0, 1, 14, 1, 3, 4, 5, 15, 2, 3, 0, 0, 0, 12]].concat());
    seeds
}

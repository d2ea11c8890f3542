//! Random members of the new protocol, by seed: they join, go on, leave, fall silent; topics grow; the disk stalls and refuses; the
//! broker crashes. Whatever happens no partition has two owners among those who are alive, and when peace comes all partitions have one.

use super::consumers::{Beat, Client, SESSION, check_disjoint, partition_record};
use super::model::Dice;
use super::*;

const STEPS: usize = 250;
const ALL_TOPICS: [&[&str]; 3] = [&["t"], &["t", "u"], &["u"]];

/// A client, when it asked what it was answered last, and the request that is under way with when it was sent.
type Beating = (Client, u64, Option<(Ticket, u64)>);

struct Model {
    scene: Scene,
    dice: Dice,
    clients: Vec<Beating>,
    next: u32,
    partitions: [i32; 2],
}

impl Model {
    fn new(seed: u64) -> Self {
        let mut scene = Scene::with_topics(&[("t", 3), ("u", 2)]);
        let mut dice = Dice::of(seed);
        scene.coordinator.fx.settings.consumer.group.assignment_interval_ms = dice.below(2) * 1_000;
        Model { scene, dice, clients: Vec::new(), next: 0, partitions: [3, 2] }
    }

    fn step(&mut self) {
        match self.dice.below(100) {
            0..8 if self.clients.len() < 6 => self.come(),
            8..12 => self.go(),
            12..14 => self.crash(),
            14..17 => self.scene.disk(Disk::Stalled),
            17..25 => self.scene.disk(Disk::Fine),
            25..27 => self.scene.disk(Disk::Failing(ErrorCode::KafkaStorageError)),
            27..29 if self.partitions[0] < 8 => self.grow(),
            29..31 => self.scene.wait(self.dice.below(SESSION)),
            31..45 => self.scene.wait(self.dice.below(1_500)),
            _ => self.beat(),
        }
        self.hear();
        let now = self.scene.now.mono_ms;
        // One that was not heard of for its session has stopped by itself.
        self.clients.retain(|(_, heard, _)| heard + SESSION > now);
        check_disjoint(self.clients.iter().map(|(client, _, _)| client));
    }

    fn come(&mut self) {
        let mut client = Client::new(&format!("m{}", self.next));
        // Who is fenced because it gave nothing up in time goes on until it hears of it: that is not what this is about.
        client.rebalance_ms = 10 * REBALANCE_MS;
        client.names = ALL_TOPICS[self.dice.below(3) as usize];
        self.next += 1;
        self.clients.push((client, self.scene.now.mono_ms, None));
    }

    fn go(&mut self) {
        if self.clients.is_empty() {
            return;
        }
        let (client, ..) = self.clients.swap_remove(self.dice.below(self.clients.len() as u64) as usize);
        // It may also just vanish.
        if self.dice.below(2) == 0 {
            self.scene.beat(Beat::at(&client.id, -1));
        }
    }

    fn crash(&mut self) {
        self.scene.waiting.clear();
        self.scene.restart();
        self.scene.disk = Disk::Fine;
        for (client, _, ticket) in &mut self.clients {
            client.missed |= ticket.take().is_some();
        }
    }

    fn grow(&mut self) {
        let record = partition_record("t", self.partitions[0]);
        self.partitions[0] += 1;
        self.scene.change_topics(&[record]);
    }

    fn beat(&mut self) {
        if self.clients.is_empty() {
            return;
        }
        let at = self.dice.below(self.clients.len() as u64) as usize;
        if self.clients[at].2.is_none() {
            let ticket = self.scene.beat(self.clients[at].0.beat());
            self.clients[at].2 = Some((ticket, self.scene.now.mono_ms));
        }
    }

    /// Everybody takes in what it was answered.
    fn hear(&mut self) {
        for (client, heard, ticket) in &mut self.clients {
            let Some((asked, sent)) = ticket.filter(|(asked, _)| !self.scene.is_waiting(*asked)) else { continue };
            *ticket = None;
            match self.scene.beaten(asked) {
                Ok(reply) => {
                    client.hear(&reply);
                    *heard = sent;
                }
                // It stops using everything and begins anew.
                Err(ErrorCode::UnknownMemberId | ErrorCode::FencedMemberEpoch | ErrorCode::GroupIdNotFound) => {
                    (client.epoch, client.owned) = (0, Default::default());
                    client.id = format!("{}+", client.id);
                    *heard = sent;
                }
                Err(ErrorCode::NotCoordinator) => client.missed = true,
                Err(other) => panic!("{} was told {other:?}", client.id),
            }
        }
    }

    /// Peace: all are heard in turn until nothing changes, and every topic that is read has its owners.
    fn end(&mut self) {
        self.scene.disk(Disk::Fine);
        for _ in 0..60 {
            self.scene.wait(1_000);
            for at in 0..self.clients.len() {
                if self.clients[at].2.is_none() {
                    let ticket = self.scene.beat(self.clients[at].0.beat());
                    self.clients[at].2 = Some((ticket, self.scene.now.mono_ms));
                }
                self.hear();
                check_disjoint(self.clients.iter().map(|(client, _, _)| client));
            }
        }
        let reads = |name: &str| self.clients.iter().any(|(client, ..)| client.names.contains(&name));
        let wanted = [("t", self.partitions[0]), ("u", self.partitions[1])];
        let wanted: i32 = wanted.iter().filter(|(name, _)| reads(name)).map(|(_, count)| count).sum();
        let owned: usize = self.clients.iter().map(|(client, ..)| client.count()).sum();
        assert_eq!(owned, wanted as usize, "partitions without an owner");
        if !self.clients.is_empty() {
            assert_eq!(self.scene.consumer_state(), "Stable");
        }
    }
}

fn run(seed: u64) {
    let mut model = Model::new(seed);
    (0..STEPS).for_each(|_| model.step());
    model.end();
}

#[test]
fn no_partition_has_two_owners_and_none_is_left_alone() {
    for seed in 0..150 {
        let outcome = std::panic::catch_unwind(|| run(seed));
        assert!(outcome.is_ok(), "seed {seed}");
    }
}

/// Each bug that is planted in these groups is noticed by the model, or by the test of what it breaks.
#[cfg(planted)]
#[test]
fn planted_bugs_are_caught() {
    let model = || (0..150).for_each(run);
    let epochs = super::beating::epochs_are_fenced;
    let commits = super::beating::commits_need_the_epoch_in_which_the_partition_was_assigned;
    let waits = super::holding::everybody_who_waits_hears_of_a_rebalance_when_it_begins;
    let checks: [(&'static str, &dyn Fn()); 6] = [
        ("broker: take a partition for given up before its owner says so", &model),
        ("broker: assign a partition that another member holds", &model),
        ("broker: forget who holds what at a start", &model),
        ("broker: listen to a member of an old epoch", &epochs),
        ("broker: take a commit of a former owner", &commits),
        ("broker: forget who waits with a heartbeat", &waits),
    ];
    for (bug, check) in checks {
        marks::plant(Some(bug));
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check));
        marks::plant(None);
        assert!(outcome.is_err(), "{bug} was not caught");
    }
}

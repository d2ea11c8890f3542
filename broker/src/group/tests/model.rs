//! Random members, a random disk and random crashes, by seed. What must hold whatever happens: one generation at a time, every
//! member of a Stable group has an assignment of that very generation, every request is answered once and in time, and
//! acknowledged offsets are there after a crash at any later point.

use super::*;
use crate::group::state::State;

const STEPS: usize = 300;
/// A request may wait for two join phases and the sync phase between them, or for a new member's five minutes.
const PATIENCE_MS: u64 = 3 * REBALANCE_MS as u64 + 300_000;

/// xorshift64*: reproducible, and good enough to pick from a few choices.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn of(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }

    pub(super) fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        if all.is_empty() { None } else { all.get(self.below(all.len() as u64) as usize) }
    }
}

/// A client as far as it knows.
#[derive(Clone, Debug)]
struct Actor {
    id: String,
    instance: Option<&'static str>,
    last: JoinReply,
}

struct Model {
    scene: Scene,
    dice: Dice,
    actors: Vec<Actor>,
    joins: Vec<(Ticket, Option<&'static str>)>,
    /// Requests that are not answered, and when they were sent.
    open: BTreeMap<Ticket, u64>,
    commits: BTreeMap<Ticket, i64>,
    next_offset: i64,
    /// Acknowledged offsets, and how many records were durable then.
    acknowledged: Vec<(usize, i64)>,
    generation: i32,
    /// Steps that ended in a Stable group.
    stable: usize,
}

impl Model {
    fn new(seed: u64) -> Self {
        Model {
            scene: Scene::with(|settings| settings.members_max = 5),
            dice: Dice::of(seed),
            actors: Vec::new(),
            joins: Vec::new(),
            open: BTreeMap::new(),
            commits: BTreeMap::new(),
            next_offset: 0,
            acknowledged: Vec::new(),
            generation: 0,
            stable: 0,
        }
    }

    fn step(&mut self) {
        match self.dice.below(100) {
            0..6 => self.join_anew(),
            6..34 => self.rejoin(),
            34..58 => self.sync(),
            58..68 => self.heartbeat(),
            68..72 => self.leave(),
            72..84 => self.commit(),
            84..94 => self.wait(),
            94..99 => self.turn_the_disk(),
            _ => self.crash(),
        }
        self.read_answers();
        self.check();
    }

    fn track(&mut self, ticket: Ticket) {
        self.open.insert(ticket, self.scene.now.mono_ms);
    }

    fn join_anew(&mut self) {
        let instance = *self.dice.pick(&[None, None, Some("one"), Some("two")]).unwrap();
        let version = *self.dice.pick(&[3, 8, 9]).unwrap();
        let mut join = self.some_protocols(Join::new().version(version));
        if let Some(instance) = instance {
            join = join.instance(instance);
        }
        self.send_join(join, instance);
    }

    fn rejoin(&mut self) {
        let Some(actor) = self.dice.pick(&self.actors).cloned() else { return };
        let mut join = self.some_protocols(Join::new().member(&actor.id));
        if let Some(instance) = actor.instance {
            join = join.instance(instance);
        }
        self.send_join(join, actor.instance);
    }

    fn some_protocols(&mut self, join: Join) -> Join {
        match self.dice.below(4) {
            0 => join.protocols(&[("range", b"a"), ("sticky", b"b")]),
            1 => join.protocols(&[("sticky", b"b"), ("range", b"a")]),
            _ => join,
        }
    }

    fn send_join(&mut self, join: Join, instance: Option<&'static str>) {
        let ticket = self.scene.join(join);
        self.track(ticket);
        self.joins.push((ticket, instance));
    }

    /// One client syncs, or all do.
    fn sync(&mut self) {
        let actors = match self.dice.below(2) {
            0 => self.dice.pick(&self.actors).cloned().into_iter().collect(),
            _ => self.actors.clone(),
        };
        actors.iter().for_each(|actor| self.sync_one(actor));
    }

    fn sync_one(&mut self, actor: &Actor) {
        let generation = actor.last.generation;
        let bytes: Vec<(MemberId, String)> =
            actor.last.members.iter().map(|m| (m.member.clone(), format!("{generation}/{}", m.member))).collect();
        let parts: Vec<_> = bytes.iter().map(|(id, bytes)| (id.as_str(), bytes.as_bytes())).collect();
        let ticket = self.scene.sync_as(&actor.id, actor.instance, generation, &parts);
        self.track(ticket);
    }

    fn heartbeat(&mut self) {
        let Some(actor) = self.dice.pick(&self.actors).cloned() else { return };
        _ = self.scene.heartbeat_as(&actor.id, actor.instance, actor.last.generation);
    }

    fn leave(&mut self) {
        let Some(actor) = self.dice.pick(&self.actors).cloned() else { return };
        _ = self.scene.leave(&[(&actor.id, actor.instance)]);
        self.actors.retain(|a| a.id != actor.id);
    }

    fn commit(&mut self) {
        self.next_offset += 1;
        let actor = self.dice.pick(&self.actors).cloned();
        let (id, generation) = actor.as_ref().map_or(("", -1), |a| (&a.id, a.last.generation));
        let mut request = commit_request(id, generation, &[("t", 0, self.next_offset)]);
        request.instance = actor.as_ref().and_then(|a| a.instance).map(InstanceId::from);
        let ticket = self.scene.commit_with(request);
        self.track(ticket);
        self.commits.insert(ticket, self.next_offset);
    }

    fn wait(&mut self) {
        let ms = *self.dice.pick(&[1, 500, 3_000, 3_000, 6_000, 9_000, 60_000]).unwrap();
        self.scene.wait(ms);
    }

    fn turn_the_disk(&mut self) {
        let disk = *self.dice.pick(&[Disk::Fine, Disk::Fine, Disk::Stalled, STORAGE_ERROR]).unwrap();
        self.scene.disk(disk);
        self.read_answers();
    }

    /// The broker dies; nobody gets an answer, and clients carry on with what they know.
    fn crash(&mut self) {
        self.scene.restart();
        self.scene.disk = Disk::Fine;
        self.open.clear();
        self.commits.clear();
        self.joins.clear();
        self.generation = 0;
    }

    fn read_answers(&mut self) {
        for (ticket, reply) in std::mem::take(&mut self.scene.replies) {
            assert!(self.open.remove(&ticket).is_some(), "{ticket:?} answered without a question");
            match reply {
                Reply::Join(reply) => self.joined(ticket, reply),
                Reply::Sync(reply) => self.synced(&reply),
                Reply::Commit(reply) => {
                    let offset = self.commits.remove(&ticket).unwrap();
                    if reply.topics[0].partitions[0].1 == ErrorCode::None {
                        self.acknowledged.push((self.scene.log.len(), offset));
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn joined(&mut self, ticket: Ticket, reply: JoinReply) {
        let at = self.joins.iter().position(|(t, _)| *t == ticket).unwrap();
        let (_, instance) = self.joins.remove(at);
        match reply.error {
            ErrorCode::None | ErrorCode::MemberIdRequired => {
                self.actors.retain(|a| a.id != reply.member);
                self.actors.push(Actor { id: reply.member.clone(), instance, last: reply });
            }
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId => self.actors.retain(|a| a.id != reply.member),
            _ => {}
        }
    }

    /// Nobody is ever told an assignment of another generation than the group's own.
    fn synced(&self, reply: &SyncReply) {
        let text = std::str::from_utf8(&reply.assignment).unwrap();
        if let Some((generation, _)) = text.split_once('/') {
            assert!(generation.parse::<i32>().unwrap() <= self.group_generation());
        }
    }

    fn group_generation(&self) -> i32 {
        self.scene.coordinator.groups.get("g").map_or(0, |group| group.generation)
    }

    fn check(&mut self) {
        let now_ms = self.scene.now.mono_ms;
        if self.scene.disk == Disk::Fine {
            let late = self.open.iter().find(|(_, sent)| now_ms - **sent > PATIENCE_MS);
            assert!(late.is_none(), "{late:?} was not answered");
        }
        let Some(group) = self.scene.coordinator.groups.get("g") else { return };
        assert!(group.generation >= self.generation, "a generation came back");
        self.generation = group.generation;
        assert_eq!(group.members.is_empty(), group.leader.is_none());
        assert!(group.leader.as_ref().is_none_or(|leader| group.members.contains_key(leader)));
        let statics = group.members.values().filter(|m| m.instance.is_some()).count();
        assert_eq!(statics, group.statics.len());
        assert!(group.expected.iter().all(|id| !group.members.contains_key(id)));
        if let State::Stable(_) = group.state {
            self.stable += 1;
            for (id, member) in &group.members {
                let text = std::str::from_utf8(&member.assignment).unwrap();
                let generation = text.split_once('/').map(|(generation, _)| generation.parse());
                assert_eq!(generation, Some(Ok(group.generation)), "{id} has {text:?}");
            }
        }
    }

    /// Everything comes to rest, nothing is left unanswered, and no crash since an acknowledgement loses it.
    fn finish(mut self) -> (usize, usize) {
        self.scene.disk(Disk::Fine);
        self.scene.wait(PATIENCE_MS);
        self.read_answers();
        assert!(self.open.is_empty(), "unanswered: {:?}", self.open);
        let log = self.scene.log.clone();
        let seen = (self.stable, self.acknowledged.len());
        for (durable, offset) in self.acknowledged {
            for records in [durable, (durable + log.len()) / 2, log.len()] {
                self.scene.log.clone_from(&log);
                self.scene.restart_from(records);
                assert!(self.scene.committed(0) >= Some(offset), "offset {offset} is lost with {records} records");
            }
        }
        seen
    }
}

const STORAGE_ERROR: Disk = Disk::Failing(ErrorCode::KafkaStorageError);

#[test]
fn whatever_happens() {
    let (mut stable, mut acknowledged) = (0, 0);
    for seed in 1..=100 {
        let run = std::panic::catch_unwind(|| {
            let mut model = Model::new(seed);
            for _ in 0..STEPS {
                model.step();
            }
            model.finish()
        });
        match run {
            Ok(seen) => (stable, acknowledged) = (stable + seen.0, acknowledged + seen.1),
            Err(panic) => {
                eprintln!("seed {seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    assert!(stable > 500 && acknowledged > 500, "the model saw too little: {stable} {acknowledged}");
}

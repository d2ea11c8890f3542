//! Whole shards under random schedules: the engine's executor, classes of work and mailboxes, over a driver that has a
//! helper thread and a bell as the real ones have, started and stopped together by the node's own stages. What would
//! break: a message is lost, doubled or overtaken, a task is forgotten, or everybody sleeps while there is work, which
//! shuttle reports as a deadlock.
//!
//! `SHUTTLE_RUNS` says how many schedules each test tries.
#![cfg(shuttle)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../node/src/stages.rs"]
#[allow(dead_code, unreachable_pub, reason = "the node uses all of it, and shows it to others")]
mod stages;

#[path = "shards/driver.rs"]
mod driver;

use driver::{HelperDriver, ReapOrder};
use engine::io::{Driver, Op, ShardId, Waker};
use engine::mailbox::{Endpoint, mesh_with_slots};
use engine::shard::{Class, Io};
use engine::time::Mono;
use loom_tests::Bell;
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;
use stages::Stages;
use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

/// Questions that a shard asks each other one, unless it is stopped before.
const QUESTIONS: u64 = 4;

/// Between two shards, numbered by their sender.
struct Message {
    number: u64,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    Question(u64),
    Answer(u64),
}

/// What a broken copy of the loop leaves out.
#[derive(Clone, Copy, PartialEq)]
enum Missing {
    Nothing,
    /// Sleeps without looking into the mailbox once more.
    SecondLook,
    /// Tells nobody that there is mail.
    Wake,
    /// Looks for what the helper did before it silences the bell.
    DriversOrder,
    /// Looks at the stages before the turn silences the bell, and not after.
    LookAfterTheBell,
}

/// One shard and what it knows of the others, by their number.
struct Shard {
    me: usize,
    io: Io,
    mail: Endpoint<Message>,
    stages: Arc<Stages>,
    work: Class,
    /// Answers of tasks.
    answers: Rc<RefCell<VecDeque<(usize, u64)>>>,
    sent: Vec<u64>,
    received: Vec<u64>,
    asked: Vec<u64>,
    unanswered: Vec<BTreeSet<u64>>,
    drained: bool,
    missing: Missing,
}

impl Shard {
    fn new(
        shards: usize,
        mail: Endpoint<Message>,
        stages: Arc<Stages>,
        driver: HelperDriver,
        missing: Missing,
    ) -> Shard {
        let io = Io::new(Box::new(driver));
        let zeros = || vec![0; shards];
        Shard {
            me: usize::from(mail.me().0),
            work: Class::new(&io, 2),
            io,
            mail,
            stages,
            answers: Rc::default(),
            sent: zeros(),
            received: zeros(),
            asked: zeros(),
            unanswered: vec![BTreeSet::new(); shards],
            drained: false,
            missing,
        }
    }

    fn send(&mut self, to: usize, what: What) {
        let number = self.sent[to];
        self.sent[to] += 1;
        assert!(self.mail.send(ShardId(to as u16), Message { number, what }).is_ok(), "a shard ended too early");
    }

    fn receive(&mut self) {
        while let Some((from, Message { number, what })) = self.mail.recv() {
            let from = usize::from(from.0);
            assert_eq!(number, self.received[from], "shard {} hears from {from} once and in order", self.me);
            self.received[from] += 1;
            match what {
                What::Question(n) => self.work_on(from, n),
                What::Answer(n) => assert!(self.unanswered[from].remove(&n), "answered twice, or never asked"),
            }
        }
    }

    /// Disk work of a request: its turn, two ops, and a turn given up in between.
    fn work_on(&self, from: usize, n: u64) {
        let (io, work, answers) = (self.io.clone(), self.work.clone(), Rc::clone(&self.answers));
        self.io.spawn(async move {
            let _permit = work.acquire().await;
            let (one, other) = (io.call(Op::Timer { at: Mono(n) }), io.call(Op::Timer { at: Mono(n) }));
            other.await;
            io.yield_now().await;
            one.await;
            answers.borrow_mut().push_back((from, n));
        });
    }

    fn ask(&mut self) {
        for to in 0..self.asked.len() {
            let may = to != self.me && self.asked[to] < QUESTIONS && !self.stages.is_stop_requested();
            if may && self.mail.pending_total() < 2 && thread_rng().gen_bool(0.7) {
                let n = self.asked[to];
                self.asked[to] += 1;
                self.unanswered[to].insert(n);
                self.send(to, What::Question(n));
            }
        }
    }

    /// True when there is nothing left to ask or to hear.
    fn has_finished(&self) -> bool {
        let stopped = self.stages.is_stop_requested();
        let all_asked = (0..self.asked.len()).all(|to| to == self.me || self.asked[to] == QUESTIONS);
        (stopped || all_asked) && self.unanswered.iter().all(BTreeSet::is_empty)
    }

    fn turn(&mut self) {
        self.io.turn(&mut Vec::new());
        self.receive();
        self.ask();
        while let Some((to, n)) = { self.answers.borrow_mut().pop_front() } {
            self.send(to, What::Answer(n));
        }
        let io = &self.io;
        let wakes = self.missing != Missing::Wake;
        self.mail.flush(|shard| {
            if wakes {
                io.detach(Op::Wake(shard))
            }
        });
        if !self.drained && self.has_finished() {
            self.drained = true;
            self.stages.note_drained();
        }
    }

    /// True when every shard has heard everything and nothing of ours is under way; as in the node, others may need
    /// answers until then.
    fn has_ended(&self) -> bool {
        self.stages.is_drained() && self.io.tasks_running() == 0 && self.mail.pending_total() == 0
    }

    /// True when the next turn has something to do already.
    fn is_busy(&self) -> bool {
        let asks_again = !self.drained && !self.has_finished() && self.unanswered.iter().all(BTreeSet::is_empty);
        asks_again || !self.answers.borrow().is_empty()
    }

    fn sleep(&mut self) {
        if self.missing == Missing::SecondLook {
            self.io.park(None);
        } else if let Some(_asleep) = self.mail.park() {
            self.io.park(None);
        }
    }

    /// Turns and sleeps until the end; how many questions it asked.
    fn run(mut self) -> u64 {
        loop {
            let seen_early = self.has_ended();
            self.turn();
            let has_ended = if self.missing == Missing::LookAfterTheBell { seen_early } else { self.has_ended() };
            if has_ended {
                return self.asked.iter().sum();
            }
            if self.is_busy() { thread::yield_now() } else { self.sleep() }
        }
    }
}

/// One schedule: `shards` shards talk through rings of one slot, and are stopped at some moment.
fn talk(shards: usize, missing: Missing) {
    let bells: Vec<_> = (0..shards).map(|_| Arc::new(Bell::new())).collect();
    let wakers: Vec<_> = bells.iter().map(|bell| Arc::clone(bell) as Arc<dyn Waker>).collect();
    let stages = Arc::new(Stages::new(wakers.clone()));
    let order = if missing == Missing::DriversOrder { ReapOrder::RepliesFirst } else { ReapOrder::BellFirst };
    let threads: Vec<_> = mesh_with_slots(shards, 1)
        .into_iter()
        .zip(bells)
        .map(|(mail, bell)| {
            let (stages, wakers) = (Arc::clone(&stages), wakers.clone());
            thread::spawn(move || {
                let mut driver = HelperDriver::new(bell, order);
                driver.set_peers(wakers);
                Shard::new(shards, mail, stages, driver, missing).run()
            })
        })
        .collect();
    for _ in 0..thread_rng().gen_range(0..40) {
        thread::yield_now();
    }
    stages.request_stop();
    threads.into_iter().for_each(|shard| assert!(shard.join().unwrap() <= QUESTIONS * (shards as u64 - 1)));
}

fn runs(usual: usize) -> usize {
    std::env::var("SHUTTLE_RUNS").map_or(usual, |runs| runs.parse().unwrap())
}

#[test]
fn two_shards_hear_everything_once_and_in_order() {
    shuttle::check_random(|| talk(2, Missing::Nothing), runs(4_000));
}

#[test]
fn three_shards_hear_everything_once_and_in_order() {
    shuttle::check_random(|| talk(3, Missing::Nothing), runs(2_000));
}

/// Few preemptions, at the worst places: finds what needs one thread to be slow for long.
#[test]
fn three_shards_of_which_some_are_slow() {
    shuttle::check_pct(|| talk(3, Missing::Nothing), runs(2_000), 3);
}

#[test]
#[should_panic(expected = "deadlock")]
fn control_without_the_second_look() {
    shuttle::check_random(|| talk(2, Missing::SecondLook), 10_000);
}

#[test]
#[should_panic(expected = "deadlock")]
fn control_without_a_wake() {
    shuttle::check_random(|| talk(2, Missing::Wake), 10_000);
}

#[test]
#[should_panic(expected = "deadlock")]
fn control_a_driver_that_silences_its_bell_too_late() {
    shuttle::check_random(|| talk(2, Missing::DriversOrder), 10_000);
}

#[test]
#[should_panic(expected = "deadlock")]
fn control_a_loop_that_looks_at_the_stages_too_early() {
    shuttle::check_random(|| talk(2, Missing::LookAfterTheBell), 10_000);
}

//! What members do, and what is counted: how long a group takes to come to rest after one joins or leaves, and what many groups
//! cost that only say that they live.

use super::classic::Classic;
use super::consumer::Consumer;
use super::crew::Crew;
use super::{Member, MembersError, Protocol};
use crate::load::cpu_time;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long a group may take to come to rest, in seconds.
const SETTLES_WITHIN_S: u64 = 120;

/// What members do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The broker.
    pub address: SocketAddr,
    /// Groups.
    pub groups: usize,
    /// Members of each.
    pub members: usize,
    /// Which protocol they speak.
    pub protocol: Protocol,
    /// What they read.
    pub topic: String,
    /// Its partitions.
    pub partitions: i32,
    /// Between two heartbeats; in the consumer protocol the broker says.
    pub heartbeat: Duration,
    /// Not counted.
    pub warm_up: Duration,
    /// Counted; rounds that have begun are ended.
    pub duration: Duration,
}

impl Plan {
    fn member(&self, group: usize, number: usize) -> Member {
        let name = format!("bench-{group}");
        match self.protocol {
            Protocol::Classic => Member::Classic(Classic::new(&name, &self.topic, self.partitions, self.heartbeat)),
            Protocol::Consumer => Member::Consumer(Consumer::new(&name, &self.topic, number)),
        }
    }

    /// Everybody in, their first requests spread over one heartbeat's time, so that their heartbeats are.
    fn gather(&self) -> Result<Crew, MembersError> {
        let (mut crew, count) = (Crew::new()?, self.groups * self.members);
        for number in 0..count {
            let delay = self.heartbeat.mul_f64(number as f64 / count as f64);
            crew.add(self.address, self.member(number / self.members, number), delay)?;
        }
        until(&mut crew, "not every member was let in", |crew| crew.settled() == count)?;
        Ok(crew)
    }
}

/// How long rounds took, or what heartbeats there were.
#[derive(Debug, Default)]
pub struct Figures {
    /// From a new member's first request until all are at rest.
    pub joins: Vec<Duration>,
    /// From a member's last words until all others are at rest.
    pub leaves: Vec<Duration>,
    /// Both, where the change comes right behind another, before the members' next heartbeats.
    pub again: Vec<Duration>,
    /// The part of each since the last member learned that there is a rebalance: the broker's own, without the members' pauses.
    pub tails: Vec<Duration>,
    /// Answers.
    pub answered: u64,
    /// Counted time.
    pub elapsed: Duration,
    /// Share of it in which this thread worked.
    pub generator_busy: f64,
}

impl Figures {
    /// Medians in milliseconds, answers a second.
    pub fn to_json(&self) -> Value {
        let ms = |times: &[Duration]| median(times).map(|d| d.as_secs_f64() * 1e3);
        let both: Vec<Duration> = self.joins.iter().chain(&self.leaves).copied().collect();
        let seconds = self.elapsed.as_secs_f64();
        json!({"seconds": seconds, "generator_busy": self.generator_busy, "requests_per_s": self.answered as f64 / seconds,
            "rounds": self.joins.len(), "join_ms": ms(&self.joins), "leave_ms": ms(&self.leaves), "settle_ms": ms(&both),
            "again_ms": ms(&self.again), "broker_ms": ms(&self.tails)})
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.to_json())
    }
}

fn median(times: &[Duration]) -> Option<Duration> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}

/// One group: a member more, a member less, again and again. `on_begin` is called when the warm-up is over.
pub fn settle(plan: &Plan, mut on_begin: impl FnMut()) -> Result<Figures, MembersError> {
    let mut crew = plan.gather()?;
    rest(&mut crew, plan)?;
    let (begin, mut counted) = (Instant::now(), None::<(Instant, Duration, u64)>);
    let mut figures = Figures::default();
    loop {
        if counted.is_none() && begin.elapsed() >= plan.warm_up {
            on_begin();
            figures = Figures::default();
            counted = Some((Instant::now(), cpu_time(), crew.answered));
        }
        if let Some((since, cpu, answered)) = counted
            && since.elapsed() >= plan.duration
            && !figures.joins.is_empty()
        {
            figures.elapsed = since.elapsed();
            figures.answered = crew.answered - answered;
            figures.generator_busy = (cpu_time() - cpu).as_secs_f64() / figures.elapsed.as_secs_f64();
            return Ok(figures);
        }
        round(&mut crew, plan, &mut figures)?;
    }
}

/// A member more and a member less, each in a group that is at rest, and then the same once more in quick succession.
fn round(crew: &mut Crew, plan: &Plan, figures: &mut Figures) -> Result<(), MembersError> {
    pause(crew, rest_for(crew, 2 * figures.joins.len()))?;
    let (number, took) = join(crew, plan, figures)?;
    figures.joins.push(took);
    pause(crew, rest_for(crew, 2 * figures.leaves.len() + 1))?;
    let took = leave(crew, plan, figures, number)?;
    figures.leaves.push(took);
    let (number, took) = join(crew, plan, figures)?;
    figures.again.push(took);
    pause(crew, plan.heartbeat / 7)?;
    let took = leave(crew, plan, figures, number)?;
    figures.again.push(took);
    Ok(())
}

/// Between one and two heartbeats' time, so that each member has sent one since the last change, and changes come at every moment
/// between two heartbeats alike: the golden ratio spreads them.
fn rest_for(crew: &Crew, number: usize) -> Duration {
    crew.interval().mul_f64(1.0 + (number as f64 * 0.618_034).fract())
}

fn pause(crew: &mut Crew, length: Duration) -> Result<(), MembersError> {
    let end = Instant::now() + length;
    while Instant::now() < end {
        crew.turn()?;
    }
    Ok(())
}

fn join(crew: &mut Crew, plan: &Plan, figures: &mut Figures) -> Result<(usize, Duration), MembersError> {
    let begin = Instant::now();
    let number = crew.add(plan.address, plan.member(0, plan.members), Duration::ZERO)?;
    let settled = rest(crew, plan)?;
    figures.tails.extend(tail(crew, plan, settled));
    Ok((number, settled - begin))
}

fn leave(crew: &mut Crew, plan: &Plan, figures: &mut Figures, number: usize) -> Result<Duration, MembersError> {
    let begin = Instant::now();
    crew.dismiss(number)?;
    // Until the others have its partitions, too, they do not have all.
    let settled = rest(crew, plan)?;
    figures.tails.extend(tail(crew, plan, settled));
    Ok(settled - begin)
}

/// The broker's own part. In the consumer protocol there is none: what one member may have hangs on what another says.
fn tail(crew: &Crew, plan: &Plan, settled: Instant) -> Option<Duration> {
    (plan.protocol == Protocol::Classic).then(|| settled - crew.last_joined)
}

/// Whether all members agree and have every partition between them.
fn is_at_rest(crew: &Crew, plan: &Plan) -> bool {
    crew.agreed().is_some_and(|place| Ok(place.partitions) == usize::try_from(plan.partitions))
}

fn rest(crew: &mut Crew, plan: &Plan) -> Result<Instant, MembersError> {
    until(crew, "the group is not at rest", |crew| is_at_rest(crew, plan))?;
    Ok(Instant::now())
}

fn until(crew: &mut Crew, what: &str, is_so: impl Fn(&Crew) -> bool) -> Result<(), MembersError> {
    let begin = Instant::now();
    while !is_so(crew) {
        if begin.elapsed() > Duration::from_secs(SETTLES_WITHIN_S) {
            return Err(MembersError::Late(what.to_owned(), SETTLES_WITHIN_S));
        }
        crew.turn()?;
    }
    Ok(())
}

/// Groups that only live. `on_begin` is called when all are in and the warm-up is over.
pub fn heartbeats(plan: &Plan, mut on_begin: impl FnMut()) -> Result<Figures, MembersError> {
    let mut crew = plan.gather()?;
    let begin = Instant::now();
    while begin.elapsed() < plan.warm_up {
        crew.turn()?;
    }
    on_begin();
    let (begin, cpu, answered) = (Instant::now(), cpu_time(), crew.answered);
    while begin.elapsed() < plan.duration {
        crew.turn()?;
    }
    let elapsed = begin.elapsed();
    let generator_busy = (cpu_time() - cpu).as_secs_f64() / elapsed.as_secs_f64();
    Ok(Figures { answered: crew.answered - answered, elapsed, generator_busy, ..Figures::default() })
}

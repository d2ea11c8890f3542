//! The journal: small batches of many logs become durable in one file, and nothing of them is lost, brought back or put in the
//! wrong place by a crash at any moment, in the journal's life or in that of its logs.

use crate::crash::{Model, act, config, hot};
use crate::rig::{Rig, limits, on_every_driver, small};
use engine::io::sim::{Rng, SimWorld};
use engine::log::{LogConfig, LogEvent, LogId, LogLimits};
use std::path::Path;

const DATA: &str = "/data";
const LOGS: usize = 3;

/// A journal from the second small flush on, so small that it goes round all the time.
fn journaling(limits: LogLimits) -> LogLimits {
    LogLimits { journal_flushes_min: 2, journal_bytes: 128 << 10, ..limits }
}

fn world(seed: u64) -> SimWorld {
    let world = SimWorld::new(seed);
    world.write_file("/data/.keep", b"").unwrap();
    world
}

fn boot(world: &SimWorld, config: &LogConfig, limits: LogLimits) -> Rig {
    Rig::boot(Box::new(world.restart()), Path::new(DATA), config, limits)
}

fn has_journal(world: &SimWorld) -> bool {
    world.fs_list().iter().any(|(path, _)| path.ends_with("journal-0.rjnl"))
}

fn logs(rig: &mut Rig, config: &LogConfig) -> Vec<LogId> {
    let find = |rig: &mut Rig, n: usize| {
        let folder = format!("t-{n}");
        let known = rig.logs.get(&folder).copied();
        known.unwrap_or_else(|| rig.create_partition(&folder, n as i32, config.clone()))
    };
    (0..LOGS).map(|n| find(rig, n)).collect()
}

/// Small batches into every log until a journal is in use.
fn warm_up(rig: &mut Rig, ids: &[LogId]) {
    for _ in 0..40 {
        for &id in ids {
            rig.append(id, 1, 300).unwrap();
            rig.until_durable(id);
        }
    }
}

#[test]
fn small_batches_of_many_logs_share_a_write() {
    let world = world(1);
    let config = LogConfig { preallocate: true, ..small() };
    let quiet =
        LogLimits { journal_bytes: 4 << 20, checkpoint_ms: 60_000, scrub_interval_ms: 0, idle_ms: 60_000, ..limits() };
    let mut rig = boot(&world, &config, LogLimits { journal_flushes_min: 2, ..quiet });
    let ids = logs(&mut rig, &config);
    warm_up(&mut rig, &ids);
    assert!(has_journal(&world));
    let before = world.completions();
    for &id in &ids {
        rig.append(id, 1, 300).unwrap();
    }
    for &id in &ids {
        rig.until_durable(id);
    }
    assert_eq!(world.completions() - before, 1, "one write for {LOGS} logs, and no flush");
    world.crash();
    let mut rig = boot(&world, &config, limits());
    for (n, id) in logs(&mut rig, &config).into_iter().enumerate() {
        assert_eq!(rig.set().offsets(id).end, 41, "log {n}");
        rig.check_whole(id);
    }
    assert!(!has_journal(&world), "all of it is in its segments");
}

#[test]
fn what_the_journal_holds_is_read_from_memory_and_filled_when_the_log_falls_idle() {
    let world = world(2);
    let config = small();
    let mut rig = boot(&world, &config, journaling(limits()));
    let ids = logs(&mut rig, &config);
    warm_up(&mut rig, &ids);
    ids.iter().for_each(|&id| rig.check_whole(id));
    rig.pass(200);
    assert_eq!(rig.set().held_bytes(), 0, "idle logs give their memory back");
    ids.iter().for_each(|&id| rig.check_whole(id));
}

#[test]
fn a_clean_stop_leaves_no_journal() {
    on_every_driver(|driver, data| {
        let config = small();
        let mut rig = Rig::boot(driver(), data, &config, journaling(limits()));
        let ids = logs(&mut rig, &config);
        warm_up(&mut rig, &ids);
        rig.shutdown();
        let mut rig = Rig::boot(driver(), data, &config, limits());
        for id in logs(&mut rig, &config) {
            assert_eq!(rig.set().offsets(id).end, 40);
            rig.check_whole(id);
        }
        assert!(rig.reports.is_empty(), "{:?}", rig.reports);
        assert!(!data.join(".ringlog/journal-0.rjnl").exists());
    });
}

/// Logs that are written, cut, retained and recycled until the power fails, several times over.
fn run(seed: u64, turns: u64, kill: bool) -> bool {
    let world = world(seed);
    let mut rng = Rng::new(seed ^ turns << 20);
    let config = config(&mut rng);
    let mut models: Vec<Model> = (0..LOGS).map(|_| Model::default()).collect();
    let mut used = false;
    for round in 0..4 {
        let label = format!("seed {seed}, {turns} turns, round {round}");
        let mut rig = boot(&world, &config, journaling(hot()));
        for (n, model) in models.iter_mut().enumerate() {
            match rig.logs.get(&format!("t-{n}")) {
                Some(&id) => model.check(&mut rig, id, &format!("{label}, log {n}")),
                None => {
                    assert_eq!(model.durable, 0, "{label}: log {n} is gone");
                    *model = model.anew();
                }
            }
        }
        let ids = logs(&mut rig, &config);
        for _ in 0..turns / (round + 1) {
            let n = rng.below(LOGS as u64) as usize;
            act(&mut rig, ids[n], &mut models[n], &mut rng);
            rig.turn();
            let events = std::mem::take(&mut rig.events);
            for (id, model) in ids.iter().zip(&mut models) {
                let of = |event: &&LogEvent| event_of(event) == Some(*id);
                model.learn(&events.iter().filter(of).cloned().collect::<Vec<_>>());
            }
        }
        used |= has_journal(&world);
        if kill { world.kill() } else { world.crash() }
    }
    used
}

fn event_of(event: &LogEvent) -> Option<LogId> {
    match event {
        LogEvent::Durable { id, .. }
        | LogEvent::StartMoved { id, .. }
        | LogEvent::Truncated { id, .. }
        | LogEvent::Rejected { id, .. } => Some(*id),
        _ => None,
    }
}

#[test]
fn a_power_cut_at_any_moment_leaves_what_was_durable_and_no_phantom() {
    let mut used = 0;
    for seed in 0..12 {
        for turns in (150..450).step_by(27).chain([900]) {
            used += u32::from(run(seed, turns, false));
        }
    }
    assert!(used > 50, "only {used} runs had a journal");
}

#[test]
fn a_kill_at_any_moment_likewise() {
    for seed in 100..104 {
        for turns in (150..400).step_by(31) {
            run(seed, turns, true);
        }
    }
}

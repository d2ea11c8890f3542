//! The generator against a broker that knows what it should have been sent.

use super::fake::Fake;
use super::{Goes, LoadError, Pace, Plan, Readers, Sends, Window, Writers, run};
use crate::frames;
use crate::stats::Stats;
use std::time::{Duration, Instant};

fn writers(partitions: i32, connections: usize, pace: Pace, batch_bytes: usize) -> Writers {
    Writers {
        topic: "t".into(),
        partitions,
        connections,
        pace,
        batch_bytes,
        record_bytes: 100,
        acks: -1,
        sends: Sends::Batches,
    }
}

fn readers(topic: &str, partitions: i32, connections: usize, goes: Goes) -> Readers {
    Readers { topic: topic.into(), partitions, connections, max_bytes: 10_000, goes }
}

fn window(millis: u64) -> Window {
    Window { warm_up: Duration::ZERO, duration: Duration::from_millis(millis), ..Window::default() }
}

fn drive(fake: &Fake, writers: Option<Writers>, readers: Option<Readers>, window: Window) -> Result<Stats, LoadError> {
    run(&Plan { address: fake.address, writers, readers, window }, || ())
}

#[test]
fn a_closed_loop_reaches_every_partition_with_whole_batches() {
    for (partitions, connections, batch, depth) in [(3, 5, 50_000, 2), (7, 2, 1, 4), (1, 1, 9_000, 1)] {
        let fake = Fake::start();
        let stats =
            drive(&fake, Some(writers(partitions, connections, Pace::Closed { depth }, batch)), None, window(150));
        let stats = stats.unwrap();
        assert!(stats.writes.requests > 10, "{} requests", stats.writes.requests);
        assert!((0..partitions).all(|p| fake.count("t", p) > 0), "a partition got nothing");
        let stored: usize = (0..partitions).map(|p| fake.count("t", p)).sum();
        // What is under way at the end is stored and not counted.
        let under_way = connections * depth;
        assert!((stats.writes.requests as usize..=stats.writes.requests as usize + under_way).contains(&stored));
    }
}

#[test]
fn an_open_loop_keeps_its_rate_and_counts_from_when_a_request_was_due() {
    let fake = Fake::start();
    fake.logs.lock().unwrap().delay = Duration::from_millis(20);
    // One connection, one answer in 20 ms: at 200 a second the last of 100 waits for the 99 before it.
    let stats = drive(&fake, Some(writers(1, 1, Pace::Open { per_s: 200.0 }, 1)), None, window(500)).unwrap();
    assert!((3..=30).contains(&stats.writes.requests), "{} answers in half a second", stats.writes.requests);
    let worst = stats.writes.latency.at(100.0);
    assert!(worst > 250_000, "a queue that grows shows in the latency: {worst} µs");
    assert!(stats.generator_busy < 0.9, "waiting is not work: {}", stats.generator_busy);
}

#[test]
fn the_window_begins_after_the_work_that_was_asked_for_and_ends_at_its_bytes() {
    let fake = Fake::start();
    let mut began = None;
    let plan = Plan {
        address: fake.address,
        writers: Some(writers(1, 1, Pace::Closed { depth: 1 }, 1)),
        readers: None,
        window: Window { warm_up_requests: 200, bytes_max: 17_000, ..window(60_000) },
    };
    let begin = Instant::now();
    let stats = run(&plan, || began = Some(fake.count("t", 0))).unwrap();
    assert!(began.unwrap() >= 200, "counted from {began:?} on");
    assert!(stats.writes.bytes >= 17_000 && stats.writes.bytes < 18_000, "{} bytes", stats.writes.bytes);
    assert!(begin.elapsed() < Duration::from_secs(30));
}

#[test]
fn fetching_goes_round_and_counts_whole_batches_only() {
    let fake = Fake::start();
    let (batch, _) = frames::batch(3_000, 100, 0);
    fake.fill("cold", 0, &batch, 10);
    let stats = drive(&fake, None, Some(readers("cold", 1, 3, Goes::Round)), window(150)).unwrap();
    assert!(stats.reads.requests > 12, "{} answers", stats.reads.requests);
    assert_eq!(stats.reads.bytes % batch.len() as u64, 0, "the cut batch behind the last does not count");
    // Answers hold three batches and a half; the tenth comes alone.
    assert!(stats.reads.bytes > 2 * stats.reads.requests * batch.len() as u64);
}

#[test]
fn catching_up_reads_everything_once_and_ends() {
    let fake = Fake::start();
    let (batch, _) = frames::batch(3_000, 100, 0);
    (0..2).for_each(|p| fake.fill("cold", p, &batch, 40));
    let pace = Pace::Open { per_s: 500.0 };
    let stats = drive(&fake, Some(writers(2, 2, pace, 1_000)), Some(readers("cold", 2, 2, Goes::Once)), window(30_000))
        .unwrap();
    assert_eq!(stats.reads.bytes, 80 * batch.len() as u64);
    assert!(stats.elapsed < Duration::from_secs(20), "it ends when all is read");
}

#[test]
fn end_to_end_every_batch_is_delivered_once() {
    let fake = Fake::start();
    let pace = Pace::Open { per_s: 400.0 };
    let stats =
        drive(&fake, Some(writers(4, 2, pace, 1_000)), Some(readers("t", 4, 4, Goes::Follow)), window(400)).unwrap();
    let stored: usize = (0..4).map(|p| fake.count("t", p)).sum();
    let delivered = stats.delivered.requests as usize;
    assert!(delivered > 50 && delivered <= stored, "{delivered} delivered of {stored}");
    assert!(stats.delivered.latency.at(50.0) < 100_000, "{} µs", stats.delivered.latency.at(50.0));
}

#[test]
fn commits_keep_every_group_busy_and_count_as_requests() {
    let fake = Fake::start();
    let writers = Writers { sends: Sends::Commits, ..writers(1, 5, Pace::Closed { depth: 3 }, 0) };
    let stats = drive(&fake, Some(writers), None, window(150)).unwrap();
    let logs = fake.logs.lock().unwrap();
    assert_eq!(logs.commits.len(), 5, "a group a connection");
    let stored: usize = logs.commits.values().sum();
    let counted = stats.writes.requests as usize;
    assert!(counted > 10 && (counted..=counted + 5 * 3).contains(&stored), "{counted} counted, {stored} stored");
}

#[test]
fn a_refusal_ends_the_run_with_its_code() {
    let fake = Fake::start();
    fake.logs.lock().unwrap().refuse_after = Some(5);
    let error = drive(&fake, Some(writers(1, 1, Pace::Closed { depth: 1 }, 1)), None, window(10_000)).unwrap_err();
    assert_eq!(error.to_string(), "connection 0: the broker answered error 2 (CORRUPT_MESSAGE)");
}

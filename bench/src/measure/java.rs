//! Kafka's own producer, unmodified, at a fixed rate: what the broker's CPU time is then. Its latencies are whole
//! milliseconds, so end to end is measured afterwards by our generator, at the same rate, on the same warm broker; not both at
//! once, since they would share a core.

use super::drive::{flags, of_side};
use super::{Job, MeasureError};
use crate::peers::{Broker, Usage};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

const TOPIC: &str = "java";
const FOLLOWED: &str = "followed";
const PARTITIONS: i32 = 4;

/// Records of 1 KB a second: 50 MB/s.
const RECORDS_PER_S: u64 = 50_000;
const RECORD_BYTES: usize = 1_000;

/// Batches of our own, end to end: 1 KB records in batches of 16 KB at the same 50 MB/s.
const BATCHES_PER_S: &str = "3125";

/// Seconds after the producer's first report that do not count: its own JVM compiles.
const SETTLE_S: u64 = 5;

pub(super) fn run(job: &Job<'_>) -> Result<Value, MeasureError> {
    let broker = job.start()?;
    job.topic(&broker, TOPIC, PARTITIONS, None)?;
    job.topic(&broker, FOLLOWED, PARTITIONS, None)?;
    let cpu = under_java(job, &broker)?;
    let mut words = vec!["end-to-end".to_owned()];
    words.extend(flags(&[
        ("--topic", FOLLOWED.to_owned()),
        ("--partitions", PARTITIONS.to_string()),
        ("--connections", PARTITIONS.to_string()),
        ("--batch", "16000".to_owned()),
        ("--record", RECORD_BYTES.to_string()),
        ("--rate", BATCHES_PER_S.to_owned()),
    ]));
    words.extend(job.window(u64::MAX, u64::MAX));
    let mut figures = of_side(job.drive(&broker, &words)?, "delivered");
    figures["end_to_end_cpu_share"] = figures["cpu_share"].take();
    for (key, value) in cpu {
        figures[key] = json!(value);
    }
    Ok(figures)
}

/// The broker's CPU time while the Java producer sends.
fn under_java(job: &Job<'_>, broker: &Broker) -> Result<Vec<(&'static str, f64)>, MeasureError> {
    let failed = |reason: String| MeasureError::Load { program: "Kafka's ProducerPerformance".into(), reason };
    let payload = broker.folder().join("payload.txt");
    // One line of one size: filling every record by chance would cost the producer more than sending it.
    std::fs::write(&payload, "x".repeat(RECORD_BYTES) + "\n").map_err(|e| failed(e.to_string()))?;
    let mut child = start(job, broker, &payload).map_err(|e| failed(e.to_string()))?;
    let watched = child.stdout.take().map(|stdout| watch(stdout, broker, job));
    let _ = child.kill();
    let _ = child.wait();
    let Some(Some((before, after, records, seconds))) = watched else {
        return Err(failed("ended before its window did".into()));
    };
    let cpu_s = after.cpu_s - before.cpu_s;
    Ok(vec![
        ("cpu_share", cpu_s / seconds),
        ("cpu_s_per_gb", cpu_s / (records as f64 * RECORD_BYTES as f64 / 1e9)),
        ("mb_per_s", records as f64 * RECORD_BYTES as f64 / 1e6 / seconds),
    ])
}

fn start(job: &Job<'_>, broker: &Broker, payload: &std::path::Path) -> std::io::Result<Child> {
    Command::new("setpriv")
        .args([
            "--pdeathsig",
            "KILL",
            "taskset",
            "-c",
            &job.context.load_cpu.to_string(),
            "java",
            "-Xms512m",
            "-Xmx512m",
            "-XX:+UseG1GC",
            "-cp",
        ])
        .arg(format!("{}/*", job.context.tools.kafka_libs.display()))
        .args(["org.apache.kafka.tools.ProducerPerformance", "--topic", TOPIC, "--reporting-interval", "1000"])
        .args(["--bootstrap-server", &broker.address.to_string()])
        .args(["--num-records", "2000000000", "--throughput", &RECORDS_PER_S.to_string()])
        .arg("--payload-file")
        .arg(payload)
        .args(["--command-property", "acks=all"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
}

/// Reads the tool's reports, one a second: usage at the window's ends, and the records and seconds between.
fn watch(stdout: ChildStdout, broker: &Broker, job: &Job<'_>) -> Option<(Usage, Usage, u64, f64)> {
    let warm = SETTLE_S + if job.is_jvm() { job.timing().warm_jvm_s } else { job.timing().warm_s };
    let mut reports = BufReader::new(stdout).lines().map_while(Result::ok).filter_map(|line| records_sent(&line));
    reports.nth(usize::try_from(warm).unwrap_or(0))?;
    let (before, begin) = (broker.usage(), std::time::Instant::now());
    let mut records = 0;
    for _ in 0..job.timing().seconds {
        records += reports.next()?;
    }
    Some((before, broker.usage(), records, begin.elapsed().as_secs_f64()))
}

/// `250053 records sent, 50010.6 records/sec (47.69 MB/sec), 0.7 ms avg latency, 4.0 ms max latency.`
fn records_sent(line: &str) -> Option<u64> {
    line.split_once(" records sent, ")?.0.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_told_from_other_output() {
        let line = "250053 records sent, 50010.6 records/sec (47.69 MB/sec), 0.7 ms avg latency, 4.0 ms max latency.";
        assert_eq!(records_sent(line), Some(250_053));
        assert_eq!(records_sent("[2026-01-01] WARN nothing sent"), None);
    }
}

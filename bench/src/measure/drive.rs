//! The load generator as a process of its own on its core, and what the broker and the machine did while it measured.

use super::{Job, MeasureError};
use crate::machine::Ticks;
use crate::peers::{Broker, Peer, Usage};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

/// What the generator prints when its warm-up is over.
pub const BEGIN: &str = "begin";

/// Broker and machine at one time.
struct Sample {
    usage: Usage,
    ticks: Ticks,
}

impl Sample {
    fn now(broker: &Broker) -> Sample {
        Sample { usage: broker.usage(), ticks: Ticks::now() }
    }
}

impl Job<'_> {
    /// Runs `bench <words>` and returns what it measured, with what the broker used meanwhile.
    pub(super) fn drive(&self, broker: &Broker, words: &[String]) -> Result<Value, MeasureError> {
        let failed = |reason: String| MeasureError::Load { program: "the load generator".into(), reason };
        let me = std::env::current_exe().map_err(|e| failed(e.to_string()))?;
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "taskset", "-c", &self.context.load_cpu.to_string()])
            .arg(me)
            .args(words)
            .args(["--bootstrap", &broker.address.to_string(), "--json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| failed(format!("setpriv: {e}; is util-linux installed?")))?;
        let mut before = Sample::now(broker);
        let mut last = String::new();
        let stdout = child.stdout.take().ok_or_else(|| failed("no output".into()))?;
        for line in BufReader::new(stdout).lines() {
            let line = line.map_err(|e| failed(e.to_string()))?;
            if line == BEGIN {
                before = Sample::now(broker);
            } else {
                last = line;
            }
        }
        let after = Sample::now(broker);
        let mut complaint = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            let _ = stderr.read_to_string(&mut complaint);
        }
        let status = child.wait().map_err(|e| failed(e.to_string()))?;
        if !status.success() {
            return Err(failed(complaint.trim().to_owned()));
        }
        let figures = serde_json::from_str(&last).map_err(|e| failed(format!("{e} in '{last}'")))?;
        Ok(with_usage(figures, &before, &after))
    }

    /// `--protocol` and the window's flags, for a run that counts.
    pub(super) fn window(&self, warm_bytes_max: u64, bytes_max: u64) -> Vec<String> {
        let t = self.timing();
        let (warm, requests) = if self.is_jvm() { (t.warm_jvm_s, t.warm_jvm_requests) } else { (t.warm_s, 0) };
        flags(&[
            ("--seconds", t.seconds.to_string()),
            ("--warm-up", warm.to_string()),
            ("--warm-up-requests", requests.to_string()),
            ("--warm-up-max", t.warm_jvm_max_s.to_string()),
            ("--warm-up-bytes-max", warm_bytes_max.to_string()),
            ("--bytes-max", bytes_max.to_string()),
        ])
    }

    /// The flags of a run that writes so many bytes and measures nothing.
    pub(super) fn fill(&self, topic: &str, partitions: i32, batch: usize, bytes: u64) -> Vec<String> {
        let mut words = vec!["produce".to_owned()];
        words.extend(flags(&[
            ("--topic", topic.to_owned()),
            ("--partitions", partitions.to_string()),
            ("--connections", partitions.to_string()),
            ("--depth", "2".to_owned()),
            ("--batch", batch.to_string()),
            ("--record", "1000".to_owned()),
            ("--warm-up", "0".to_owned()),
            ("--seconds", "600".to_owned()),
            ("--bytes-max", bytes.to_string()),
        ]));
        words
    }

    /// Which protocol the generator speaks.
    pub(super) fn protocol(&self) -> [String; 2] {
        let name = if self.contender.peer == Peer::Nats { "nats" } else { "kafka" };
        ["--protocol".to_owned(), name.to_owned()]
    }
}

/// Flags and values as words.
pub(super) fn flags(pairs: &[(&str, String)]) -> Vec<String> {
    pairs.iter().flat_map(|(flag, value)| [(*flag).to_owned(), value.clone()]).collect()
}

fn with_usage(mut figures: Value, before: &Sample, after: &Sample) -> Value {
    let (busy, steal) = after.ticks.shares_since(&before.ticks);
    let seconds = figures["seconds"].as_f64().unwrap_or(f64::NAN);
    let cpu_s = after.usage.cpu_s - before.usage.cpu_s;
    figures["cpu_s"] = json!(cpu_s);
    figures["cpu_share"] = json!(cpu_s / seconds);
    figures["resident_mb"] = json!(after.usage.resident as f64 / 1e6);
    figures["machine_busy"] = json!(busy);
    figures["steal"] = json!(steal);
    figures
}

/// Lifts the figures of one side to the top, and relates the broker's CPU time to them.
pub(super) fn of_side(mut figures: Value, side: &str) -> Value {
    let mut inner = figures[side].take();
    let cpu_s = figures["cpu_s"].as_f64().unwrap_or(f64::NAN);
    let per = |key: &str, unit: f64| cpu_s / (inner[key].as_f64().unwrap_or(f64::NAN) / unit);
    figures["cpu_s_per_gb"] = json!(per("bytes", 1e9));
    figures["cpu_us_per_request"] = json!(per("requests", 1e6));
    if let (Some(out), Some(inner)) = (figures.as_object_mut(), inner.as_object_mut()) {
        out.remove(side);
        out.append(inner);
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_related_to_what_was_done() {
        let driven =
            json!({"cpu_s": 2.0, "seconds": 4.0, "writes": {"bytes": 8e9, "requests": 1_000_000, "p99_us": 7}});
        let figures = of_side(driven, "writes");
        assert_eq!(figures["cpu_s_per_gb"], 0.25);
        assert_eq!(figures["cpu_us_per_request"], 2.0);
        assert_eq!(figures["p99_us"], 7);
        assert!(figures.get("writes").is_none());
    }
}

//! The engine without broker and network, and fio with the same block and depth on the same core and file system.

use super::{Job, MeasureError};
use crate::disk::Fio;
use crate::peers::Peer;
use serde_json::{Value, json};
use std::process::Command;

pub(super) fn run(job: &Job<'_>, block: usize, depth: usize) -> Result<Value, MeasureError> {
    let (seconds, warm) = (job.timing().seconds, job.timing().warm_s);
    match job.contender.peer {
        Peer::Engine => engine(job, block, depth),
        Peer::Fio => {
            let fio = Fio { block, depth, ramp_s: warm, seconds };
            let mb_per_s = fio.mb_per_s(&job.context.dir, job.context.broker_cpu);
            let missing = || MeasureError::Load { program: "fio".into(), reason: "not installed, or it failed".into() };
            Ok(json!({"mb_per_s": mb_per_s.ok_or_else(missing)?, "seconds": seconds}))
        }
        Peer::Ringlog | Peer::Kafka | Peer::Nats => Err(MeasureError::Cannot(job.contender.name())),
    }
}

fn engine(job: &Job<'_>, block: usize, depth: usize) -> Result<Value, MeasureError> {
    let failed = |reason: String| MeasureError::Load { program: "bench append".into(), reason };
    let me = std::env::current_exe().map_err(|e| failed(e.to_string()))?;
    let output = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "taskset", "-c", &job.context.broker_cpu.to_string()])
        .arg(me)
        .args(["append", "--json", "--io", &job.context.tools.io])
        .args(["--block", &block.to_string(), "--depth", &depth.to_string()])
        .args(["--seconds", &job.timing().seconds.to_string(), "--warm-up", &job.timing().warm_s.to_string()])
        .arg("--dir")
        .arg(&job.context.dir)
        .output()
        .map_err(|e| failed(e.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    serde_json::from_slice(&output.stdout).map_err(|e| failed(e.to_string()))
}

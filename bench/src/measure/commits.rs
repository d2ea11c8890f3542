//! OffsetCommit from many connections, and the coordinator that must be there first.

use super::drive::{flags, of_side};
use super::{Job, MeasureError};
use crate::frames::{self, AnswerError};
use crate::load::{Sends, ask};
use crate::peers::Broker;
use serde_json::Value;
use std::time::{Duration, Instant};

const TOPIC: &str = "bench";

/// How long a broker may take to make and load `__consumer_offsets`, in seconds.
const COORDINATES_WITHIN_S: u64 = 60;

pub(super) fn run(job: &Job<'_>, connections: usize, depth: usize) -> Result<Value, MeasureError> {
    let broker = job.start()?;
    job.topic(&broker, TOPIC, 1, None)?;
    for conn in 0..connections {
        wait_for_coordinator(&broker, &Sends::group(conn), TOPIC)?;
    }
    let mut words = vec!["commit".to_owned()];
    words.extend(flags(&[
        ("--topic", TOPIC.to_owned()),
        ("--connections", connections.to_string()),
        ("--depth", depth.to_string()),
    ]));
    words.extend(job.window(u64::MAX, u64::MAX));
    Ok(of_side(job.drive(&broker, &words)?, "writes"))
}

/// Until a group has a coordinator that takes its offsets.
pub(super) fn wait_for_coordinator(broker: &Broker, group: &str, topic: &str) -> Result<(), MeasureError> {
    let (find, commit) = (frames::find_coordinator(group)?, frames::commit(group, topic, 0, 0)?);
    let begin = Instant::now();
    loop {
        let failed = |error| MeasureError::Ask { what: format!("the coordinator of group '{group}'"), error };
        let found = frames::coordinator_found(&ask(broker.address, &find).map_err(failed)?);
        let served = match found {
            Ok(()) => frames::committed(&ask(broker.address, &commit).map_err(failed)?),
            Err(error) => Err(error),
        };
        match served {
            Ok(()) => return Ok(()),
            // COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR: soon.
            Err(AnswerError::Code(14..=16)) => {}
            Err(error) => return Err(MeasureError::Refused { what: format!("a commit of group '{group}'"), error }),
        }
        if begin.elapsed() > Duration::from_secs(COORDINATES_WITHIN_S) {
            let what = format!("a coordinator for group '{group}'");
            return Err(MeasureError::Late { what, seconds: COORDINATES_WITHIN_S });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

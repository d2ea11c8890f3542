//! DescribeLogDirs, key 35, versions 1 to 5.
//!
//! Behaviour: every directory of `log.dirs` with what all shards have there: bytes of a replica's batches, and for one that is
//! being moved a second entry in its new directory, future, with the offsets that it is behind. Topics null asks for all
//! partitions, a list for those alone; a directory without any of them is listed all the same. A directory that cannot be used is
//! KAFKA_STORAGE_ERROR, without replicas. From version 4 on the bytes of the volume, all and usable; from version 5 on
//! whether new partitions keep away (`cordoned.log.dirs`).
//!
//! KIPs: 113, 827, 1066. Deviations: topics and partitions come in order. With `core.endpoints` each core is a broker and lists
//! what it has; clients ask them all.

use crate::log_dirs::{DirGather, DirId, LogDir, Replica, Volume, Wanted};
use crate::request::{Refusal, Request};
use crate::{Broker, Store};
use protocol::ErrorCode;
use protocol::messages::describe_log_dirs::{
    DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeLogDirsResult,
    DescribeLogDirsTopic,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Asks all shards.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    let body = request.body(DescribeLogDirsRequest::decode)?;
    let wanted: Wanted = body.topics.map(|topics| {
        let mut wanted: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
        for topic in topics {
            wanted.entry(topic.topic.to_string()).or_default().extend(topic.partitions);
        }
        Arc::new(wanted)
    });
    broker.gather_dirs(request.origin, &request.header, wanted);
    Ok(())
}

/// Answers once every shard and the system have said what they know.
pub(crate) fn finish<S: Store>(broker: &mut Broker<S>, mut gather: DirGather) {
    let order = |replica: &Replica| (replica.dir, Arc::clone(&replica.topic), replica.partition);
    gather.replicas.sort_by_cached_key(order);
    let settings = Arc::clone(&broker.settings);
    let volumes = gather.volumes.iter().copied().chain(std::iter::repeat(None));
    let results = settings.log_dirs.iter().zip(volumes).enumerate().map(|(at, (dir, volume))| {
        let here = gather.replicas.iter().filter(|replica| usize::from(replica.dir.0) == at);
        result(dir, broker.is_cordoned(DirId(at as u16)), volume.filter(|_| !dir.is_offline), here)
    });
    let response = DescribeLogDirsResponse { results: results.collect(), ..DescribeLogDirsResponse::default() };
    broker.respond(gather.origin, &gather.header, |writer, version| response.encode(writer, version));
}

fn result<'a>(
    dir: &'a LogDir,
    is_cordoned: bool,
    volume: Option<Volume>,
    replicas: impl Iterator<Item = &'a Replica>,
) -> DescribeLogDirsResult<'a> {
    let mut result =
        DescribeLogDirsResult { log_dir: (&*dir.path).into(), is_cordoned, ..DescribeLogDirsResult::default() };
    let Some(volume) = volume else {
        result.error_code = ErrorCode::KafkaStorageError.code();
        return result;
    };
    let bytes = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    (result.total_bytes, result.usable_bytes) = (bytes(volume.total_bytes), bytes(volume.usable_bytes));
    for replica in replicas {
        if result.topics.last().is_none_or(|topic: &DescribeLogDirsTopic<'_>| *topic.name != *replica.topic) {
            let name = (&*replica.topic).into();
            result.topics.push(DescribeLogDirsTopic { name, partitions: Vec::new() });
        }
        let partition = DescribeLogDirsPartition {
            partition_index: replica.partition,
            partition_size: bytes(replica.size_bytes),
            offset_lag: replica.offset_lag,
            is_future_key: replica.is_future,
        };
        result.topics.last_mut().into_iter().for_each(|topic| topic.partitions.push(partition.clone()));
    }
    result
}

//! AlterReplicaLogDirs, key 34, versions 1 and 2.
//!
//! Behaviour: begins to move each named replica to another log directory of this broker, and answers at once; DescribeLogDirs
//! shows how far the copy has come. A replica that lies there already is fine, and a move of it that was under way is given up;
//! one that is on its way elsewhere goes here instead. LOG_DIR_NOT_FOUND for a path that is none of `log.dirs`,
//! KAFKA_STORAGE_ERROR for a directory or a replica that cannot be used, and while any directory cannot, INVALID_TOPIC_EXCEPTION
//! for a name whose copy could have no folder, INVALID_REPLICA_ASSIGNMENT for a cordoned directory. For a partition that does not exist
//! the directory is remembered until it does, or the broker stops; the answer is UNKNOWN_TOPIC_OR_PARTITION all the same.
//!
//! KIPs: 113, 1066. Deviations: at most 10,000 such wishes are remembered. Of two directories for one replica in one request the last
//! one counts, and both are answered.

use crate::front::gather::{Gather, Kind, Parts};
use crate::front::message::{Ask, Tell, Ticket};
use crate::log_dirs::{DirId, DirWish};
use crate::partition::PartitionKey;
use crate::request::{Refusal, Request};
use crate::{Broker, Store};
use protocol::messages::alter_replica_log_dirs::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult, AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
};
use protocol::{ErrorCode, Uuid};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of a folder's name.
const FOLDER_BYTES_MAX: usize = 255;
/// What a copy's folder has behind the partition's: a dot, 32 digits and `-future`.
const FUTURE_BYTES: usize = 40;

/// Asks the owners of the partitions to move them.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    let body = request.body(AlterReplicaLogDirsRequest::decode)?;
    let mut parts = Parts::new();
    for asked in &body.dirs {
        let dir = broker.dir_for_moves(&asked.path);
        for topic in &asked.topics {
            let name: Arc<str> = Arc::from(&*topic.name);
            parts.topic(Arc::clone(&name), Uuid::ZERO);
            let found = broker.topic_by_name(&name);
            for &index in &topic.partitions {
                let place = check_name(&name, index).and(dir).and_then(|dir| {
                    let place = found.as_ref().map_err(|code| *code).and_then(|topic| broker.locate(topic, index));
                    if place == Err(ErrorCode::UnknownTopicOrPartition) {
                        broker.spread_wish(&DirWish { topic: Arc::clone(&name), partition: index, dir });
                    }
                    Ok((place?, dir))
                });
                match place {
                    Err(code) => parts.told(index, Tell::Moving(Err(code))),
                    Ok(((owner, key), dir)) => parts.ask(owner, key, Ask::Move(dir)),
                }
            }
        }
    }
    broker.gather(request.origin, &request.header, None, parts, Kind::Moves);
    Ok(())
}

fn check_name(topic: &str, partition: i32) -> Result<(), ErrorCode> {
    let folder = topic.len() + 1 + partition.to_string().len();
    if folder + FUTURE_BYTES > FOLDER_BYTES_MAX { Err(ErrorCode::InvalidTopicException) } else { Ok(()) }
}

impl<S: Store> Broker<S> {
    /// The directory at `path`, if replicas may be moved there.
    fn dir_for_moves(&self, path: &str) -> Result<DirId, ErrorCode> {
        let dir = self.dir_at(path).ok_or(ErrorCode::LogDirNotFound)?;
        if self.settings.log_dirs[usize::from(dir.0)].is_offline {
            return Err(ErrorCode::KafkaStorageError);
        }
        if self.is_cordoned(dir) { Err(ErrorCode::InvalidReplicaAssignment) } else { Ok(dir) }
    }

    /// Begins to move a partition here.
    pub(crate) fn move_replica(&mut self, ticket: Ticket, key: PartitionKey, to: DirId) {
        let told = match self.partitions.get(&key) {
            None => Err(ErrorCode::UnknownTopicOrPartition),
            // A copy made by an earlier start may lie in the directory that cannot be read: there must not be two.
            Some(_) if self.settings.log_dirs.iter().any(|dir| dir.is_offline) => Err(ErrorCode::KafkaStorageError),
            Some(partition) => partition.check_online().map(|()| partition.log),
        };
        let told = told.and_then(|log| self.store.move_log(log, to).map_err(|_| ErrorCode::KafkaStorageError));
        self.tell(ticket, Tell::Moving(told));
    }
}

/// Answers once every part is in.
pub(crate) fn finish<S: Store>(broker: &mut Broker<S>, gather: &Gather<S::Chunk>) {
    let mut slots = gather.slots.iter();
    let mut by_topic: BTreeMap<&str, Vec<AlterReplicaLogDirPartitionResult>> = BTreeMap::new();
    for topic in &gather.topics {
        let partitions = by_topic.entry(&topic.name).or_default();
        for (&partition_index, slot) in topic.partitions.iter().zip(&mut slots) {
            let code = match slot {
                Some(Tell::Moving(told)) => told.err().unwrap_or(ErrorCode::None),
                _ => ErrorCode::UnknownServerError,
            };
            partitions.push(AlterReplicaLogDirPartitionResult { partition_index, error_code: code.code() });
        }
    }
    let results = by_topic.into_iter();
    let results =
        results.map(|(name, partitions)| AlterReplicaLogDirTopicResult { topic_name: name.into(), partitions });
    let response = AlterReplicaLogDirsResponse { results: results.collect(), ..AlterReplicaLogDirsResponse::default() };
    broker.respond(gather.origin, &gather.header, |writer, version| response.encode(writer, version));
}

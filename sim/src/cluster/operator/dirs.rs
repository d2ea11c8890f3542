//! Logs that are moved between data folders, and what DescribeLogDirs must say of them: each log lies in one folder, its copy in
//! another, and a move that was begun arrives.

use super::{Deed, Outcome};
use crate::cluster::process::DATA;
use crate::cluster::remote::Ctx;
use crate::cluster::truth::{Part, Standing, Truth};
use crate::cluster::violation::Violation;
use crate::cluster::wire::{Answer, Link};
use protocol::messages::alter_replica_log_dirs::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic, AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse,
};
use protocol::messages::describe_log_dirs::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use protocol::{ApiKey, ErrorCode};
use std::collections::BTreeMap;

/// Moves that were taken on, with the folder and the start of the node in which that was.
#[derive(Debug, Default)]
pub(super) struct Moves(BTreeMap<Part, (usize, u64)>);

/// A look at all folders.
#[derive(Clone, Debug)]
pub(super) struct DirsLook {
    /// Partitions that are there when it is asked, and topics that are not.
    there: Vec<Part>,
    gone: Vec<usize>,
    /// It is repeated until no log is on its way any more.
    is_last: bool,
}

/// Where DescribeLogDirs says that a log lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lies {
    folder: usize,
    is_future: bool,
    lag: i64,
}

pub(super) fn ask_move(ctx: &Ctx<'_>, link: &mut Link, part: Part, to: usize) {
    let name = ctx.truth.topics[part.topic].name.clone().into();
    let topics = vec![AlterReplicaLogDirTopic { name, partitions: vec![part.index] }];
    let request = AlterReplicaLogDirsRequest { dirs: vec![AlterReplicaLogDir { path: DATA[to].into(), topics }] };
    link.ask(ctx.now, ApiKey::AlterReplicaLogDirs, 2, |writer| request.encode(writer, 2));
}

impl Moves {
    pub(super) fn answered(
        &mut self,
        who: &str,
        ctx: &Ctx<'_>,
        answer: &Answer,
        part: Part,
        to: usize,
    ) -> Result<Outcome, Violation> {
        const WHAT: &str = "AlterReplicaLogDirs";
        let code = answer.body(who, WHAT, |reader, version| {
            let response = AlterReplicaLogDirsResponse::decode(reader, version)?;
            let part = response.results.first().and_then(|topic| topic.partitions.first());
            Ok(part.map_or(-1, |part| part.error_code))
        })?;
        match ErrorCode::try_from(code) {
            Ok(ErrorCode::None) => {
                self.0.insert(part, (to, ctx.life));
                Ok(Outcome::Done)
            }
            // It cannot be used any more, which is all that can be asked of it.
            Ok(ErrorCode::KafkaStorageError) if ctx.truth.look(part).is_damaged => Ok(Outcome::Done),
            _ => Ok(Outcome::Again(WHAT, code)),
        }
    }

    pub(super) fn seen(
        &mut self,
        who: &str,
        ctx: &Ctx<'_>,
        answer: &Answer,
        look: &DirsLook,
    ) -> Result<Outcome, Violation> {
        const WHAT: &str = "DescribeLogDirs";
        let (codes, found) = answer.body(who, WHAT, |reader, version| {
            let response = DescribeLogDirsResponse::decode(reader, version)?;
            let codes: Vec<i16> =
                response.results.iter().map(|dir| dir.error_code).chain([response.error_code]).collect();
            let mut found: BTreeMap<(String, i32), Vec<Lies>> = BTreeMap::new();
            for dir in &response.results {
                let folder = DATA.iter().position(|path| *path == &*dir.log_dir).unwrap_or(DATA.len());
                for (topic, log) in dir.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |p| (topic, p)))
                {
                    let lies = Lies { folder, is_future: log.is_future_key, lag: log.offset_lag };
                    found.entry((topic.name.to_string(), log.partition_index)).or_default().push(lies);
                }
            }
            Ok((codes, found))
        })?;
        if let Some(code) = codes.into_iter().find(|code| *code != 0) {
            return Ok(Outcome::Again(WHAT, code));
        }
        look.check_gone(ctx.truth, &found)?;
        for part in look.there.iter().filter(|part| ctx.truth.topics[part.topic].standing == Standing::Exists) {
            let key = (ctx.truth.topics[part.topic].name.clone(), part.index);
            self.check_place(ctx, *part, found.get(&key).map_or(&[], Vec::as_slice))?;
        }
        self.0.retain(|part, _| ctx.truth.topics[part.topic].standing == Standing::Exists);
        // One that is sent elsewhere on its way has no copy for a moment.
        let on_their_way = found.values().flatten().any(|lies| lies.is_future) || !self.0.is_empty();
        if look.is_last && on_their_way { Ok(Outcome::Next(Deed::Dirs(DirsLook::last()))) } else { Ok(Outcome::Done) }
    }

    fn check_place(&mut self, ctx: &Ctx<'_>, part: Part, lies: &[Lies]) -> Result<(), Violation> {
        // On a disk in trouble it may have no folder yet.
        if ctx.truth.look(part).is_damaged || (lies.is_empty() && ctx.is_troubled) {
            self.0.remove(&part);
            return Ok(());
        }
        let wrong = |what: String| Violation::Folder { at: ctx.truth.place(part), what };
        let futures: Vec<usize> = lies.iter().filter(|lies| lies.is_future).map(|lies| lies.folder).collect();
        let here: Vec<usize> = lies.iter().filter(|lies| !lies.is_future).map(|lies| lies.folder).collect();
        let is_placed = here.len() == 1 && futures.len() <= 1 && !futures.contains(&here[0]);
        if !is_placed || lies.iter().any(|lies| lies.lag < 0 || lies.folder == DATA.len()) {
            return Err(wrong(format!("it lies in {lies:?}")));
        }
        if !futures.is_empty() {
            marks::reached!("sim: a log was seen on its way to another folder");
            return Ok(());
        }
        // What a start found of a copy, or what a disk in trouble made of it, is not promised.
        let is_owed = |(to, life): &(usize, u64)| *life == ctx.life && !ctx.is_troubled && here[0] != *to;
        if self.0.get(&part).is_some_and(|owed| !is_owed(owed)) {
            self.0.remove(&part);
        }
        Ok(())
    }
}

impl DirsLook {
    pub(super) fn new(truth: &Truth) -> DirsLook {
        let all = truth.topics.iter().enumerate();
        let gone = all.filter(|(_, topic)| topic.standing == Standing::Deleted).map(|(at, _)| at).collect();
        DirsLook { there: truth.parts(), gone, is_last: false }
    }

    /// The last one.
    pub(super) fn last() -> DirsLook {
        DirsLook { there: Vec::new(), gone: Vec::new(), is_last: true }
    }

    pub(super) fn ask(&mut self, ctx: &Ctx<'_>, link: &mut Link) {
        *self = DirsLook { is_last: self.is_last, ..DirsLook::new(ctx.truth) };
        let request = DescribeLogDirsRequest { topics: None };
        link.ask(ctx.now, ApiKey::DescribeLogDirs, 4, |writer| request.encode(writer, 4));
    }

    /// Nothing lies anywhere that was deleted before somebody asked.
    fn check_gone(&self, truth: &Truth, found: &BTreeMap<(String, i32), Vec<Lies>>) -> Result<(), Violation> {
        let gone = self.gone.iter().map(|topic| &truth.topics[*topic].name);
        for name in gone {
            if let Some(((_, index), lies)) = found.iter().find(|((found, _), _)| found == name) {
                let what = format!("partition {index} lies in {lies:?}");
                return Err(Violation::TopicBack(name.clone(), what));
            }
        }
        Ok(())
    }
}

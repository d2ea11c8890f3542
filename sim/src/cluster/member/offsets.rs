//! Committed offsets of a group: where a member begins, how far it got, and commits that come too late.

use super::{Member, State};
use crate::cluster::remote::Ctx;
use crate::cluster::truth::Part;
use crate::cluster::violation::Violation;
use crate::cluster::wire::Answer;
use protocol::ApiKey;
use protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
};
use protocol::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestTopic, OffsetFetchResponse};

impl Member {
    pub(super) fn ask_offsets(&mut self, ctx: &Ctx<'_>) {
        let topic = OffsetFetchRequestTopic {
            name: ctx.truth.topics[self.topic].name.clone().into(),
            partition_indexes: self.share.keys().copied().collect(),
        };
        let request =
            OffsetFetchRequest { group_id: self.group.clone().into(), topics: Some(vec![topic]), ..Default::default() };
        if let Some(link) = self.remote.link() {
            link.ask(ctx.now, ApiKey::OffsetFetch, 5, |writer| request.encode(writer, 5));
        }
    }

    pub(super) fn begins(&mut self, ctx: &mut Ctx<'_>, answer: &Answer) -> Result<(), Violation> {
        let offsets = answer.body(&self.remote.who, "OffsetFetch", |reader, version| {
            let response = OffsetFetchResponse::decode(reader, version)?;
            let parts = response.topics.iter().flat_map(|topic| &topic.partitions);
            let parts = parts.map(|part| (part.partition_index, part.error_code, part.committed_offset));
            let whole = response.error_code;
            Ok((whole, parts.collect::<Vec<_>>()))
        })?;
        if offsets.0 != 0 {
            return self.refused(ctx, "OffsetFetch", offsets.0);
        }
        for (index, code, offset) in offsets.1 {
            if code != 0 {
                return self.refused(ctx, "OffsetFetch", code);
            }
            let part = Part { topic: self.topic, index };
            let known = self.known.1.get(&index).copied().unwrap_or(-1);
            let place = ctx.truth.place(part);
            ctx.truth.group(&self.group).told(&self.group, part, place, offset, known)?;
            let start = ctx.truth.look(part).start;
            self.share.insert(index, (offset.max(start).max(0), offset));
        }
        self.state = State::Working;
        Ok(())
    }

    pub(super) fn committed(&mut self, ctx: &mut Ctx<'_>, answer: &Answer) -> Result<(), Violation> {
        let codes = answer.body(&self.remote.who, "OffsetCommit", |reader, version| {
            let response = OffsetCommitResponse::decode(reader, version)?;
            let parts = response.topics.iter().flat_map(|topic| &topic.partitions);
            Ok(parts.map(|part| (part.partition_index, part.error_code)).collect::<Vec<_>>())
        })?;
        let (topic, current) = (self.topic, self.known.0);
        for (index, code) in codes {
            if self.is_late && self.is_rightly_late(code) {
                return Ok(());
            }
            if code != 0 {
                return self.refused(ctx, "OffsetCommit", code);
            }
            // What was to pass to another member and came back before it did may be committed by who had it all the time.
            let part = Part { topic, index };
            if self.is_late && self.modern.is_some() && !ctx.truth.group(&self.group).was_passed_on(part, &self.id) {
                return Ok(());
            }
            let is_old = self.generation < current && self.modern.is_none();
            if is_old || self.is_late {
                let (group, old) = (self.group.clone(), self.generation - i32::from(self.is_late));
                return Err(Violation::Zombie { group, old, current });
            }
            let offset = self.committing.get(&index).copied().unwrap_or(-1);
            ctx.truth.group(&self.group).committed(Part { topic, index }, offset);
            if let Some(share) = self.share.get_mut(&index) {
                share.1 = offset;
            }
        }
        Ok(())
    }

    pub(super) fn ask_commit(&mut self, ctx: &mut Ctx<'_>) {
        let ahead = self.share.iter().filter(|(_, (next, committed))| next > committed);
        self.committing = ahead.map(|(index, (next, _))| (*index, *next)).collect();
        self.is_late = false;
        let topic = self.topic;
        let group = ctx.truth.group(&self.group);
        self.committing.iter().for_each(|(index, offset)| group.commits(Part { topic, index: *index }, *offset));
        self.send_commit(ctx, self.generation);
    }

    pub(super) fn send_commit(&mut self, ctx: &Ctx<'_>, generation: i32) {
        let partitions = self.committing.iter().map(|(index, offset)| OffsetCommitRequestPartition {
            partition_index: *index,
            committed_offset: *offset,
            committed_leader_epoch: -1,
            committed_metadata: None,
            ..Default::default()
        });
        let topics = vec![OffsetCommitRequestTopic {
            name: ctx.truth.topics[self.topic].name.clone().into(),
            partitions: partitions.collect(),
            ..Default::default()
        }];
        let request = OffsetCommitRequest {
            group_id: self.group.clone().into(),
            generation_id_or_member_epoch: generation,
            member_id: self.id.clone().into(),
            topics,
            ..Default::default()
        };
        let version = match self.modern {
            Some(_) => 9,
            None if self.is_old => 1,
            None => 7,
        };
        if let Some(link) = self.remote.link() {
            link.ask(ctx.now, ApiKey::OffsetCommit, version, |writer| request.encode(writer, version));
        }
    }

    /// A commit of the generation before this one, as if it had been under way for long.
    pub(super) fn commit_late(&mut self, ctx: &Ctx<'_>) {
        let late = self.share.iter().map(|(index, (_, committed))| (*index, (*committed).max(0)));
        self.committing = late.collect();
        self.is_late = true;
        self.send_commit(ctx, self.generation - 1);
    }
}

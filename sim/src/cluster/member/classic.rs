//! How a member of the classic protocol joins a generation, and what its leader gives to whom.

use super::embedded::{self, assigned};
use super::{Member, SESSION_MS, State};
use crate::cluster::remote::Ctx;
use crate::cluster::truth::Part;
use crate::cluster::violation::Violation;
use crate::cluster::wire::Answer;
use protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse};
use protocol::{ApiKey, ErrorCode};

impl Member {
    /// In the classic protocol whoever joins again gives up what it had first.
    pub(super) fn rejoins(&mut self, ctx: &mut Ctx<'_>) {
        self.state = State::Outside;
        if self.mixes {
            ctx.truth.group(&self.group).lets_go(&self.id);
        }
    }

    pub(super) fn ask_join(&mut self, ctx: &Ctx<'_>) {
        let metadata = embedded::subscription(&ctx.truth.topics[self.topic].name);
        let protocols = vec![JoinGroupRequestProtocol { name: "range".into(), metadata: metadata.into() }];
        let request = JoinGroupRequest {
            group_id: self.group.clone().into(),
            session_timeout_ms: SESSION_MS,
            rebalance_timeout_ms: 2 * SESSION_MS,
            member_id: self.id.clone().into(),
            protocol_type: "consumer".into(),
            protocols,
            ..Default::default()
        };
        if let Some(link) = self.remote.link() {
            let version = if self.is_old { 1 } else { 4 };
            link.ask(ctx.now, ApiKey::JoinGroup, version, |writer| request.encode(writer, version));
        }
    }

    pub(super) fn ask_sync(&mut self, ctx: &Ctx<'_>, members: Option<&[String]>) {
        self.sent = ctx.now;
        let members = members.unwrap_or_default();
        let (topic, partitions) = (&ctx.truth.topics[self.topic].name, ctx.truth.topics[self.topic].partitions.len());
        let assignments = members.iter().enumerate().map(|(at, member)| {
            let share = (0..partitions).filter(|index| index % members.len() == at).map(|index| index as i32).collect();
            let assignment = embedded::assignment(topic, share).into();
            SyncGroupRequestAssignment { member_id: member.clone().into(), assignment }
        });
        let request = SyncGroupRequest {
            group_id: self.group.clone().into(),
            generation_id: self.generation,
            member_id: self.id.clone().into(),
            assignments: assignments.collect(),
            ..Default::default()
        };
        if let Some(link) = self.remote.link() {
            link.ask(ctx.now, ApiKey::SyncGroup, 2, |writer| request.encode(writer, 2));
        }
    }

    pub(super) fn joined(&mut self, ctx: &mut Ctx<'_>, answer: &Answer) -> Result<(), Violation> {
        let (code, generation, id, leads) = answer.body(&self.remote.who, "JoinGroup", |reader, version| {
            let response = JoinGroupResponse::decode(reader, version)?;
            let members: Vec<String> = response.members.iter().map(|member| member.member_id.to_string()).collect();
            let leads = (response.leader == response.member_id).then_some(members);
            Ok((response.error_code, response.generation_id, response.member_id.to_string(), leads))
        })?;
        if code == ErrorCode::MemberIdRequired.code() {
            self.id = id;
            self.next_at = ctx.now;
            return Ok(());
        }
        if code != 0 {
            return self.refused(ctx, "JoinGroup", code);
        }
        ctx.truth.group(&self.group).joined(&self.group, generation, self.known.0)?;
        (self.id, self.generation, self.state) = (id, generation, State::Joined { leads });
        self.next_at = ctx.now;
        Ok(())
    }

    pub(super) fn synced(&mut self, ctx: &mut Ctx<'_>, answer: &Answer) -> Result<(), Violation> {
        let (code, share) = answer.body(&self.remote.who, "SyncGroup", |reader, version| {
            let response = SyncGroupResponse::decode(reader, version)?;
            Ok((response.error_code, assigned(&response.assignment)?))
        })?;
        if code != 0 {
            return self.refused(ctx, "SyncGroup", code);
        }
        let parts = embedded::share(self.topic, &share);
        let known = ctx.truth.topics[self.topic].partitions.len() as i32;
        self.share = parts.iter().filter(|part| part.index < known).map(|part| (part.index, (0, -1))).collect();
        self.state = if self.share.is_empty() { State::Working } else { State::Beginning };
        if self.mixes {
            return self.holds(ctx, &parts);
        }
        ctx.truth.group(&self.group).owns(&self.group, self.generation, &self.id, &parts)
    }

    /// A heartbeat was taken: it has what it has for another session.
    pub(super) fn stays(&mut self, ctx: &mut Ctx<'_>) -> Result<(), Violation> {
        if !self.mixes || !matches!(self.state, State::Working | State::Beginning) {
            return Ok(());
        }
        let parts: Vec<Part> = self.share.keys().map(|index| Part { topic: self.topic, index: *index }).collect();
        self.holds(ctx, &parts)
    }

    fn holds(&mut self, ctx: &mut Ctx<'_>, parts: &[Part]) -> Result<(), Violation> {
        let until = self.sent.plus_millis(SESSION_MS as u64);
        ctx.truth.group(&self.group).holds(&self.group, &self.id, parts, until, ctx.now)
    }
}

//! ConsumerGroupHeartbeat: the one request of the new protocol. It joins, tells what changed, acknowledges what was given up, stays
//! alive and leaves.

use super::member::{Facts, LEFT_FOR_NOW, Progress, sorted_names};
use super::membership::{Place, newer};
use super::partitions::Partitions;
use super::pattern::Pattern;
use super::state::{ConsumerGroup, Refused, Turn};
use super::store::Held;
use crate::Now;
use crate::front::Patience;
use crate::group::coordinator::Coordinator;
use crate::group::effects::{Effects, Reply};
use crate::group::hold::Beat;
use crate::group::ids::{GroupId, InstanceId, MemberId, Ticket};
use crate::group::limits::{AWAIT_MS, PATTERNS_MAX, RECORD_TEXT_BYTES_MAX, SUBSCRIPTION_BYTES_MAX};
use crate::group::records::Record;
use crate::group::state::Group;
use protocol::ErrorCode;
use std::sync::Arc;

/// Epoch of a member that joins.
pub(super) const JOINS: i32 = 0;
/// Epoch of a member that leaves.
pub(super) const LEAVES: i32 = -1;

/// A ConsumerGroupHeartbeat request. `None` stands for "as before".
#[derive(Clone, Debug)]
pub(crate) struct ConsumerHeartbeat {
    /// Version of the request.
    pub(crate) version: i16,
    /// What the client does while it is not answered.
    pub(crate) patience: Patience,
    /// From the request's header.
    pub(crate) client_id: Arc<str>,
    /// The peer's address, as Java prints it.
    pub(crate) client_host: Arc<str>,
    /// Which group.
    pub(crate) group: GroupId,
    /// Chosen by the member; in version 0 empty for one that wants to be told.
    pub(crate) member: MemberId,
    /// The epoch that it was told; 0 joins, -1 leaves, -2 leaves for a while.
    pub(crate) epoch: i32,
    /// Of a static member.
    pub(crate) instance: Option<InstanceId>,
    /// Where it is.
    pub(crate) rack: Option<Arc<str>>,
    /// Longest wait for it to give partitions up; -1 as before.
    pub(crate) rebalance_timeout_ms: i32,
    /// Topics it subscribes to by name.
    pub(crate) names: Option<Vec<Arc<str>>>,
    /// Topics it subscribes to by pattern.
    pub(crate) regex: Option<Arc<str>>,
    /// The assignor that it wants.
    pub(crate) assignor: Option<Arc<str>>,
    /// What it uses.
    pub(crate) owned: Option<Partitions>,
}

/// The answer to ConsumerGroupHeartbeat if all is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeartbeatReply {
    /// Who is answered.
    pub(crate) member: MemberId,
    /// Its epoch from now on.
    pub(crate) epoch: i32,
    /// When it is to be heard of again.
    pub(crate) interval_ms: i32,
    /// What it may use from now on, where that changed or it asked.
    pub(crate) assignment: Option<Partitions>,
}

impl ConsumerHeartbeat {
    fn check(&self, effects: &Effects) -> Result<(), Refused> {
        self.check_texts()?;
        let member_epoch = self.epoch;
        let invalid = |message: String| Err(Refused::new(ErrorCode::InvalidRequest, message));
        match member_epoch {
            JOINS => self.check_join()?,
            LEFT_FOR_NOW if self.instance.is_none() => {
                return invalid("epoch -2 is for static members: an instance id is needed".to_owned());
            }
            LEFT_FOR_NOW | LEAVES => {}
            1.. => {}
            other => {
                return invalid(format!("the member epoch is {other}; -2, -1, 0 and positive ones have a meaning"));
            }
        }
        let settings = &effects.settings.consumer;
        if let Some(name) = &self.assignor
            && !settings.assignors.iter().any(|known| known.name() == &**name)
        {
            let message = format!("there is no assignor {name}; there are {}", settings.assignor_names());
            return Err(Refused::new(ErrorCode::UnsupportedAssignor, message));
        }
        match self.regex.as_deref().filter(|regex| !regex.is_empty()).map(Pattern::new) {
            Some(Err(bad)) => Err(Refused::new(ErrorCode::InvalidRegularExpression, bad.to_string())),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    fn check_texts(&self) -> Result<(), Refused> {
        let invalid = |message: String| Err(Refused::new(ErrorCode::InvalidRequest, message));
        let is_unnamed = self.member.as_str().is_empty();
        if self.group.as_str().trim().is_empty() {
            return invalid("the group id is empty".to_owned());
        }
        if is_unnamed && (self.version > 0 || self.epoch != JOINS) {
            return invalid("the member id is empty; a member chooses one and keeps it".to_owned());
        }
        for (what, text) in
            [("instance", self.instance.as_ref().map(InstanceId::as_str)), ("rack", self.rack.as_deref())]
        {
            if text.is_some_and(|text| text.trim().is_empty()) {
                return invalid(format!("the {what} id is empty; leave it out instead"));
            }
        }
        let texts = [
            self.group.as_str(),
            self.member.as_str(),
            &self.client_id,
            self.instance.as_ref().map_or("", InstanceId::as_str),
            self.rack.as_deref().unwrap_or_default(),
        ];
        if let Some(long) = texts.iter().map(|text| text.len()).find(|len| *len > RECORD_TEXT_BYTES_MAX) {
            return invalid(format!("an id has {long} bytes; at most {RECORD_TEXT_BYTES_MAX} are taken"));
        }
        let names = self.names.iter().flatten().map(|name| name.len() + 4).sum::<usize>();
        if names > SUBSCRIPTION_BYTES_MAX {
            return invalid(format!(
                "the subscription has {names} bytes of topic names; at most {SUBSCRIPTION_BYTES_MAX} are taken"
            ));
        }
        Ok(())
    }

    fn check_join(&self) -> Result<(), Refused> {
        let invalid = |message: &str| Err(Refused::new(ErrorCode::InvalidRequest, message));
        if self.rebalance_timeout_ms == -1 {
            invalid("a member that joins must tell its rebalance timeout")
        } else if self.owned.as_ref().is_none_or(|owned| !owned.is_empty()) {
            invalid("a member that joins must tell that it uses no partitions: the list must be there and empty")
        } else if self.names.is_none() && self.regex.is_none() {
            invalid("a member that joins must subscribe: to topics by name, by a regular expression, or both")
        } else {
            Ok(())
        }
    }

    /// What the member says about itself now, if before it said this.
    fn facts(&self, before: Option<&Facts>) -> Facts {
        let unknown = Facts::unknown();
        let before = before.unwrap_or(&unknown);
        let keep = |said: &Arc<str>, before: &Arc<str>| if said == before { before.clone() } else { said.clone() };
        Facts {
            instance: self.instance.clone().or_else(|| before.instance.clone()),
            rack: newer(self.rack.as_deref(), &before.rack),
            client_id: keep(&self.client_id, &before.client_id),
            client_host: keep(&self.client_host, &before.client_host),
            names: match &self.names {
                Some(names) => sorted_names(names.iter().map(|name| &**name)),
                None => before.names.clone(),
            },
            regex: newer(self.regex.as_deref(), &before.regex),
            rebalance_timeout_ms: match self.rebalance_timeout_ms {
                -1 => before.rebalance_timeout_ms,
                ms => ms,
            },
            assignor: newer(self.assignor.as_deref(), &before.assignor),
            classic: None,
        }
    }

    /// Who sent it and nothing that it told.
    fn bare(&self) -> ConsumerHeartbeat {
        let (names, regex, owned, assignor, rack) = (None, None, None, None, None);
        let (group, member, instance) = (self.group.clone(), self.member.clone(), self.instance.clone());
        let (client_id, client_host) = (self.client_id.clone(), self.client_host.clone());
        ConsumerHeartbeat {
            group,
            member,
            instance,
            client_id,
            client_host,
            names,
            regex,
            owned,
            assignor,
            rack,
            ..*self
        }
    }

    /// Whether it tells everything, so that it is to be told everything.
    fn is_full(&self) -> bool {
        let subscribes = self.names.is_some() || self.regex.is_some();
        self.epoch == JOINS || (self.rebalance_timeout_ms != -1 && subscribes && self.owned.is_some())
    }
}

impl Coordinator {
    /// Handles ConsumerGroupHeartbeat. Its answer waits for the disk where something changed.
    pub(crate) fn consumer_heartbeat(&mut self, now: Now, to: Ticket, mut request: ConsumerHeartbeat) {
        self.fx.now = now;
        let checked = request.check(&self.fx).and_then(|()| Ok(self.check_active(&request.group)?));
        let checked = checked.and_then(|()| self.check_member_memory(&request));
        if checked.is_ok() && request.member.as_str().is_empty() {
            request.member = self.fx.ids.next_bare();
        }
        let outcome = checked.and_then(|()| match request.epoch {
            JOINS => self.consumer_join(to, &request),
            LEAVES | LEFT_FOR_NOW => self.consumer_leave(to, &request),
            _ => self.consumer_beat(to, &request),
        });
        if let Err(refused) = outcome {
            self.fx.reply(to, Reply::ConsumerHeartbeat(Err(refused)));
        }
    }

    /// Whether there is memory for what a member says, if it says anything.
    fn check_member_memory(&mut self, request: &ConsumerHeartbeat) -> Result<(), Refused> {
        if request.epoch < JOINS || (request.names.is_none() && request.regex.is_none()) {
            return Ok(());
        }
        let group = self.groups.get(&request.group);
        let charge = group.and_then(|group| group.charge_of(&request.member, request.instance.as_ref()));
        if self.fx.memory.has_room_for(request.facts(None).bytes(), charge) {
            return Ok(());
        }
        let message = "members say so much about themselves that there is no memory for more; \
                       group.members.bytes.max is the bound, for all groups together";
        Err(Refused::new(self.fx.refuse_for_memory(&request.group), message))
    }

    fn consumer_beat(&mut self, to: Ticket, request: &ConsumerHeartbeat) -> Result<(), Refused> {
        let group = find_consumer(self.groups.get_mut(&request.group), &request.group)?;
        let Group { consumer: Some(state), id, .. } = group else { return Err(no_such_group(&request.group)) };
        let member = state.find(&request.member, request.instance.as_ref())?;
        ConsumerGroup::check_epoch(member, request.epoch, request.owned.as_ref())?;
        state.check_pattern(request)?;
        let mut turn = Turn::new(&mut self.fx, id);
        let reply = state.heartbeat(&mut turn, request);
        let records = turn.records;
        let is_news = !records.is_empty() || reply.epoch != request.epoch || reply.assignment.is_some();
        if !is_news && let Some(ms) = self.consumer_hold_ms(request) {
            self.let_wait(to, Beat::Consumer(request.bare()), ms);
            return Ok(());
        }
        if !records.is_empty() {
            self.holds.stir(&request.group);
        }
        let held = Held { to, reply: Reply::ConsumerHeartbeat(Ok(reply)) };
        let group = find_consumer(self.groups.get_mut(&request.group), &request.group)?;
        group.store(&mut self.fx, records, Some(held));
        Ok(())
    }

    fn consumer_join(&mut self, to: Ticket, request: &ConsumerHeartbeat) -> Result<(), Refused> {
        let mut entry = self.enter_consumer(&request.group)?;
        let place = match entry.state.check_join(request, self.fx.settings.consumer.members_max) {
            Ok(place) => place,
            Err(refused) => {
                self.abandon_consumer(&request.group, entry);
                return Err(refused);
            }
        };
        let mut records = std::mem::take(&mut entry.records);
        let mut turn = Turn::new(&mut self.fx, &request.group);
        match place {
            Place::Of(old) => entry.state.replace(&mut turn, &old, &request.member),
            Place::Own => entry.state.come_back(&request.member),
        }
        let reply = entry.state.heartbeat(&mut turn, request);
        records.append(&mut turn.records);
        let held = Held { to, reply: Reply::ConsumerHeartbeat(Ok(reply)) };
        self.holds.stir(&request.group);
        self.adopt_consumer(&request.group, entry, records, held);
        Ok(())
    }

    fn consumer_leave(&mut self, to: Ticket, request: &ConsumerHeartbeat) -> Result<(), Refused> {
        self.holds.stir(&request.group);
        let group = find_consumer(self.groups.get_mut(&request.group), &request.group)?;
        let Group { consumer: Some(state), id, .. } = &mut *group else { return Err(no_such_group(&request.group)) };
        state.find(&request.member, request.instance.as_ref())?;
        let reply =
            HeartbeatReply { member: request.member.clone(), epoch: request.epoch, interval_ms: 0, assignment: None };
        let held = Held { to, reply: Reply::ConsumerHeartbeat(Ok(reply)) };
        let mut turn = Turn::new(&mut self.fx, id);
        if request.epoch == LEFT_FOR_NOW {
            state.leave_for_now(&mut turn, &request.member);
            let records = turn.records;
            group.store(&mut self.fx, records, Some(held));
        } else {
            state.fence(&mut turn, &request.member);
            let records = turn.records;
            group.store_and_settle(&mut self.fx, records, Some(held));
        }
        Ok(())
    }
}

impl Coordinator {
    /// What a member is to be told whose heartbeat waits, and what has to be written for it; none if nothing has changed for it.
    pub(crate) fn consumer_news(
        &mut self,
        waiting: &ConsumerHeartbeat,
        records: &mut Vec<Record>,
    ) -> Option<Result<HeartbeatReply, Refused>> {
        self.try_consumer_news(waiting, records).transpose()
    }

    fn try_consumer_news(
        &mut self,
        waiting: &ConsumerHeartbeat,
        records: &mut Vec<Record>,
    ) -> Result<Option<HeartbeatReply>, Refused> {
        self.check_active(&waiting.group)?;
        let group = find_consumer(self.groups.get_mut(&waiting.group), &waiting.group)?;
        let Group { consumer: Some(state), id, .. } = group else { return Err(no_such_group(&waiting.group)) };
        let member = state.find(&waiting.member, waiting.instance.as_ref())?;
        ConsumerGroup::check_epoch(member, waiting.epoch, None)?;
        let mut turn = Turn::new(&mut self.fx, id);
        let has_more = state.advance(&mut turn, &waiting.member, false, None);
        if turn.records.is_empty() {
            return Ok(None);
        }
        records.append(&mut turn.records);
        Ok(Some(state.reply(&self.fx, id, &waiting.member, has_more)))
    }

    /// The answer to a heartbeat that waited for nothing.
    pub(crate) fn no_news(&self, waiting: &ConsumerHeartbeat) -> HeartbeatReply {
        let state = self.groups.get(&waiting.group).and_then(|group| group.consumer.as_ref());
        let interval_ms = state.map_or(0, |state| state.interval_ms(&self.fx, &waiting.group, &waiting.member));
        HeartbeatReply {
            member: waiting.member.clone(),
            epoch: waiting.epoch,
            interval_ms: i32::try_from(interval_ms).unwrap_or(i32::MAX),
            assignment: None,
        }
    }
}

impl ConsumerGroup {
    fn check_join(&self, request: &ConsumerHeartbeat, members_max: usize) -> Result<Place, Refused> {
        let place = self.place_for(&request.member, request.instance.as_ref(), false)?;
        let is_more = place == Place::Own && !self.members.contains_key(&request.member);
        if is_more && self.members.len() >= members_max {
            let message = format!("the group has {members_max} members, as many as group.consumer.max.size lets in");
            return Err(Refused::new(ErrorCode::GroupMaxSizeReached, message));
        }
        self.check_pattern(request)?;
        Ok(place)
    }

    fn check_pattern(&self, request: &ConsumerHeartbeat) -> Result<(), Refused> {
        let is_new = request.regex.as_ref().is_some_and(|text| !text.is_empty() && !self.patterns.contains_key(text));
        if is_new && self.patterns.len() >= PATTERNS_MAX {
            let message =
                format!("the group has {PATTERNS_MAX} different regular expressions, as many as one may have");
            return Err(Refused::new(ErrorCode::InvalidRegularExpression, message));
        }
        Ok(())
    }

    /// A checked heartbeat of a member that is there, or joins.
    ///
    /// What it says that it uses counts only with its current epoch: a heartbeat that was long under way, or a member that joins
    /// anew, may have been given partitions since. It learns its epoch now, and says so with it.
    fn heartbeat(&mut self, turn: &mut Turn<'_>, request: &ConsumerHeartbeat) -> HeartbeatReply {
        let id = &request.member;
        let before = self.members.get(id);
        let is_current = before.is_none_or(|member| member.epoch == request.epoch);
        let owned = request.owned.as_ref().filter(|_| is_current);
        let facts = request.facts(before.map(|member| &member.facts));
        let subscription_changed = self.update(turn, id, facts);
        let has_more = self.advance(turn, id, subscription_changed, owned);
        self.restart_session(turn.fx, turn.group, id);
        self.reply(turn.fx, turn.group, id, has_more || request.is_full())
    }

    /// When a member is to be heard of again: soon while others have partitions of its to give up, so that it has a heartbeat that
    /// waits when they do.
    pub(crate) fn interval_ms(&self, fx: &Effects, group: &GroupId, id: &MemberId) -> u64 {
        let interval_ms = fx.group_config(group).heartbeat_interval_ms;
        let awaits_others = self.members.get(id).is_some_and(|member| member.progress == Progress::Unreleased);
        if awaits_others && fx.hold_limit_ms().is_some() { interval_ms.min(AWAIT_MS) } else { interval_ms }
    }

    /// What a member is told; its whole share where that is news.
    fn reply(&self, fx: &Effects, group: &GroupId, id: &MemberId, has_share: bool) -> HeartbeatReply {
        let interval_ms = self.interval_ms(fx, group, id);
        let member = self.members.get(id);
        HeartbeatReply {
            member: id.clone(),
            epoch: member.map_or(0, |member| member.epoch),
            interval_ms: i32::try_from(interval_ms).unwrap_or(i32::MAX),
            assignment: member.map(|member| member.assigned.clone()).filter(|_| has_share),
        }
    }
}

/// The group, if it is one of the new protocol.
pub(super) fn find_consumer<'a>(group: Option<&'a mut Group>, id: &GroupId) -> Result<&'a mut Group, Refused> {
    group.filter(|group| group.consumer.is_some()).ok_or_else(|| no_such_group(id))
}

pub(super) fn no_such_group(id: &GroupId) -> Refused {
    Refused::new(ErrorCode::GroupIdNotFound, format!("there is no consumer group {id}; join with epoch 0 to make one"))
}

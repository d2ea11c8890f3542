//! Heartbeats that wait for news. A heartbeat that has nothing to tell its member is not answered at once but when there is
//! something: a rebalance, another share, a new epoch, the end of the membership. So members hear of a change when it happens,
//! and not with their next heartbeat. A wait ends, with nothing told, when its time is over or the client sends something else.
//!
//! The session has begun anew when the heartbeat came; waiting changes nothing about it. Which clients wait, and what tells that they
//! sent something else, is `front::patience`. KIPs: none; Kafka answers every heartbeat at once.
//!
//! How long a wait may be:
//!
//! | client | classic protocol | consumer protocol |
//! |---|---|---|
//! | sends heartbeats that overlap | until the next one | less than the interval that it was told |
//! | one heartbeat at a time | less than the interval that it was seen to keep | less than the interval that it was told |
//!
//! and in any case no longer than `group.heartbeat.hold.ms` and a third of the session timeout.

use super::consumer::heartbeat::ConsumerHeartbeat;
use super::consumer::member::Progress;
use super::consumer::store::Held;
use super::coordinator::Coordinator;
use super::effects::Reply;
use super::heartbeat::HeartbeatRequest;
use super::ids::{GroupId, MemberId, Ticket};
use super::limits::{HOLD_MARGIN_MS_MIN, HOLD_MS_MIN};
use super::state::{Group, State};
use super::timers::Timer;
use crate::Now;
use crate::front::Patience;
use crate::front::patience::Ending;
use protocol::ErrorCode;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The protocol of Kafka Streams. Its consumers close without leaving, and wait for all answers before they do.
const STREAMS: &str = "stream";

/// A heartbeat that waits.
#[derive(Clone, Debug)]
pub(super) enum Beat {
    Classic(HeartbeatRequest),
    Consumer(ConsumerHeartbeat),
}

impl Beat {
    fn place(&self) -> (&GroupId, &MemberId) {
        match self {
            Beat::Classic(beat) => (&beat.group, &beat.member),
            Beat::Consumer(beat) => (&beat.group, &beat.member),
        }
    }
}

/// How often a client that sends one heartbeat at a time would send one.
#[derive(Debug, Default)]
struct Rhythm {
    last_ms: Option<u64>,
    gap_ms: Option<u64>,
}

impl Rhythm {
    /// A heartbeat came. The time between two of them, where it is known. A client that got its answer too late let one
    /// pass: then it was less than was thought.
    fn note(&mut self, now_ms: u64) -> Option<u64> {
        let gap_ms = self.last_ms.replace(now_ms).map(|last_ms| now_ms.saturating_sub(last_ms));
        self.gap_ms = match (gap_ms, self.gap_ms) {
            (None, known) => known,
            (Some(gap), Some(known)) if gap >= known + known / 2 => Some(known - known / 8),
            (Some(gap), _) => Some(gap),
        };
        self.gap_ms
    }
}

/// What is known of a member that may wait.
#[derive(Debug, Default)]
struct Known {
    waits: Option<(Ticket, Beat)>,
    rhythm: Rhythm,
    /// Its connection ended while it waited: it may be that it does not wait as long as others.
    is_hasty: bool,
}

/// Who waits.
#[derive(Debug, Default)]
pub(super) struct Holds {
    groups: HashMap<GroupId, BTreeMap<MemberId, Known>>,
    /// Invariant: exactly the tickets of members that wait.
    tickets: HashMap<Ticket, (GroupId, MemberId)>,
    /// Groups in which something happened since those who wait in them were last looked at.
    stirred: BTreeSet<GroupId>,
    /// The process stops.
    is_over: bool,
}

impl Holds {
    /// Something happened that may concern the members of a group.
    pub(super) fn stir(&mut self, group: &GroupId) {
        if self.groups.contains_key(group) {
            self.stirred.insert(group.clone());
        }
    }

    /// Whether nothing is known of anybody.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.tickets.is_empty() && self.stirred.is_empty()
    }

    fn known(&mut self, group: &GroupId, member: &MemberId) -> &mut Known {
        if !self.groups.contains_key(group) {
            self.groups.insert(group.clone(), BTreeMap::new());
        }
        let Some(members) = self.groups.get_mut(group) else { unreachable!("it was put there") };
        members.entry(member.clone()).or_default()
    }

    fn waiting(&self, group: &GroupId) -> Vec<Beat> {
        let members = self.groups.get(group).into_iter().flat_map(BTreeMap::values);
        members.filter_map(|known| known.waits.as_ref()).map(|(_, beat)| beat.clone()).collect()
    }

    fn take(&mut self, group: &GroupId, member: &MemberId) -> Option<(Ticket, Beat)> {
        let waits = self.groups.get_mut(group)?.get_mut(member)?.waits.take()?;
        self.tickets.remove(&waits.0);
        Some(waits)
    }

    /// Forgets who is no member any more, and how often the others sent heartbeats: they may have joined again between two.
    fn tidy(&mut self, id: &GroupId, group: Option<&Group>) {
        let Some(members) = self.groups.get_mut(id) else { return };
        members.retain(|member, _| group.is_some_and(|group| group.has_member(member)));
        members.values_mut().for_each(|known| known.rhythm.last_ms = None);
        if members.is_empty() {
            self.groups.remove(id);
        }
    }
}

impl Group {
    fn has_member(&self, id: &MemberId) -> bool {
        self.members.contains_key(id) || self.consumer.as_ref().is_some_and(|state| state.members.contains_key(id))
    }

    /// The session timeout of a member of the classic protocol that may wait now. Static members and those of Kafka Streams may
    /// not: they send nothing when they close, and wait for what is under way.
    fn patient_session_ms(&self, id: &MemberId) -> Option<i32> {
        let (instance, protocol, session_ms) = match &self.consumer {
            None => {
                let member = self.members.get(id).filter(|_| matches!(self.state, State::Stable(_)))?;
                (&member.instance, self.protocol().cloned(), member.session_timeout_ms)
            }
            Some(state) => {
                let facts = &state.members.get(id)?.facts;
                let classic = facts.classic.as_ref()?;
                (&facts.instance, classic.protocols.first().map(|p| p.name.clone()), classic.session_timeout_ms)
            }
        };
        (instance.is_none() && protocol.as_deref() != Some(STREAMS)).then_some(session_ms)
    }
}

/// So much sooner than a client's next heartbeat that it has the answer by then.
fn sooner_than(interval_ms: u64) -> u64 {
    interval_ms.saturating_sub((interval_ms / 10).max(HOLD_MARGIN_MS_MIN))
}

impl Coordinator {
    /// How long the answer to a heartbeat of the classic protocol may wait that has nothing to tell.
    pub(crate) fn hold_ms(&mut self, request: &HeartbeatRequest, patience: Patience) -> Option<u64> {
        let limit_ms = self.hold_limit_ms(patience)?;
        self.check_active(&request.group).ok()?;
        let session_ms = self.groups.get(&request.group)?.patient_session_ms(&request.member)?;
        let now_ms = self.fx.now.mono_ms;
        let known = self.holds.known(&request.group, &request.member);
        let client_ms = match patience {
            Patience::None | Patience::Overlapping => u64::MAX,
            Patience::OneByOne => sooner_than(known.rhythm.note(now_ms)?),
        };
        let session_ms = super::effects::timeout_ms(session_ms);
        Some(client_ms.min(limit_ms).min(session_ms / 3)).filter(|ms| !known.is_hasty && *ms >= HOLD_MS_MIN)
    }

    /// As [`Coordinator::hold_ms`], in the consumer protocol. A member that has to give partitions up says so with its next
    /// heartbeat, and must be free to send it.
    pub(super) fn consumer_hold_ms(&mut self, request: &ConsumerHeartbeat) -> Option<u64> {
        let limit_ms = self.hold_limit_ms(request.patience)?;
        let config = self.fx.group_config(&request.group);
        let state = self.groups.get(&request.group)?.consumer.as_ref()?;
        state.members.get(&request.member).filter(|member| member.progress != Progress::Unrevoked)?;
        let known = self.holds.known(&request.group, &request.member);
        let interval_ms = state.interval_ms(&self.fx, &request.group, &request.member);
        let ms = sooner_than(interval_ms).min(limit_ms).min(config.session_timeout_ms / 3);
        Some(ms).filter(|ms| !known.is_hasty && *ms >= HOLD_MS_MIN)
    }

    /// How long an answer may wait; none where such a client is not to wait.
    fn hold_limit_ms(&self, patience: Patience) -> Option<u64> {
        if patience == Patience::None || self.holds.is_over {
            return None;
        }
        self.fx.hold_limit_ms()
    }

    /// Lets a heartbeat of the classic protocol wait.
    pub(crate) fn hold(&mut self, to: Ticket, request: HeartbeatRequest, ms: u64) {
        self.let_wait(to, Beat::Classic(request), ms);
    }

    /// Lets a heartbeat wait. One of the same member that waits already, on a connection that is lost, waits no more.
    pub(super) fn let_wait(&mut self, to: Ticket, beat: Beat, ms: u64) {
        let (group, member) = beat.place();
        let (group, member) = (group.clone(), member.clone());
        self.stop_waiting(&group, &member);
        self.fx.set_timer(Timer::Hold(group.clone(), member.clone()), ms);
        self.holds.known(&group, &member).waits = Some((to, beat));
        self.holds.tickets.insert(to, (group, member));
    }

    /// Whether the request with this ticket waits.
    pub(crate) fn is_held(&self, ticket: Ticket) -> bool {
        self.holds.tickets.contains_key(&ticket)
    }

    /// The client sent something else, or is gone.
    pub(crate) fn end_hold(&mut self, now: Now, ticket: Ticket, ending: Ending) {
        self.fx.now = now;
        let Some((group, member)) = self.holds.tickets.get(&ticket).cloned() else { return };
        if ending == Ending::Closed {
            self.holds.known(&group, &member).is_hasty = true;
        }
        self.stop_waiting(&group, &member);
    }

    /// Nobody waits any more, and nobody will: the process stops.
    pub(crate) fn end_all_holds(&mut self, now: Now) {
        self.fx.now = now;
        self.holds.is_over = true;
        let all: Vec<_> = self.holds.tickets.values().cloned().collect();
        all.iter().for_each(|(group, member)| self.stop_waiting(group, member));
    }

    /// A wait ends without news.
    pub(super) fn stop_waiting(&mut self, group: &GroupId, member: &MemberId) {
        let Some((to, beat)) = self.holds.take(group, member) else { return };
        self.fx.timers.cancel(Timer::Hold(group.clone(), member.clone()));
        let reply = match &beat {
            Beat::Classic(_) => Reply::Heartbeat(ErrorCode::None),
            Beat::Consumer(beat) => Reply::ConsumerHeartbeat(Ok(self.no_news(beat))),
        };
        self.answer_waiting(group, Vec::new(), vec![Held { to, reply }]);
    }

    /// Looks at everybody who waits in a group in which something happened: who is to be told something is answered.
    pub(super) fn tell_news(&mut self) {
        while let Some(id) = self.holds.stirred.pop_first() {
            if marks::planted!("broker: forget who waits with a heartbeat") {
                continue;
            }
            let (mut records, mut told) = (Vec::new(), Vec::new());
            for beat in self.holds.waiting(&id) {
                let news = match &beat {
                    Beat::Classic(beat) => self.verdict(beat).err().map(Reply::Heartbeat),
                    Beat::Consumer(beat) => self.consumer_news(beat, &mut records).map(Reply::ConsumerHeartbeat),
                };
                let (_, member) = beat.place();
                if let Some(reply) = news
                    && let Some((to, _)) = self.holds.take(&id, member)
                {
                    marks::reached!("broker: a heartbeat that waited was told news");
                    self.fx.timers.cancel(Timer::Hold(id.clone(), member.clone()));
                    told.push(Held { to, reply });
                }
            }
            self.answer_waiting(&id, records, told);
            self.holds.tidy(&id, self.groups.get(&id));
        }
    }

    /// Answers once the records, and all of the group before them, are durable.
    fn answer_waiting(&mut self, id: &GroupId, records: Vec<super::records::Record>, told: Vec<Held>) {
        let mut told = told.into_iter();
        match self.groups.get_mut(id) {
            Some(group) => {
                let first = told.next();
                if first.is_some() || !records.is_empty() {
                    group.store(&mut self.fx, records, first);
                }
                told.for_each(|held| group.store(&mut self.fx, Vec::new(), Some(held)));
            }
            None => told.for_each(|held| held.settle(&mut self.fx, Ok(()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(times: &[u64]) -> Vec<Option<u64>> {
        let mut rhythm = Rhythm::default();
        times.iter().map(|at| rhythm.note(*at)).collect()
    }

    #[test]
    fn the_interval_of_a_client_is_learned_and_corrected() {
        assert_eq!(gaps(&[0, 3_000, 6_100]), [None, Some(3_000), Some(3_100)]);
        // It skipped one: the answer before came too late for it.
        assert_eq!(gaps(&[0, 3_600, 9_600, 12_700]), [None, Some(3_600), Some(3_150), Some(3_100)]);
    }

    #[test]
    fn an_answer_is_there_before_the_next_heartbeat_is_due() {
        for (interval_ms, ms) in [(5_000, 4_500), (3_000, 2_700), (500, 400), (100, 0), (0, 0)] {
            assert_eq!(sooner_than(interval_ms), ms, "{interval_ms}");
        }
    }
}

//! The group coordinator of one shard: a map of groups, a table of deadlines, a queue of outputs. The requests it handles are
//! methods in files of their own (`join`, `sync`, `heartbeat`, `leave`, `commit`, `fetch`, `describe`, `delete`).

use super::commit;
use super::effects::{Effects, Output, Pending, Reply, Then};
use super::hash;
use super::hold::Holds;
use super::ids::{AppendToken, GroupId, Incarnation};
use super::load::Load;
use super::settings::GroupSettings;
use super::state::Group;
use super::timers::Timer;
use super::wiring::OFFSETS_TOPIC;
use crate::Now;
use crate::image::MetadataImage;
use protocol::ErrorCode;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The classic group protocol (KIP-62, 345, 394, 429) over the partitions of `__consumer_offsets` that this shard owns.
///
/// It touches nothing but itself. Tell it which partitions are its own (`set_partition_count`, `begin_load`, `replay`,
/// `finish_load`), then for every turn: hand in requests, call [`Coordinator::on_time`] when
/// [`Coordinator::next_deadline`] has passed, drain [`Coordinator::poll_output`], and report every append it asked for
/// with [`Coordinator::appended`], those of one partition in their order.
///
/// Every request with a [`Ticket`](super::ids::Ticket) is answered exactly once, by a [`Reply`] output; the others are
/// answered by the return value.
#[derive(Debug)]
pub(crate) struct Coordinator {
    /// Groups of all partitions here, in any load state.
    pub(super) groups: HashMap<GroupId, Group>,
    /// Deleted groups whose tombstones are being written.
    pub(super) buried: HashMap<Incarnation, Group>,
    /// Partitions of `__consumer_offsets` on this shard.
    pub(super) partitions: BTreeMap<i32, Load>,
    /// Partitions of `__consumer_offsets` altogether; 0 without that topic.
    pub(super) partition_count: i32,
    /// Topics that were deleted while a partition here was being read, by partition.
    pub(super) deleted_meanwhile: BTreeMap<i32, BTreeSet<Arc<str>>>,
    /// What it wants done.
    pub(super) fx: Effects,
    /// Heartbeats that wait for news.
    pub(super) holds: Holds,
    next_incarnation: u64,
}

impl Coordinator {
    /// A coordinator of nothing. `seed` is random and used by no other shard or process.
    pub(crate) fn new(settings: GroupSettings, seed: u128, now: Now) -> Self {
        let mut fx = Effects::new(settings, seed);
        fx.now = now;
        fx.set_timer(Timer::Expiry, fx.settings.retention_check_interval_ms);
        Self {
            groups: HashMap::new(),
            buried: HashMap::new(),
            partitions: BTreeMap::new(),
            partition_count: 0,
            deleted_meanwhile: BTreeMap::new(),
            fx,
            holds: Holds::default(),
            next_incarnation: 0,
        }
    }

    /// Partition of `__consumer_offsets` that a group belongs to; `None` without that topic.
    pub(crate) fn partition_of(&self, group: &GroupId) -> Option<i32> {
        (self.partition_count > 0).then(|| hash::partition_of(group.as_str(), self.partition_count))
    }

    /// Topics and configurations are these from now on.
    pub(crate) fn follow(&mut self, image: Arc<MetadataImage>) {
        if !self.fx.image.has_same_topics(&image) {
            self.fx.topics_changes += 1;
        }
        if let Some(topic) = image.topic(OFFSETS_TOPIC) {
            self.fx.settings.batch_bytes_max = usize::try_from(topic.settings.max_message_bytes).unwrap_or(0);
        }
        self.fx.image = image;
    }

    /// When [`Coordinator::on_time`] has something to do, in monotonic milliseconds.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.fx.timers.next_deadline()
    }

    /// Acts on every deadline that has passed.
    pub(crate) fn on_time(&mut self, now: Now) {
        self.fx.now = now;
        // Each firing sets at most one timer, and none at or before now but with a timeout of 0 ms: those wait a turn.
        let mut budget = self.fx.timers.count_due(now.mono_ms);
        while budget > 0 {
            let Some(timer) = self.fx.timers.pop_due(now.mono_ms) else { return };
            self.fire(&timer);
            budget -= 1;
        }
    }

    fn fire(&mut self, timer: &Timer) {
        let id = match timer {
            Timer::Expiry => return self.expire(),
            Timer::Hold(id, member) => return self.stop_waiting(id, member),
            Timer::Session(id, _)
            | Timer::Join(id)
            | Timer::Sync(id)
            | Timer::Rebalance(id, _)
            | Timer::MemberSync(id, _)
            | Timer::Assign(id) => id,
        };
        self.holds.stir(id);
        let Some(group) = self.groups.get_mut(id) else { return };
        match timer {
            Timer::Session(_, member) if group.consumer.is_some() => {
                group.on_member_overdue(&mut self.fx, member, "it was silent for its session timeout");
            }
            Timer::Session(_, member) => group.on_session_timeout(&mut self.fx, member),
            Timer::Rebalance(_, member) => {
                group.on_member_overdue(&mut self.fx, member, "it did not give partitions up, or join again, in time");
            }
            Timer::MemberSync(_, member) => {
                group.on_member_overdue(&mut self.fx, member, "it did not send SyncGroup in time");
            }
            Timer::Assign(_) => group.on_assignment_due(&mut self.fx),
            Timer::Join(_) => group.on_join_timeout(&mut self.fx),
            Timer::Sync(_) => group.on_sync_timeout(&mut self.fx),
            Timer::Expiry | Timer::Hold(..) => {}
        }
    }

    /// The next thing to do.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        while let Some(token) = self.fx.pop_oversized() {
            self.appended(self.fx.now, token, Err(ErrorCode::MessageTooLarge));
        }
        self.tell_news();
        self.fx.pop()
    }

    /// The records of [`Output::Append`] are durable, or will never be.
    pub(crate) fn appended(&mut self, now: Now, token: AppendToken, result: Result<(), ErrorCode>) {
        self.fx.now = now;
        let Some(Pending { group: id, incarnation, then }) = self.fx.take_pending(token) else { return };
        match then {
            Then::Nothing => {
                if let Err(error) = result {
                    tracing::warn!(group = %id, ?error, "the record of a group without members was not stored");
                }
            }
            Then::Forget { removed, ticket } => {
                let group = self.buried.remove(&incarnation);
                self.on_forgotten(group, &removed, ticket, result);
            }
            Then::Remove { removed, ticket } => {
                if let Some(group) = self.find_incarnation(&id, incarnation) {
                    group.forget_offsets(&removed, result);
                }
                self.on_removed(ticket, result);
            }
            Then::Commit { ticket, written, reply } => {
                if let Some(group) = self.find_incarnation(&id, incarnation) {
                    group.on_committed(written, result);
                }
                self.fx.reply(ticket, Reply::Commit(commit::committed(reply, result)));
            }
            Then::Consumer { held } => {
                let group = self.groups.get_mut(&id).filter(|group| group.incarnation == incarnation);
                if let Some(state) = group.and_then(|group| group.consumer.as_mut()) {
                    state.on_stored(&id, token, result);
                }
                held.into_iter().for_each(|held| held.settle(&mut self.fx, result));
            }
            Then::Assign { generation, assignment } => {
                self.holds.stir(&id);
                if let Some(group) = self.groups.get_mut(&id).filter(|g| g.incarnation == incarnation) {
                    group.on_assigned(&mut self.fx, generation, &assignment, result);
                }
            }
            Then::Replace(replaced) => {
                self.holds.stir(&id);
                if let Some(group) = self.groups.get_mut(&id).filter(|g| g.incarnation == incarnation) {
                    group.on_replaced(&mut self.fx, *replaced, result);
                }
            }
        }
    }

    /// The very group that asked, deleted meanwhile or not.
    fn find_incarnation(&mut self, id: &GroupId, incarnation: Incarnation) -> Option<&mut Group> {
        match self.groups.get_mut(id).filter(|g| g.incarnation == incarnation) {
            Some(group) => Some(group),
            None => self.buried.get_mut(&incarnation),
        }
    }

    /// An Empty group; [`Coordinator::check_active`] must have passed.
    #[expect(clippy::expect_used, reason = "an active group has a partition")]
    pub(super) fn new_group(&mut self, id: GroupId) -> Group {
        let partition = self.partition_of(&id).expect("checked to be active");
        Group::new(id, self.next_incarnation(), partition, Some(self.fx.now.wall_ms))
    }

    /// Takes a group out of the map, or a new one; put it back.
    pub(super) fn take_or_new(&mut self, id: &GroupId) -> Group {
        self.groups.remove(id).unwrap_or_else(|| self.new_group(id.clone()))
    }

    pub(super) fn next_incarnation(&mut self) -> Incarnation {
        self.next_incarnation += 1;
        Incarnation(self.next_incarnation)
    }
}

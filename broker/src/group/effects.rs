//! What the coordinator wants done, and what it needs to remember until it is done. Groups write into it; they hold no
//! timer and no output of their own.

use super::commit::{CommitReply, Written};
use super::consumer::heartbeat::HeartbeatReply;
use super::consumer::settings::GroupConfig;
use super::consumer::state::Refused;
use super::consumer::store::Held;
use super::delete::OffsetDeleteReply;
use super::ids::{AppendToken, GroupId, Incarnation, MemberId, MemberIds, Ticket};
use super::join::{JoinReply, Replaced};
use super::memory::MemberMemory;
use super::offsets::TopicPartition;
use super::records::Record;
use super::settings::GroupSettings;
use super::sync::SyncReply;
use super::timers::{Timer, Timers};
use crate::Now;
use crate::image::MetadataImage;
use protocol::ErrorCode;
use protocol::batch::HEADER_LEN;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// One thing to do, in this order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Answer a request.
    Reply {
        /// Which.
        to: Ticket,
        /// With what.
        reply: Reply,
    },
    /// Append the records as one batch; `Coordinator::appended` is called once they are durable or refused, in the
    /// order of the appends of one partition.
    Append {
        /// Partition of `__consumer_offsets`.
        partition: i32,
        /// At least one.
        records: Vec<Record>,
        /// Comes back.
        token: AppendToken,
    },
}

/// An answer that had to wait. Answers that never wait are return values of the coordinator's methods.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// To a Heartbeat that waited.
    Heartbeat(ErrorCode),
    /// To JoinGroup.
    Join(JoinReply),
    /// To SyncGroup.
    Sync(SyncReply),
    /// To OffsetCommit.
    Commit(CommitReply),
    /// To one group of DeleteGroups.
    Deleted(ErrorCode),
    /// To OffsetDelete.
    OffsetsDeleted(OffsetDeleteReply),
    /// To ConsumerGroupHeartbeat.
    ConsumerHeartbeat(Result<HeartbeatReply, Refused>),
}

/// What happens when records are durable, or refused.
#[derive(Debug)]
pub(crate) enum Then {
    /// Nothing waits for it: the record of a new or of an emptied group. A failure costs only what a restart would show.
    Nothing,
    /// The leader's assignment reaches the members.
    Assign {
        /// The generation it was made for.
        generation: i32,
        /// By member.
        assignment: BTreeMap<MemberId, Arc<[u8]>>,
    },
    /// A static member that came back under a new id learns it; on failure its old self is restored.
    Replace(Box<Replaced>),
    /// Committed offsets become visible.
    Commit {
        /// The waiting OffsetCommit.
        ticket: Ticket,
        /// What was written.
        written: Vec<Written>,
        /// The answer if all goes well.
        reply: CommitReply,
    },
    /// The group, already out of sight, is gone for good.
    Forget {
        /// Its offsets whose tombstones are in the last batch.
        removed: Vec<TopicPartition>,
        /// The waiting DeleteGroups; none for expiry.
        ticket: Option<Ticket>,
    },
    /// Members of a consumer group learn what was written.
    Consumer {
        /// Answers that wait for it.
        held: Vec<Held>,
    },
    /// Offsets disappear.
    Remove {
        /// Which.
        removed: Vec<TopicPartition>,
        /// The waiting OffsetDelete; none for expiry and deleted topics.
        ticket: Option<(Ticket, OffsetDeleteReply)>,
    },
}

/// An append that is under way.
#[derive(Debug)]
pub(crate) struct Pending {
    /// Whose records.
    pub(crate) group: GroupId,
    /// Which group of that name.
    pub(crate) incarnation: Incarnation,
    /// What happens next.
    pub(crate) then: Then,
}

/// Outputs, timers, pending appends, and the facts that every step needs.
#[derive(Debug)]
pub(crate) struct Effects {
    /// Settings.
    pub(crate) settings: GroupSettings,
    /// As of the current call.
    pub(crate) now: Now,
    /// Deadlines.
    pub(crate) timers: Timers,
    /// Source of member ids.
    pub(crate) ids: MemberIds,
    /// What members of all groups cost.
    pub(crate) memory: MemberMemory,
    /// Topics, and configurations of groups.
    pub(crate) image: Arc<MetadataImage>,
    /// Grows whenever topics change.
    pub(crate) topics_changes: u64,
    out: VecDeque<Output>,
    pending: HashMap<AppendToken, Pending>,
    /// Appends whose records are larger than a batch may be.
    oversized: VecDeque<AppendToken>,
    next_token: u64,
}

impl Effects {
    /// Nothing to do yet.
    pub(crate) fn new(settings: GroupSettings, seed: u128) -> Self {
        Self {
            memory: MemberMemory::new(settings.member_bytes_max),
            settings,
            now: Now::default(),
            timers: Timers::default(),
            ids: MemberIds::new(seed),
            image: Arc::default(),
            topics_changes: 0,
            out: VecDeque::new(),
            pending: HashMap::new(),
            oversized: VecDeque::new(),
            next_token: 0,
        }
    }

    /// Answers a request.
    pub(crate) fn reply(&mut self, to: Ticket, reply: Reply) {
        self.out.push_back(Output::Reply { to, reply });
    }

    /// What a member is told for which there is no memory. Whoever runs the broker is told which bound that is.
    pub(crate) fn refuse_for_memory(&mut self, group: &GroupId) -> ErrorCode {
        if self.memory.is_to_warn(self.now.mono_ms) {
            let (used, max) = (self.memory.used(), self.settings.member_bytes_max);
            tracing::warn!(
                %group, used, max,
                "a member was refused: what members say about themselves takes this core's share of group.members.bytes.max"
            );
        }
        ErrorCode::GroupMaxSizeReached
    }

    /// Appends records of a group and remembers what follows. Records that no batch can hold fail at once.
    pub(crate) fn append(&mut self, partition: i32, records: Vec<Record>, pending: Pending) -> AppendToken {
        assert!(!records.is_empty(), "an append has records");
        let token = AppendToken(self.next_token);
        self.next_token += 1;
        self.pending.insert(token, pending);
        if HEADER_LEN + records.iter().map(Record::size_bytes_max).sum::<usize>() > self.settings.batch_bytes_max {
            self.oversized.push_back(token);
        } else {
            self.out.push_back(Output::Append { partition, records, token });
        }
        token
    }

    /// The answers that wait for an append of a consumer group; none once that has ended.
    pub(crate) fn held_by(&mut self, token: AppendToken) -> Option<&mut Vec<Held>> {
        match self.pending.get_mut(&token).map(|pending| &mut pending.then) {
            Some(Then::Consumer { held }) => Some(held),
            Some(_) | None => None,
        }
    }

    /// What a group has of its own, over what the broker says.
    pub(crate) fn group_config(&self, group: &GroupId) -> GroupConfig {
        let own = self.image.group_configs(group.as_str());
        self.settings.consumer.group_config(|key| own?.get(key)?.trim().parse().ok())
    }

    /// `group.heartbeat.hold.ms`; none where every heartbeat is answered at once.
    pub(crate) fn hold_limit_ms(&self) -> Option<u64> {
        let limit_ms = self.image.layers().broker_parsed("group.heartbeat.hold.ms");
        limit_ms.filter(|ms| *ms > 0)
    }

    /// Takes an append that failed at once.
    pub(crate) fn pop_oversized(&mut self) -> Option<AppendToken> {
        self.oversized.pop_front()
    }

    /// Takes what follows an append. Each token is good for once.
    pub(crate) fn take_pending(&mut self, token: AppendToken) -> Option<Pending> {
        self.pending.remove(&token)
    }

    /// Sets a timer relative to now.
    pub(crate) fn set_timer(&mut self, timer: Timer, delay_ms: u64) {
        self.timers.set(timer, self.now.mono_ms.saturating_add(delay_ms));
    }

    /// Takes the next output.
    pub(crate) fn pop(&mut self) -> Option<Output> {
        self.out.pop_front()
    }
}

/// A timeout of the wire; negative ones count as none.
pub(crate) fn timeout_ms(wire: i32) -> u64 {
    u64::try_from(wire).unwrap_or(0)
}

/// What a client is told when records of its group could not be appended: Kafka turns storage's codes into ones that
/// make the client look for its coordinator again.
pub(crate) fn append_error(error: ErrorCode, too_large: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UnknownTopicOrPartition | ErrorCode::NotEnoughReplicas | ErrorCode::RequestTimedOut => {
            ErrorCode::CoordinatorNotAvailable
        }
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge | ErrorCode::InvalidFetchSize => too_large,
        other => other,
    }
}

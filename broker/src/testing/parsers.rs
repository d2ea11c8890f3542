//! The parsers of what this crate keeps in logs, and the group coordinator fed with records of any origin, for the fuzz
//! targets. What the bytes mean is said where the parsers are.

use crate::Now;
use crate::group::describe::DescribedGroup;
use crate::group::effects::{Output, Reply};
use crate::group::ids::{GroupId, Ticket};
use crate::group::join::JoinRequest;
use crate::group::member::Protocol;
use crate::group::{Coordinator, Fact, GroupSettings, records};
use protocol::messages::group_metadata_record::GroupMetadataValue;
use protocol::{DecodeError, Reader, Writer};

/// Milliseconds after which a coordinator has answered whatever it was asked: no timeout of a record is longer than these.
const PATIENCE_MS: u64 = 1 << 33;
/// Steps of virtual time that may be needed for it.
const STEPS_MAX: usize = 10_000;

/// A record's key and value.
pub type KeyValue = (Vec<u8>, Option<Vec<u8>>);

/// Topics of a consumer's subscription.
pub fn subscription(metadata: &[u8]) -> Option<Vec<String>> {
    crate::group::topics_of(metadata)
}

/// What the coordinator understands of a record of `__consumer_offsets`, written again; `None` where it is another's, or
/// a group, which is written from a coordinator's state only.
pub fn offset_record(key: &[u8], value: Option<&[u8]>) -> Result<Option<KeyValue>, DecodeError> {
    let Fact::Offset { group, at, committed } = records::decode(key, value)? else { return Ok(None) };
    let record = match committed {
        Some(committed) => records::offset(&group, &at, &committed),
        None => records::offset_tombstone(&group, &at),
    };
    Ok(Some((record.key, record.value)))
}

/// A group's value in the version that is written, from one of any version; `None` where it cannot be.
pub fn group_value(value: &[u8]) -> Result<Option<Vec<u8>>, DecodeError> {
    const WRITTEN: i16 = 3;
    let mut reader = Reader::new(value);
    let version = reader.i16()?;
    let value = GroupMetadataValue::decode(&mut reader, version)?;
    let mut writer = Writer::from_vec(WRITTEN.to_be_bytes().to_vec());
    Ok(value.encode(&mut writer, WRITTEN).ok().and_then(|()| writer.into_bytes().ok()))
}

/// Loads a partition of `__consumer_offsets` from these records, lets a member join every classic group that came of it, and waits
/// for its answer; groups of the new protocol are described. Panics where the coordinator does, and where somebody is answered twice or never.
pub fn load_groups(log: &[(&[u8], Option<&[u8]>)]) {
    let mut scene = Scene::new();
    for (key, value) in log {
        // What cannot be read is passed over, as a start does.
        let _ = scene.coordinator.replay(0, key, *value);
    }
    scene.coordinator.finish_load(scene.now, 0);
    let Ok(all) = scene.coordinator.list(&[], &[]) else { panic!("everything was loaded") };
    for group in all {
        let _ = scene.coordinator.describe_consumer(&group.group);
    }
    let Ok(listed) = scene.coordinator.list(&[], &["classic"]) else { panic!("everything was loaded") };
    let groups: Vec<GroupId> =
        listed.into_iter().map(|group| group.group).filter(|id| !id.as_str().is_empty()).collect();
    for (ticket, group) in groups.iter().enumerate() {
        let Ok(Some(described)) = scene.coordinator.describe(group) else { panic!("{group} was listed") };
        scene.join(Ticket(ticket as u64), group, &described);
    }
    scene.wait(groups.len());
    for group in &groups {
        let _ = scene.coordinator.describe(group);
    }
    scene.coordinator.unload_all(scene.now);
    scene.drain();
}

/// A coordinator with one partition, its clock, and how often each request was answered.
struct Scene {
    coordinator: Coordinator,
    now: Now,
    answered: Vec<u32>,
}

impl Scene {
    fn new() -> Scene {
        let now = Now { mono_ms: 1_000, wall_ms: 1_700_000_000_000 };
        let mut coordinator = Coordinator::new(GroupSettings::default(), 7, now);
        coordinator.set_partition_count(1);
        coordinator.begin_load(0);
        Scene { coordinator, now, answered: Vec::new() }
    }

    fn join(&mut self, ticket: Ticket, group: &GroupId, described: &DescribedGroup) {
        let name = if described.protocol.is_empty() { "range".into() } else { described.protocol.clone() };
        let empty = described.protocol_type.is_empty();
        let request = JoinRequest {
            version: 3,
            client_id: "fuzz".into(),
            client_host: "/127.0.0.1".into(),
            group: group.clone(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 10_000,
            member: "".into(),
            instance: None,
            protocol_type: if empty { "consumer".into() } else { described.protocol_type.clone() },
            protocols: vec![Protocol { name, metadata: (*b"\0\0\0\0\0\0").into() }],
        };
        self.answered.push(0);
        self.coordinator.join(self.now, ticket, request);
        self.drain();
    }

    /// Every append succeeds at once.
    fn drain(&mut self) {
        while let Some(output) = self.coordinator.poll_output() {
            match output {
                Output::Reply { to, reply } => {
                    assert!(matches!(reply, Reply::Join(_)), "a JoinGroup was answered with {reply:?}");
                    self.answered[to.0 as usize] += 1;
                }
                Output::Append { records, token, .. } => {
                    assert!(!records::batch(&records, self.now.wall_ms).is_empty());
                    self.coordinator.appended(self.now, token, Ok(()));
                }
            }
        }
    }

    /// Lets time pass until every one of `count` requests is answered, once.
    fn wait(&mut self, count: usize) {
        let end = self.now.mono_ms + PATIENCE_MS;
        for _ in 0..STEPS_MAX {
            if self.answered.iter().all(|times| *times > 0) {
                break;
            }
            let Some(at) = self.coordinator.next_deadline().filter(|at| *at <= end) else { break };
            self.now.wall_ms += at.saturating_sub(self.now.mono_ms) as i64;
            self.now.mono_ms = self.now.mono_ms.max(at);
            self.coordinator.on_time(self.now);
            self.drain();
        }
        assert!(self.answered.iter().all(|times| *times == 1), "{count} joined, answered {:?} times", self.answered);
    }
}

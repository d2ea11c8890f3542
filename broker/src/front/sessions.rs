//! Fetch sessions (KIP-227): the broker remembers which partitions a consumer fetches and what it was told, so that requests and
//! answers carry only what changed.
//!
//! Each shard has its own sessions: one that a client continues on a connection of another shard is not found there, and the client
//! starts anew; one whose connection moves to another shard goes with it. Their ids differ from shard to shard, so that no session is mistaken for another. Cache and eviction follow
//! Kafka's `FetchSessionCacheShard`; there are no privileged (follower) sessions.

use crate::io::ShardId;
use crate::limits::SESSION_EVICTION_MS;
use protocol::{ErrorCode, Uuid};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The session epoch of a request that opens a session.
pub(crate) const INITIAL_EPOCH: i32 = 0;
/// The session epoch of a request that closes its session, or wants none.
pub(crate) const FINAL_EPOCH: i32 = -1;

/// A topic as the session's requests name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TopicRef {
    Name(Arc<str>),
    Id(Uuid),
}

/// What a consumer wants of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Want {
    pub(crate) offset: i64,
    pub(crate) bytes_max: i32,
    pub(crate) current_epoch: i32,
    pub(crate) last_epoch: i32,
}

/// One partition of a fetch, by its topic and index.
pub(crate) type Place = (TopicRef, i32);

/// What a consumer was told of one partition; a difference is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) high_watermark: i64,
    pub(crate) log_start: i64,
}

/// What a fetch found in one partition, as far as sessions care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) told: Told,
    pub(crate) has_records: bool,
    /// An error or a diverging epoch: always told, and forgotten, so that its end is told too.
    pub(crate) is_trouble: bool,
}

#[derive(Clone, Copy, Debug)]
struct Cached {
    want: Want,
    told: Option<Told>,
    /// Its place in `Session::order`.
    turn: u64,
}

#[derive(Debug)]
pub(crate) struct Session {
    epoch: i32,
    by_id: bool,
    created_ms: u64,
    used_ms: u64,
    parts: BTreeMap<Place, Cached>,
    /// Whose turn it is: partitions that had records go to the end, so that a full answer does not starve the others.
    order: BTreeMap<u64, Place>,
    next_turn: u64,
}

/// The sessions of one shard.
#[derive(Debug)]
pub(crate) struct Sessions {
    by_id: BTreeMap<i32, Session>,
    slots: usize,
    ids: IdSource,
}

#[derive(Debug)]
struct IdSource {
    state: u64,
    me: ShardId,
    shards: u16,
}

impl IdSource {
    /// A positive id that only this shard gives out, and that a former run is unlikely to have given out.
    fn next(&mut self) -> i32 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let places = (i32::MAX as u64 - u64::from(self.shards)) / u64::from(self.shards);
        let id = 1 + (mixed % places) * u64::from(self.shards) + u64::from(self.me.0);
        id as i32
    }
}

/// The epoch that a session's next request must have.
fn next_epoch(epoch: i32) -> i32 {
    match epoch {
        i32::MAX => 1,
        _ => epoch + 1,
    }
}

impl Sessions {
    /// `slots` sessions at most; `seed` differs from run to run.
    pub(crate) fn new(slots: usize, seed: u64, me: ShardId, shards: u16) -> Self {
        Sessions { by_id: BTreeMap::new(), slots, ids: IdSource { state: seed, me, shards } }
    }

    /// Number of sessions.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Takes a session out, for another shard.
    pub(crate) fn take(&mut self, id: i32) -> Option<Session> {
        self.by_id.remove(&id)
    }

    /// Takes over a session of another shard, whose ids are none of ours; false if there is no room.
    pub(crate) fn put(&mut self, id: i32, session: Session, now_ms: u64) -> bool {
        let has_room = self.make_room(session.parts.len(), now_ms);
        if has_room {
            self.by_id.insert(id, session);
        }
        has_room
    }

    /// Forgets a session.
    pub(crate) fn remove(&mut self, id: i32) {
        self.by_id.remove(&id);
    }

    /// Continues a session: checks the epoch, takes over what the request changes, and returns everything to be fetched in
    /// order. An empty list means that nothing was left, and the session is gone.
    pub(crate) fn resume(
        &mut self,
        id: i32,
        epoch: i32,
        by_id: bool,
        wanted: Vec<(Place, Want)>,
        forgotten: &[Place],
        now_ms: u64,
    ) -> Result<Vec<(Place, Want)>, ErrorCode> {
        let session = self.by_id.get_mut(&id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.epoch != epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.by_id != by_id {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        for (place, want) in wanted {
            session.put(place, want);
        }
        for place in forgotten {
            if let Some(cached) = session.parts.remove(place) {
                session.order.remove(&cached.turn);
            }
        }
        if session.parts.is_empty() {
            self.by_id.remove(&id);
            return Ok(Vec::new());
        }
        session.epoch = next_epoch(epoch);
        session.used_ms = now_ms;
        let in_turn = session.order.values().filter_map(|place| Some((place.clone(), session.parts.get(place)?.want)));
        Ok(in_turn.collect())
    }

    /// Opens a session for a full fetch that is being answered, if there is room. Returns its id, or 0.
    pub(crate) fn open(&mut self, by_id: bool, parts: Vec<(Place, Want, News)>, now_ms: u64) -> i32 {
        if parts.is_empty() || !self.make_room(parts.len(), now_ms) {
            return 0;
        }
        let mut id = self.ids.next();
        while self.by_id.contains_key(&id) {
            id = self.ids.next();
        }
        let mut session = Session {
            epoch: next_epoch(INITIAL_EPOCH),
            by_id,
            created_ms: now_ms,
            used_ms: now_ms,
            parts: BTreeMap::new(),
            order: BTreeMap::new(),
            next_turn: 0,
        };
        for (place, want, _) in &parts {
            session.put(place.clone(), *want);
        }
        for (place, _, news) in &parts {
            session.tell(place, *news);
        }
        self.by_id.insert(id, session);
        id
    }

    /// Which of these partitions the answer of a resumed session carries; remembers what it tells. `epoch` is the request's.
    pub(crate) fn select(&mut self, id: i32, epoch: i32, news: &[(Place, News)]) -> Result<Vec<bool>, ErrorCode> {
        let session = self.by_id.get_mut(&id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.epoch != next_epoch(epoch) {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        Ok(news.iter().map(|(place, news)| session.tell(place, *news)).collect())
    }

    /// Whether there is room for a session of `size` partitions, after evicting an idle one, or an old one that is smaller.
    fn make_room(&mut self, size: usize, now_ms: u64) -> bool {
        if self.by_id.len() < self.slots {
            return true;
        }
        let idlest = self.by_id.iter().min_by_key(|(id, session)| (session.used_ms, **id));
        let Some((&idle_id, idlest)) = idlest else { return false };
        if now_ms.saturating_sub(idlest.used_ms) > SESSION_EVICTION_MS {
            self.by_id.remove(&idle_id);
            return true;
        }
        let old =
            self.by_id.iter().filter(|(_, session)| now_ms.saturating_sub(session.created_ms) > SESSION_EVICTION_MS);
        match old
            .min_by_key(|(id, session)| (session.parts.len(), **id))
            .map(|(id, session)| (*id, session.parts.len()))
        {
            Some((id, parts)) if parts < size => {
                self.by_id.remove(&id);
                true
            }
            _ => false,
        }
    }
}

impl Session {
    fn put(&mut self, place: Place, want: Want) {
        match self.parts.get_mut(&place) {
            Some(cached) => cached.want = want,
            None => {
                let turn = self.next_turn;
                self.next_turn += 1;
                self.order.insert(turn, place.clone());
                self.parts.insert(place, Cached { want, told: None, turn });
            }
        }
    }

    /// Whether the consumer has to be told; if so, remembers that it was.
    fn tell(&mut self, place: &Place, news: News) -> bool {
        let Some(cached) = self.parts.get_mut(place) else { return news.is_trouble };
        let must = news.is_trouble || news.has_records || cached.told != Some(news.told);
        cached.told = (!news.is_trouble).then_some(news.told);
        if news.has_records {
            self.order.remove(&cached.turn);
            cached.turn = self.next_turn;
            self.next_turn += 1;
            self.order.insert(cached.turn, place.clone());
        }
        must
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANT: Want = Want { offset: 0, bytes_max: 100, current_epoch: -1, last_epoch: -1 };
    const QUIET: News = News { told: Told { high_watermark: 5, log_start: 0 }, has_records: false, is_trouble: false };

    fn place(index: i32) -> Place {
        (TopicRef::Name(Arc::from("t")), index)
    }

    fn sessions(slots: usize) -> Sessions {
        Sessions::new(slots, 1, ShardId(1), 3)
    }

    fn open(sessions: &mut Sessions, parts: i32, now_ms: u64) -> i32 {
        sessions.open(false, (0..parts).map(|index| (place(index), WANT, QUIET)).collect(), now_ms)
    }

    fn resumed(sessions: &mut Sessions, id: i32, epoch: i32) -> Result<Vec<i32>, ErrorCode> {
        let parts = sessions.resume(id, epoch, false, Vec::new(), &[], 0)?;
        Ok(parts.into_iter().map(|((_, index), _)| index).collect())
    }

    #[test]
    fn only_changes_are_told() {
        let mut sessions = sessions(10);
        let id = open(&mut sessions, 4, 0);
        assert_eq!(resumed(&mut sessions, id, 1), Ok(vec![0, 1, 2, 3]));
        let moved = News { told: Told { high_watermark: 6, log_start: 0 }, ..QUIET };
        let trouble = News { told: Told { high_watermark: -1, log_start: -1 }, is_trouble: true, ..QUIET };
        let records = News { has_records: true, ..QUIET };
        let news = [(place(0), QUIET), (place(1), moved), (place(2), trouble), (place(3), records)];
        assert_eq!(sessions.select(id, 1, &news), Ok(vec![false, true, true, true]));
        assert_eq!(resumed(&mut sessions, id, 2), Ok(vec![0, 1, 2, 3]));
        let calm = [(place(0), QUIET), (place(1), moved), (place(2), QUIET), (place(3), QUIET)];
        assert_eq!(sessions.select(id, 2, &calm), Ok(vec![false, false, true, false]));
    }

    #[test]
    fn partitions_with_records_go_to_the_end() {
        let mut sessions = sessions(10);
        let id = open(&mut sessions, 3, 0);
        resumed(&mut sessions, id, 1).unwrap();
        sessions.select(id, 1, &[(place(0), News { has_records: true, ..QUIET })]).unwrap();
        assert_eq!(resumed(&mut sessions, id, 2), Ok(vec![1, 2, 0]));
    }

    #[test]
    fn partitions_are_added_changed_and_forgotten() {
        let mut sessions = sessions(10);
        let id = open(&mut sessions, 2, 0);
        let further = Want { offset: 9, ..WANT };
        let wanted = vec![(place(7), WANT), (place(0), further)];
        let parts = sessions.resume(id, 1, false, wanted, &[place(1)], 0).unwrap();
        assert_eq!(parts, [(place(0), further), (place(7), WANT)]);
        assert_eq!(sessions.resume(id, 2, false, Vec::new(), &[place(0), place(7)], 0), Ok(Vec::new()));
        assert_eq!(resumed(&mut sessions, id, 3), Err(ErrorCode::FetchSessionIdNotFound));
    }

    #[test]
    fn epochs_and_naming_are_checked() {
        let mut sessions = sessions(10);
        let id = open(&mut sessions, 1, 0);
        assert_eq!(resumed(&mut sessions, id, 2), Err(ErrorCode::InvalidFetchSessionEpoch));
        assert_eq!(sessions.resume(id, 1, true, Vec::new(), &[], 0), Err(ErrorCode::FetchSessionTopicIdError));
        assert_eq!(resumed(&mut sessions, id + 3, 1), Err(ErrorCode::FetchSessionIdNotFound));
        sessions.by_id.get_mut(&id).unwrap().epoch = i32::MAX;
        assert_eq!(resumed(&mut sessions, id, i32::MAX), Ok(vec![0]));
        assert_eq!(resumed(&mut sessions, id, 1), Ok(vec![0]));
    }

    #[test]
    fn eviction() {
        let mut sessions = sessions(2);
        let (small, big) = (open(&mut sessions, 1, 0), open(&mut sessions, 5, 0));
        assert_eq!(open(&mut sessions, 9, SESSION_EVICTION_MS), 0, "nothing is old yet");
        for id in [small, big] {
            sessions.by_id.get_mut(&id).unwrap().used_ms = SESSION_EVICTION_MS;
        }
        let late_ms = SESSION_EVICTION_MS + 1;
        assert_eq!(open(&mut sessions, 1, late_ms), 0, "an old one goes only for a larger one");
        let third = open(&mut sessions, 2, late_ms);
        assert!(third != 0 && !sessions.by_id.contains_key(&small) && sessions.by_id.contains_key(&big));
        let fourth = open(&mut sessions, 1, 3 * SESSION_EVICTION_MS);
        assert!(fourth != 0 && !sessions.by_id.contains_key(&big), "an idle one goes for any");
        assert_eq!((sessions.len(), open(&mut super::tests::sessions(0), 1, 0)), (2, 0));
    }

    #[test]
    fn ids_are_positive_and_of_their_shard() {
        let mut ids = IdSource { state: 0, me: ShardId(1), shards: 3 };
        for _ in 0..1000 {
            let id = ids.next();
            assert!(id > 0 && (id - 1) % 3 == 1);
        }
    }
}

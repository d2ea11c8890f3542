//! What members subscribe to, turned into topics that exist: patterns are matched again when topics change or time passes, and a
//! hash tells whether any topic that the group reads came, went or grew.

use super::member::ConsumerMember;
use super::pattern::Pattern;
use super::records;
use super::state::{ConsumerGroup, Turn};
use crate::group::limits::PATTERN_REFRESH_MS_MIN;
use crate::image::{MetadataImage, TopicImage};
use protocol::Uuid;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

/// What a pattern matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// Names of topics.
    pub(crate) topics: Arc<BTreeSet<Arc<str>>>,
    /// Version of the metadata that it was matched with.
    pub(crate) version: i64,
    /// When, in milliseconds of the wall clock.
    pub(crate) matched_wall_ms: i64,
}

impl ConsumerGroup {
    /// Looks at patterns and topics again where something may have changed. Whether the topics that the group reads did.
    pub(super) fn look_at_topics(&mut self, turn: &mut Turn<'_>, subscription_changed: bool) -> bool {
        let moved = self.topics_seen != turn.fx.topics_changes;
        let since_ms = turn.fx.now.mono_ms.saturating_sub(self.matched_ms);
        let is_old = since_ms >= turn.fx.settings.consumer.regex_refresh_interval_ms;
        let matches_again = !self.patterns.is_empty() && (is_old || (moved && since_ms >= PATTERN_REFRESH_MS_MIN));
        if !(subscription_changed || moved || matches_again) {
            return false;
        }
        if matches_again {
            self.match_all(turn);
        }
        if self.patterns.is_empty() || matches_again {
            self.topics_seen = turn.fx.topics_changes;
        }
        let hash = self.hash_topics(&turn.fx.image);
        std::mem::replace(&mut self.topics_hash, hash) != hash
    }

    fn match_all(&mut self, turn: &mut Turn<'_>) {
        self.matched_ms = turn.fx.now.mono_ms;
        for text in self.patterns.keys().cloned().collect::<Vec<_>>() {
            self.match_one(turn, &text);
        }
    }

    /// Matches one pattern against all topics, and writes down what is new.
    fn match_one(&mut self, turn: &mut Turn<'_>, text: &Arc<str>) {
        let Ok(pattern) = Pattern::new(text) else {
            // Patterns are checked before they are taken; Kafka's log may hold one that we do not take.
            tracing::warn!(group = %turn.group, pattern = &**text, "the pattern cannot be matched; it keeps its topics");
            return;
        };
        let image = &turn.fx.image;
        let topics: BTreeSet<Arc<str>> =
            image.topics().map(|topic| &topic.name).filter(|name| pattern.matches(name)).cloned().collect();
        let resolved =
            Resolved { topics: Arc::new(topics), version: image.version(), matched_wall_ms: turn.fx.now.wall_ms };
        let known = self.patterns.get(text).filter(|known| known.matched_wall_ms > 0);
        if known.is_none_or(|known| known.topics != resolved.topics) {
            turn.records.push(records::pattern(turn.group, text, &resolved));
            self.patterns.insert(text.clone(), resolved);
        }
    }

    /// Keeps the patterns to those that members have: a new one is matched at once, one without members goes.
    pub(super) fn follow_patterns(&mut self, turn: &mut Turn<'_>, gone: Option<Arc<str>>, come: Option<Arc<str>>) {
        if gone == come {
            return;
        }
        if let Some(text) = gone {
            let has = |member: &ConsumerMember| member.facts.pattern() == Some(&text);
            if !self.members.values().any(has) && self.patterns.remove(&text).is_some() {
                turn.records.push(records::pattern_tombstone(turn.group, &text));
            }
        }
        if let Some(text) = come.filter(|text| !self.patterns.contains_key(text)) {
            self.patterns.insert(text.clone(), Resolved::default());
            self.match_one(turn, &text);
        }
    }

    /// Names of all topics that somebody reads.
    pub(super) fn topic_names(&self) -> BTreeSet<&Arc<str>> {
        self.names.keys().chain(self.patterns.values().flat_map(|resolved| resolved.topics.iter())).collect()
    }

    /// FNV over those that exist. Kafka hashes otherwise: a group that it wrote gets one rebalance when it comes here.
    fn hash_topics(&self, image: &MetadataImage) -> i64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut take = |bytes: &[u8]| {
            for byte in bytes {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        };
        for topic in self.topic_names().into_iter().filter_map(|name| image.topic(name)) {
            take(&topic.id.0);
            take(&partition_count(topic).to_be_bytes());
        }
        hash as i64
    }

    /// The ids of what each member subscribes to; equal subscriptions share them.
    pub(super) fn topics_by_member(&self, image: &MetadataImage) -> Vec<Rc<[Uuid]>> {
        type Key<'a> = (&'a [Arc<str>], Option<&'a Arc<str>>);
        let mut known: BTreeMap<Key<'_>, Rc<[Uuid]>> = BTreeMap::new();
        let ids = |key: &Key<'_>| -> Rc<[Uuid]> {
            let matched = key.1.and_then(|text| self.patterns.get(text)).into_iter().flat_map(|r| r.topics.iter());
            let all: BTreeSet<Uuid> =
                key.0.iter().chain(matched).filter_map(|name| Some(image.topic(name)?.id)).collect();
            all.into_iter().collect()
        };
        let mut topics = Vec::with_capacity(self.members.len());
        for facts in self.members.values().map(|member| &member.facts) {
            let key: Key<'_> = (&facts.names, facts.pattern());
            topics.push(known.entry(key).or_insert_with(|| ids(&key)).clone());
        }
        topics
    }
}

/// Partitions of a topic.
pub(super) fn partition_count(topic: &TopicImage) -> i32 {
    i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX)
}

//! The table against the list that an operator can expect to be known.

use super::*;
use crate::config::topic;

/// The broker keys that are set most in the field.
const GOLDEN: &str = "
node.id broker.id process.roles broker.rack listeners advertised.listeners listener.security.protocol.map
inter.broker.listener.name security.inter.broker.protocol controller.listener.names controller.quorum.bootstrap.servers
controller.quorum.voters controller.quorum.auto.join.enable controller.quorum.election.timeout.ms
controller.quorum.fetch.timeout.ms controller.quorum.election.backoff.max.ms early.start.listeners
broker.heartbeat.interval.ms broker.session.timeout.ms num.network.threads num.io.threads queued.max.requests
queued.max.request.bytes socket.send.buffer.bytes socket.receive.buffer.bytes socket.request.max.bytes
socket.listen.backlog.size connections.max.idle.ms max.connections max.connections.per.ip max.connections.per.ip.overrides
max.connection.creation.rate connection.failed.authentication.delay.ms connections.max.reauth.ms fetch.max.bytes
max.incremental.fetch.session.cache.slots max.request.partition.size.limit message.max.bytes log.dirs log.dir
metadata.log.dir cordoned.log.dirs num.recovery.threads.per.data.dir background.threads log.retention.check.interval.ms
log.initial.task.delay.ms log.flush.offset.checkpoint.interval.ms log.flush.start.offset.checkpoint.interval.ms
log.flush.scheduler.interval.ms log.dir.failure.timeout.ms log.cleaner.enable log.cleaner.threads
log.cleaner.dedupe.buffer.size log.cleaner.io.buffer.size log.cleaner.io.buffer.load.factor
log.cleaner.io.max.bytes.per.second log.cleaner.backoff.ms num.partitions default.replication.factor min.insync.replicas
unclean.leader.election.enable auto.create.topics.enable delete.topic.enable create.topic.policy.class.name
alter.config.policy.class.name auto.leader.rebalance.enable leader.imbalance.check.interval.seconds
controlled.shutdown.enable num.replica.fetchers replica.lag.time.max.ms replica.fetch.max.bytes replica.fetch.min.bytes
replica.fetch.response.max.bytes replica.fetch.wait.max.ms replica.fetch.backoff.ms replica.socket.timeout.ms
replica.socket.receive.buffer.bytes replica.high.watermark.checkpoint.interval.ms replica.selector.class
follower.fetch.last.tiered.offset.enable leader.replication.throttled.rate follower.replication.throttled.rate
replica.alter.log.dirs.io.max.bytes.per.second request.timeout.ms group.min.session.timeout.ms group.max.session.timeout.ms
group.initial.rebalance.delay.ms group.max.size offset.metadata.max.bytes offsets.topic.num.partitions
offsets.topic.replication.factor offsets.topic.segment.bytes offsets.topic.compression.codec offsets.retention.minutes
offsets.retention.check.interval.ms offsets.commit.timeout.ms offsets.load.buffer.size group.coordinator.rebalance.protocols
group.coordinator.threads group.coordinator.append.linger.ms group.coordinator.background.threads
group.coordinator.cached.buffer.max.bytes group.consumer.session.timeout.ms group.consumer.heartbeat.interval.ms
group.consumer.max.size group.consumer.assignors group.consumer.migration.policy group.consumer.regex.refresh.interval.ms
group.consumer.assignment.interval.ms group.share.assignment.interval.ms group.streams.assignment.interval.ms
group.share.session.timeout.ms group.share.heartbeat.interval.ms group.share.max.size group.share.record.lock.duration.ms
group.share.delivery.count.limit group.share.partition.max.record.locks group.share.max.share.sessions
share.coordinator.state.topic.num.partitions share.coordinator.state.topic.replication.factor
share.coordinator.state.topic.min.isr share.coordinator.state.topic.segment.bytes group.streams.session.timeout.ms
group.streams.heartbeat.interval.ms group.streams.initial.rebalance.delay.ms group.streams.num.standby.replicas
transaction.max.timeout.ms transactional.id.expiration.ms transaction.state.log.num.partitions
transaction.state.log.replication.factor transaction.state.log.min.isr transaction.state.log.segment.bytes
transaction.abort.timed.out.transaction.cleanup.interval.ms transaction.remove.expired.transaction.cleanup.interval.ms
transaction.partition.verification.enable transaction.two.phase.commit.enable producer.id.expiration.ms
producer.id.expiration.check.interval.ms authorizer.class.name super.users allow.everyone.if.no.acl.found
principal.builder.class sasl.enabled.mechanisms sasl.mechanism.inter.broker.protocol sasl.mechanism.controller.protocol
sasl.jaas.config sasl.server.callback.handler.class sasl.oauthbearer.jwks.endpoint.url sasl.oauthbearer.expected.audience
sasl.oauthbearer.expected.issuer sasl.oauthbearer.clock.skew.seconds sasl.oauthbearer.scope.claim.name
sasl.oauthbearer.sub.claim.name sasl.kerberos.service.name sasl.kerberos.principal.to.local.rules
sasl.server.max.receive.size ssl.keystore.location ssl.keystore.password ssl.keystore.type ssl.keystore.key
ssl.keystore.certificate.chain ssl.key.password ssl.truststore.location ssl.truststore.password ssl.truststore.type
ssl.truststore.certificates ssl.client.auth ssl.enabled.protocols ssl.cipher.suites ssl.endpoint.identification.algorithm
ssl.principal.mapping.rules delegation.token.secret.key delegation.token.max.lifetime.ms delegation.token.expiry.time.ms
quota.window.num quota.window.size.seconds client.quota.callback.class remote.log.storage.system.enable
remote.log.storage.manager.class.name remote.log.metadata.manager.class.name remote.log.manager.copier.thread.pool.size
remote.log.manager.expiration.thread.pool.size remote.log.manager.follower.thread.pool.size remote.log.reader.threads
remote.log.manager.copy.max.bytes.per.second remote.log.manager.fetch.max.bytes.per.second remote.fetch.max.wait.ms
remote.log.index.file.cache.total.size.bytes remote.list.offsets.request.timeout.ms remote.log.manager.task.interval.ms
remote.log.metadata.topic.min.isr metric.reporters config.providers unstable.api.versions.enable
unstable.feature.versions.enable";

#[test]
fn every_expected_key_is_there_once() {
    for name in GOLDEN.split_whitespace() {
        assert_eq!(keys().filter(|key| key.name == name).count(), 1, "{name}");
    }
    assert_eq!(GOLDEN.split_whitespace().count(), 195);
    assert_eq!(keys().count(), 363, "Kafka 4.3.1's public keys and ours");
    let mut names: Vec<&str> = keys().map(|key| key.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 363, "no key twice");
}

#[test]
fn every_synonym_of_a_topic_key_is_a_broker_key() {
    for synonym in topic::KEYS.iter().flat_map(|key| key.synonyms) {
        let key = find(synonym.key);
        assert!(key.is_some_and(|key| key.fate == Fate::Used), "{}", synonym.key);
    }
}

#[test]
fn defaults_stand_as_they_are() {
    for key in keys() {
        let Some(default) = key.default else { continue };
        let standing = judge(key.name, default);
        assert!(matches!(standing, Ok(Standing::Used | Standing::Notice(_))), "{}={default}: {standing:?}", key.name);
    }
}

#[test]
fn every_key_has_a_sentence_of_its_own() {
    let mut seen = std::collections::BTreeMap::new();
    for key in keys() {
        assert!(key.about.ends_with('.') && key.about.len() > 15, "{}", key.name);
        assert!(key.doc().starts_with(key.about) && key.doc().ends_with('.'), "{}", key.name);
        let other = seen.insert(key.about, key.name);
        assert_eq!(other, None, "{} is described like another one", key.name);
    }
}

#[test]
fn standings() {
    for (name, value, expect) in [
        ("num.partitions", "3", Standing::Used),
        ("num.io.threads", "8", Standing::Notice(why::THREADS)),
        ("ssl.keystore.location", "/k", Standing::Refused(why::NO_TLS)),
        ("ssl.client.auth", "required", Standing::Refused(why::NO_TLS)),
        ("sasl.enabled.mechanisms", "PLAIN", Standing::Refused(why::NO_SASL)),
        ("sasl.enabled.mechanisms", "GSSAPI", Standing::Used),
        ("listener.name.out.scram-sha-256.sasl.jaas.config", "x", Standing::Refused(why::NO_SASL)),
        ("listener.name.out.ssl.keystore.location", "x", Standing::Refused(why::NO_TLS)),
        ("authorizer.class.name", "org.example.Authorizer", Standing::Refused(why::NO_ACL)),
        ("authorizer.class.name", "", Standing::Used),
        ("remote.log.storage.system.enable", "true", Standing::Refused(why::NO_TIER)),
        ("remote.log.storage.system.enable", "false", Standing::Used),
        ("create.topic.policy.class.name", "org.example.P", Standing::Refused(why::NO_POLICY)),
        ("config.providers", "file", Standing::Refused(why::NO_PROVIDERS)),
        ("security.inter.broker.protocol", "SSL", Standing::Refused(why::NO_TLS)),
        ("num.partition", "3", Standing::Unknown),
        ("log.retention.hour", "3", Standing::Unknown),
        ("completely.different.thing.of.mine", "3", Standing::Unknown),
    ] {
        assert_eq!(judge(name, value), Ok(expect), "{name}");
    }
    for historic in ["zookeeper.connect", "inter.broker.protocol.version", "port", "password.encoder.secret"] {
        assert!(matches!(judge(historic, "x"), Ok(Standing::Historic(_))), "{historic}");
    }
    for (name, value) in
        [("num.partitions", "0"), ("num.io.threads", "many"), ("log.segment.bytes", "10"), ("node.id", "")]
    {
        assert!(judge(name, value).is_err(), "{name}={value}");
    }
}

#[test]
fn names_of_one_listener_are_based_on_a_key() {
    for (name, expect) in [
        ("max.connections", Some("max.connections")),
        ("listener.name.out.max.connections", Some("max.connections")),
        ("listener.name.out.scram-sha-256.sasl.jaas.config", Some("sasl.jaas.config")),
        ("listener.name.out.no.such", None),
        ("listener.name.out", None),
        ("my.own", None),
    ] {
        assert_eq!(base(name).map(|key| key.name), expect, "{name}");
    }
}

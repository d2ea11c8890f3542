//! Configurations as the administrator alters them, of topics and of what else has some, and what must be true of them: what was
//! acknowledged is what is described, also after every restart; an alteration without an answer holds whole or not at all; one that
//! was refused, or was only to be validated, changed nothing.

use super::truth::{Promise, Standing, Topic, Truth};
use super::violation::Violation;
use super::wire::{Answer, Link};
use engine::io::sim::Rng;
use engine::time::Mono;
use protocol::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource as ReplacedResource, AlterConfigsResponse, AlterableConfig as Replacement,
};
use protocol::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResponse};
use protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use protocol::{ApiKey, ErrorCode};
use std::collections::BTreeMap;

const TOPIC: i8 = 2;
/// What else has a configuration: its type, its name, and the source of what is set on it itself, in DescribeConfigs.
const OTHERS: [(i8, &str, i8); 4] = [(32, "l0", 8), (16, "subscription", 7), (4, "", 3), (4, "1", 2)];
/// A value that no key takes here.
const BAD: &str = "-5";
const SET: i8 = 0;
const DELETE: i8 = 1;
/// Set on the topic itself, in DescribeConfigs.
const OF_TOPIC: i8 = 1;

/// Values by key.
pub(crate) type Values = BTreeMap<String, String>;

/// One key and its new value; none removes it.
pub(crate) type Step = (&'static str, Option<String>);

/// What is known of one topic's configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Acknowledged, or seen since.
    pub(crate) values: Values,
    /// What an alteration that has no answer yet would make of it.
    pub(crate) asked: Option<Values>,
}

impl Known {
    /// A topic that is made with these values.
    pub(crate) fn made(configs: &[(&'static str, String)]) -> Known {
        let values = configs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        Known { values, asked: None }
    }

    /// Whether nothing at all may be set, so that nobody need know of it.
    fn may_be_none(&self) -> bool {
        self.values.is_empty() || self.asked.as_ref().is_some_and(Values::is_empty)
    }

    /// What is set once these steps were taken.
    fn after(&self, steps: &[Step]) -> Values {
        let mut after = self.values.clone();
        for (key, value) in steps {
            match value {
                Some(value) => after.insert((*key).to_owned(), value.clone()),
                None => after.remove(*key),
            };
        }
        after
    }

    /// Somebody saw these values: they must be those that hold, or those that are asked for, which hold from then on.
    fn seen(&mut self, topic: &str, values: Values) -> Result<(), Violation> {
        if self.values == values {
            return Ok(());
        }
        if self.asked.as_ref() == Some(&values) {
            self.values = values;
            return Ok(());
        }
        let known = format!("{:?}{}", self.values, self.asked.as_ref().map_or("", |_| ", an alteration was under way"));
        Err(Violation::Config { topic: topic.to_owned(), known, got: format!("{values:?}") })
    }
}

/// Whose configuration it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// A topic's, by its number.
    Topic(usize),
    /// One of [`OTHERS`].
    Other(usize),
}

/// An alteration: its steps, and whether one of them is bad, so that all must be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alteration {
    target: Target,
    steps: Vec<Step>,
    is_bad: bool,
    /// What is set afterwards.
    wanted: Values,
    /// By the older call (33), which says all that is to be set.
    replaces: bool,
    /// It is only to be seen whether it would be taken.
    validates: bool,
}

impl Alteration {
    /// Draws one of a topic, or of something else, and notes what it may lead to.
    pub(crate) fn draw(truth: &mut Truth, topic: Option<usize>, rng: &mut Rng) -> Alteration {
        let target = match topic.filter(|_| rng.below(4) > 0) {
            Some(topic) => Target::Topic(topic),
            None => Target::Other(rng.below(OTHERS.len() as u64) as usize),
        };
        let mut steps = match target {
            Target::Topic(topic) => topic_steps(&truth.topics[topic], rng),
            Target::Other(other) => other_steps(other, rng),
        };
        let wanted = truth.configs_of(target).after(&steps);
        let is_bad = rng.below(5) == 0;
        if is_bad {
            let at = rng.below(steps.len() as u64 + 1) as usize;
            steps.insert(at, bad_step(target));
        }
        let (replaces, validates) = (rng.below(4) == 0, rng.below(6) == 0);
        let alteration = Alteration { target, steps, is_bad, wanted, replaces, validates };
        alteration.begin(truth);
        alteration
    }

    /// From now on it may be either.
    fn begin(&self, truth: &mut Truth) {
        if self.is_bad || self.validates {
            return;
        }
        truth.configs_of(self.target).asked = Some(self.wanted.clone());
        if let Target::Topic(topic) = self.target
            && promise(&self.wanted) == Promise::Kill
        {
            truth.topics[topic].weaken();
        }
    }

    pub(crate) fn ask(&self, truth: &Truth, link: &mut Link, now: Mono) {
        let (resource_type, name) = truth.resource_of(self.target);
        if self.replaces {
            let bad = self.steps.iter().find(|(_, value)| value.as_deref() == Some(BAD));
            let good = self.wanted.clone().into_iter().filter(|(key, _)| bad.is_none_or(|(bad, _)| bad != key));
            let all = good.chain(bad.map(|(key, _)| ((*key).to_owned(), BAD.to_owned())));
            let configs = all.map(|(name, value)| Replacement { name: name.into(), value: Some(value.into()) });
            let resource = ReplacedResource { resource_type, resource_name: name.into(), configs: configs.collect() };
            let request = AlterConfigsRequest { resources: vec![resource], validate_only: self.validates };
            return link.ask(now, ApiKey::AlterConfigs, 2, |writer| request.encode(writer, 2));
        }
        let configs = self.steps.iter().map(|(key, value)| AlterableConfig {
            name: (*key).into(),
            config_operation: if value.is_some() { SET } else { DELETE },
            value: value.clone().map(Into::into),
        });
        let resource = AlterConfigsResource { resource_type, resource_name: name.into(), configs: configs.collect() };
        let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: self.validates };
        link.ask(now, ApiKey::IncrementalAlterConfigs, 1, |writer| request.encode(writer, 1));
    }

    /// What became of it: a code if it has to be asked again, should there be a reason for that code.
    pub(crate) fn answered(&self, truth: &mut Truth, who: &str, answer: &Answer) -> Result<Option<i16>, Violation> {
        let (code, message) = self.verdict(who, answer)?;
        if let Target::Topic(topic) = self.target
            && truth.topics[topic].standing != Standing::Exists
        {
            // The disk was replaced meanwhile.
            return Ok(None);
        }
        match (ErrorCode::try_from(code), self.is_bad) {
            (Ok(ErrorCode::InvalidConfig | ErrorCode::InvalidRequest), true) => Ok(None),
            (Ok(ErrorCode::None), false) => {
                let known = truth.configs_of(self.target);
                if !self.validates {
                    // None is asked for where the disk was replaced meanwhile.
                    let anew = if self.replaces { self.wanted.clone() } else { known.after(&self.steps) };
                    known.values = known.asked.take().unwrap_or(anew);
                }
                if let Target::Topic(topic) = self.target
                    && promise(&truth.topics[topic].configs.values) == Promise::PowerCut
                {
                    truth.topics[topic].promise = Promise::PowerCut;
                }
                Ok(None)
            }
            (Ok(retriable), _) if retriable.is_retriable() => Ok(Some(code)),
            (_, is_bad) => {
                let expected = if is_bad { "it must be refused" } else { "it is allowed" };
                let code = format!("{}, {expected}: {message}", super::violation::name_of(code));
                Err(Violation::Code { who: who.to_owned(), what: "an alteration", code })
            }
        }
    }

    fn verdict(&self, who: &str, answer: &Answer) -> Result<(i16, String), Violation> {
        let message = |text: Option<&str>| text.unwrap_or_default().to_owned();
        if answer.asked.key == ApiKey::AlterConfigs {
            return answer.body(who, "AlterConfigs", |reader, version| {
                let response = AlterConfigsResponse::decode(reader, version)?;
                let first = response.responses.first();
                Ok(first.map_or((-1, String::new()), |of| (of.error_code, message(of.error_message.as_deref()))))
            });
        }
        answer.body(who, "IncrementalAlterConfigs", |reader, version| {
            let response = IncrementalAlterConfigsResponse::decode(reader, version)?;
            let first = response.responses.first();
            Ok(first.map_or((-1, String::new()), |of| (of.error_code, message(of.error_message.as_deref()))))
        })
    }
}

fn pick(rng: &mut Rng, values: &[i64]) -> String {
    values[rng.below(values.len() as u64) as usize].to_string()
}

fn topic_steps(topic: &Topic, rng: &mut Rng) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    if rng.coin() {
        steps.push(("segment.bytes", Some(pick(rng, &[1 << 20, 2 << 20, 1 << 30]))));
    }
    if rng.coin() {
        steps.push(("segment.ms", rng.coin().then(|| pick(rng, &[500, 5_000, 3_600_000]))));
    }
    if rng.coin() {
        steps.push(("index.interval.bytes", rng.coin().then(|| pick(rng, &[512, 1024, 4096]))));
    }
    if topic.compacts.is_none() && rng.coin() {
        steps.push(("cleanup.policy", rng.coin().then(|| if rng.coin() { "delete" } else { "" }.to_owned())));
    }
    if topic.forgets {
        steps.push(("retention.ms", Some(pick(rng, &[-1, 20_000]))));
        steps.push(("retention.bytes", Some(pick(rng, &[-1, 60_000]))));
    }
    if rng.below(3) > 0 {
        steps.push(durability(rng));
    }
    if steps.is_empty() {
        steps.push(("max.message.bytes", Some(pick(rng, &[1 << 20, 2 << 20]))));
    }
    steps
}

/// Of things that change nothing for the clients here.
fn other_steps(other: usize, rng: &mut Rng) -> Vec<Step> {
    let keys: [(&'static str, [i64; 2]); 2] = match OTHERS[other].0 {
        32 => [("consumer.session.timeout.ms", [20_000, 30_000]), ("consumer.heartbeat.interval.ms", [1_000, 2_000])],
        16 => [("interval.ms", [1_000, 60_000]), ("interval.ms", [5_000, 30_000])],
        _ => [("log.index.interval.bytes", [1024, 4096]), ("message.max.bytes", [1 << 20, 2 << 20])],
    };
    let mut steps = Vec::new();
    for (key, values) in keys {
        if steps.iter().all(|(known, _)| *known != key) && (steps.is_empty() || rng.coin()) {
            steps.push((key, (rng.below(4) > 0).then(|| pick(rng, &values))));
        }
    }
    steps
}

/// What nobody may set.
fn bad_step(target: Target) -> Step {
    let key = match target {
        Target::Topic(_) => "min.insync.replicas",
        Target::Other(other) => match OTHERS[other].0 {
            32 => "consumer.session.timeout.ms",
            16 => "interval.ms",
            _ => "message.max.bytes",
        },
    };
    (key, Some(BAD.to_owned()))
}

impl Truth {
    fn configs_of(&mut self, target: Target) -> &mut Known {
        match target {
            Target::Topic(topic) => &mut self.topics[topic].configs,
            Target::Other(other) => self.other_configs.entry(other).or_default(),
        }
    }

    fn resource_of(&self, target: Target) -> (i8, String) {
        match target {
            Target::Topic(topic) => (TOPIC, self.topics[topic].name.clone()),
            Target::Other(other) => (OTHERS[other].0, OTHERS[other].1.to_owned()),
        }
    }
}

fn durability(rng: &mut Rng) -> Step {
    let word = match rng.below(4) {
        0 => "none",
        1 => "interval",
        _ => "fsync",
    };
    ("durability", Some(word.to_owned()))
}

/// What values promise of acknowledged records.
pub(crate) fn promise(values: &Values) -> Promise {
    match values.get("durability").map(String::as_str) {
        None | Some("fsync") => Promise::PowerCut,
        Some(_) => Promise::Kill,
    }
}

/// Asks for the configuration of every topic that exists, and of whatever else was altered.
pub(crate) fn describe(truth: &Truth, link: &mut Link, now: Mono) {
    let existing = truth.topics.iter().filter(|topic| topic.standing == Standing::Exists);
    let resources = existing.map(|topic| DescribeConfigsResource {
        resource_type: TOPIC,
        resource_name: topic.name.clone().into(),
        configuration_keys: None,
    });
    let others = truth.other_configs.keys().map(|other| DescribeConfigsResource {
        resource_type: OTHERS[*other].0,
        resource_name: OTHERS[*other].1.into(),
        configuration_keys: None,
    });
    let request = DescribeConfigsRequest { resources: resources.chain(others).collect(), ..Default::default() };
    link.ask(now, ApiKey::DescribeConfigs, 4, |writer| request.encode(writer, 4));
}

/// Holds what was described against what is known.
pub(crate) fn check(truth: &mut Truth, who: &str, answer: &Answer) -> Result<(), Violation> {
    let described = answer.body(who, "DescribeConfigs", |reader, version| {
        let response = DescribeConfigsResponse::decode(reader, version)?;
        let results = response.results.iter().map(|result| {
            let source = source_of(result.resource_type, &result.resource_name);
            let own = result.configs.iter().filter(|config| config.config_source == source);
            let values: Values = own
                .map(|config| (config.name.to_string(), config.value.as_deref().unwrap_or_default().to_owned()))
                .collect();
            (result.resource_type, result.resource_name.to_string(), result.error_code, values)
        });
        Ok(results.collect::<Vec<_>>())
    })?;
    for (kind, name, code, values) in described {
        let Some(target) = truth.target_of(kind, &name) else { continue };
        if code != ErrorCode::None.code()
            && matches!(target, Target::Other(_))
            && truth.configs_of(target).may_be_none()
        {
            continue;
        }
        if code != ErrorCode::None.code() {
            return Err(Violation::TopicLost(format!("{name}: {}", super::violation::name_of(code))));
        }
        truth.configs_of(target).seen(&name, values)?;
    }
    Ok(())
}

/// The source of what is set on a resource itself.
fn source_of(kind: i8, name: &str) -> i8 {
    let other = OTHERS.iter().find(|(of, known, _)| (*of, *known) == (kind, name));
    other.map_or(OF_TOPIC, |(_, _, source)| *source)
}

impl Truth {
    /// Whose configuration it is, if that is known and there.
    fn target_of(&self, kind: i8, name: &str) -> Option<Target> {
        if kind != TOPIC {
            let other = OTHERS.iter().position(|(of, known, _)| (*of, *known) == (kind, name))?;
            return self.other_configs.contains_key(&other).then_some(Target::Other(other));
        }
        let topics = &self.topics;
        let at = topics.iter().position(|topic| topic.name == name && topic.standing == Standing::Exists)?;
        Some(Target::Topic(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn an_alteration_under_way_holds_whole_or_not_at_all() {
        let asked = [("a", Some("2".to_owned())), ("b", None), ("c", Some("3".to_owned()))];
        let under_way = || {
            let mut known = Known { values: values(&[("a", "1"), ("b", "1")]), asked: None };
            known.asked = Some(known.after(&asked));
            known
        };
        assert!(under_way().seen("t", values(&[("a", "1"), ("b", "1")])).is_ok());
        assert!(under_way().seen("t", values(&[("a", "2"), ("b", "1")])).is_err(), "a part of it");
        let mut known = under_way();
        assert!(known.seen("t", values(&[("a", "2"), ("c", "3")])).is_ok());
        assert!(known.seen("t", values(&[("a", "1"), ("b", "1")])).is_err(), "what was seen stays");
    }
}

//! Configurations of topics as the administrator alters them, and what must be true of them: what was acknowledged is what is
//! described, also after every restart; an alteration without an answer holds whole or not at all; one that was refused
//! changed nothing.

use super::truth::{Promise, Standing, Truth};
use super::violation::Violation;
use super::wire::{Answer, Link};
use engine::io::sim::Rng;
use engine::time::Mono;
use protocol::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResponse};
use protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use protocol::{ApiKey, ErrorCode};
use std::collections::BTreeMap;

const TOPIC: i8 = 2;
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

    fn ask(&mut self, steps: &[Step]) {
        let mut asked = self.values.clone();
        for (key, value) in steps {
            match value {
                Some(value) => asked.insert((*key).to_owned(), value.clone()),
                None => asked.remove(*key),
            };
        }
        self.asked = Some(asked);
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

/// An alteration: its steps, and whether one of them is bad, so that all must be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alteration {
    pub(crate) topic: usize,
    steps: Vec<Step>,
    is_bad: bool,
}

impl Alteration {
    /// Draws one, and notes what it may lead to.
    pub(crate) fn draw(truth: &mut Truth, topic: usize, rng: &mut Rng) -> Alteration {
        let pick = |rng: &mut Rng, values: &[i64]| values[rng.below(values.len() as u64) as usize].to_string();
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
        if truth.topics[topic].compacts.is_none() && rng.coin() {
            steps.push(("cleanup.policy", rng.coin().then(|| if rng.coin() { "delete" } else { "" }.to_owned())));
        }
        if truth.topics[topic].forgets {
            steps.push(("retention.ms", Some(pick(rng, &[-1, 20_000]))));
            steps.push(("retention.bytes", Some(pick(rng, &[-1, 60_000]))));
        }
        if rng.below(3) > 0 {
            steps.push(durability(rng));
        }
        if steps.is_empty() {
            steps.push(("max.message.bytes", Some(pick(rng, &[1 << 20, 2 << 20]))));
        }
        let is_bad = rng.below(5) == 0;
        if is_bad {
            let at = rng.below(steps.len() as u64 + 1) as usize;
            steps.insert(at, ("min.insync.replicas", Some("0".to_owned())));
        }
        let alteration = Alteration { topic, steps, is_bad };
        alteration.begin(truth);
        alteration
    }

    /// From now on the topic may be either.
    fn begin(&self, truth: &mut Truth) {
        if self.is_bad {
            return;
        }
        let topic = &mut truth.topics[self.topic];
        topic.configs.ask(&self.steps);
        if topic.configs.asked.as_ref().is_some_and(|asked| promise(asked) == Promise::Kill) {
            topic.weaken();
        }
    }

    pub(crate) fn ask(&self, truth: &Truth, link: &mut Link, now: Mono) {
        let configs = self.steps.iter().map(|(key, value)| AlterableConfig {
            name: (*key).into(),
            config_operation: if value.is_some() { SET } else { DELETE },
            value: value.clone().map(Into::into),
        });
        let resources = vec![AlterConfigsResource {
            resource_type: TOPIC,
            resource_name: truth.topics[self.topic].name.clone().into(),
            configs: configs.collect(),
        }];
        let request = IncrementalAlterConfigsRequest { resources, validate_only: false };
        link.ask(now, ApiKey::IncrementalAlterConfigs, 1, |writer| request.encode(writer, 1));
    }

    /// What became of it: a code if it has to be asked again, should there be a reason for that code.
    pub(crate) fn answered(&self, truth: &mut Truth, who: &str, answer: &Answer) -> Result<Option<i16>, Violation> {
        let (code, message) = answer.body(who, "IncrementalAlterConfigs", |reader, version| {
            let response = IncrementalAlterConfigsResponse::decode(reader, version)?;
            let first = response.responses.first();
            Ok(first.map_or((-1, String::new()), |result| {
                (result.error_code, result.error_message.as_deref().unwrap_or_default().to_owned())
            }))
        })?;
        let topic = &mut truth.topics[self.topic];
        if topic.standing != Standing::Exists {
            // The disk was replaced meanwhile.
            return Ok(None);
        }
        match (ErrorCode::try_from(code), self.is_bad) {
            (Ok(ErrorCode::InvalidConfig), true) => Ok(None),
            (Ok(ErrorCode::None), false) => {
                if let Some(values) = topic.configs.asked.take() {
                    topic.configs.values = values;
                }
                if promise(&topic.configs.values) == Promise::PowerCut {
                    topic.promise = Promise::PowerCut;
                }
                Ok(None)
            }
            (Ok(retriable), _) if retriable.is_retriable() => Ok(Some(code)),
            (_, is_bad) => {
                let expected = if is_bad { "it must be refused" } else { "it is allowed" };
                let code = format!("{}, {expected}: {message}", super::violation::name_of(code));
                Err(Violation::Code { who: who.to_owned(), what: "IncrementalAlterConfigs", code })
            }
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

/// Asks for the configuration of every topic that exists.
pub(crate) fn describe(truth: &Truth, link: &mut Link, now: Mono) {
    let existing = truth.topics.iter().filter(|topic| topic.standing == Standing::Exists);
    let resources = existing.map(|topic| DescribeConfigsResource {
        resource_type: TOPIC,
        resource_name: topic.name.clone().into(),
        configuration_keys: None,
    });
    let request = DescribeConfigsRequest { resources: resources.collect(), ..Default::default() };
    link.ask(now, ApiKey::DescribeConfigs, 4, |writer| request.encode(writer, 4));
}

/// Holds what was described against what is known.
pub(crate) fn check(truth: &mut Truth, who: &str, answer: &Answer) -> Result<(), Violation> {
    let described = answer.body(who, "DescribeConfigs", |reader, version| {
        let response = DescribeConfigsResponse::decode(reader, version)?;
        let results = response.results.iter().map(|result| {
            let own = result.configs.iter().filter(|config| config.config_source == OF_TOPIC);
            let values: Values = own
                .map(|config| (config.name.to_string(), config.value.as_deref().unwrap_or_default().to_owned()))
                .collect();
            (result.resource_name.to_string(), result.error_code, values)
        });
        Ok(results.collect::<Vec<_>>())
    })?;
    for (name, code, values) in described {
        let topic = truth.topics.iter_mut().find(|topic| topic.name == name);
        let Some(topic) = topic.filter(|topic| topic.standing == Standing::Exists) else { continue };
        if code != ErrorCode::None.code() {
            return Err(Violation::TopicLost(format!("{name}: {}", super::violation::name_of(code))));
        }
        topic.configs.seen(&name, values)?;
    }
    Ok(())
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
            known.ask(&asked);
            known
        };
        assert!(under_way().seen("t", values(&[("a", "1"), ("b", "1")])).is_ok());
        assert!(under_way().seen("t", values(&[("a", "2"), ("b", "1")])).is_err(), "a part of it");
        let mut known = under_way();
        assert!(known.seen("t", values(&[("a", "2"), ("c", "3")])).is_ok());
        assert!(known.seen("t", values(&[("a", "1"), ("b", "1")])).is_err(), "what was seen stays");
    }
}

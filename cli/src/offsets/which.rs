//! Which partitions are meant, and which point of them: the grammars of `--topic-partitions`, `--partitions` and `--time`.

use crate::client::{At, Cluster};
use crate::failure::Failure;
use crate::topic_filter::TopicFilter;

/// The names of points, as `--time` takes them.
const NAMES: [(&str, At); 6] = [
    ("latest", At::Latest),
    ("earliest", At::Earliest),
    ("max-timestamp", At::MaxTimestamp),
    ("earliest-local", At::EarliestLocal),
    ("latest-tiered", At::LatestTiered),
    ("earliest-pending-upload", At::EarliestPendingUpload),
];

/// A point by its name, its number on the wire, or a time in milliseconds.
pub(super) fn point(text: &str) -> Result<At, Failure> {
    if let Some((_, at)) = NAMES.iter().find(|(name, _)| *name == text) {
        return Ok(*at);
    }
    let names = NAMES.map(|(name, _)| name);
    let wrong = || {
        let text = format!(
            "--time {text}: expected {}, a number from -1 to -6 for them, or milliseconds since 1970",
            names.join(", ")
        );
        Failure::usage(text)
    };
    let number = text.parse().map_err(|_| wrong().did_you_mean(text, names))?;
    At::from_code(number).ok_or_else(wrong)
}

/// A rule that takes partitions of topics.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    topic: TopicFilter,
    partitions: Partitions,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Partitions {
    /// These; all if there is none.
    Listed(Vec<i32>),
    /// From the first to before the second.
    Range(i32, i32),
}

impl Rule {
    /// `--topic` and `--partitions`, either of which may be missing.
    pub(super) fn of(topic: Option<&str>, partitions: Option<&str>) -> Result<Rule, Failure> {
        let wrong =
            |text: &str| Failure::usage(format!("--partitions {text}: expected numbers with commas between them"));
        let listed = match partitions.filter(|text| !text.is_empty()) {
            None => Vec::new(),
            Some(text) => {
                text.split(',').map(|number| number.parse().map_err(|_| wrong(text))).collect::<Result<_, _>>()?
            }
        };
        let topic = TopicFilter::new("--topic", topic.unwrap_or(".*"))?;
        Ok(Rule { topic, partitions: Partitions::Listed(listed) })
    }

    /// A list of `topic:partitions`; either side may be missing.
    pub(super) fn list(text: &str) -> Result<Vec<Rule>, Failure> {
        text.split(',').map(Rule::one).collect()
    }

    fn one(text: &str) -> Result<Rule, Failure> {
        let (topic, range) = text.split_once(':').unwrap_or((text, ""));
        let wrong = || {
            Failure::usage(format!("--topic-partitions: `{text}` is no rule"))
                .hint("expected TOPIC, TOPIC:3, TOPIC:0-3 (without 3), TOPIC:2- or TOPIC:-3; TOPIC is a regular expression or missing")
        };
        let number = |digits: &str, default: i32| match digits {
            "" => Ok(default),
            digits if digits.bytes().all(|digit| digit.is_ascii_digit()) => digits.parse().map_err(|_| wrong()),
            _ => Err(wrong()),
        };
        let partitions = match range.split_once('-') {
            Some((from, to)) => Partitions::Range(number(from, 0)?, number(to, i32::MAX)?),
            None if range.is_empty() => Partitions::Range(0, i32::MAX),
            None => Partitions::Listed(vec![number(range, 0)?]),
        };
        let topic = TopicFilter::new("--topic-partitions", if topic.is_empty() { ".*" } else { topic })?;
        Ok(Rule { topic, partitions })
    }

    fn takes(&self, topic: &str, partition: i32) -> bool {
        let fits = match &self.partitions {
            Partitions::Listed(listed) => listed.is_empty() || listed.contains(&partition),
            Partitions::Range(from, to) => (*from..*to).contains(&partition),
        };
        fits && self.topic.matches(topic)
    }
}

/// The partitions of the cluster that any of the rules takes.
pub(super) fn partitions<'a>(cluster: &'a Cluster, rules: &[Rule], internal: bool) -> Vec<(&'a str, i32)> {
    let topics = cluster.topics.iter().filter(|topic| internal || !topic.is_internal);
    let all = topics.flat_map(|topic| topic.partitions.iter().map(|partition| (topic.name.as_str(), partition.index)));
    all.filter(|(topic, partition)| rules.iter().any(|rule| rule.takes(topic, *partition))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points() {
        for (text, expect) in [
            ("latest", At::Latest),
            ("-1", At::Latest),
            ("earliest", At::Earliest),
            ("-2", At::Earliest),
            ("-3", At::MaxTimestamp),
            ("earliest-local", At::EarliestLocal),
            ("-5", At::LatestTiered),
            ("earliest-pending-upload", At::EarliestPendingUpload),
            ("1700000000000", At::Time(1_700_000_000_000)),
            ("0", At::Time(0)),
        ] {
            assert_eq!(point(text).expect(text), expect, "{text}");
        }
        assert_eq!(point("earlyest").unwrap_err().hints, ["did you mean `earliest`?"]);
        assert!(point("-7").is_err());
    }

    #[test]
    fn rules() {
        for (text, yes, no) in [
            ("a", &[("a", 0), ("a", 9)][..], &[("b", 0)][..]),
            ("a:1", &[("a", 1)], &[("a", 0)]),
            ("a:1-3", &[("a", 1), ("a", 2)], &[("a", 0), ("a", 3)]),
            ("a:2-", &[("a", 2), ("a", 99)], &[("a", 1)]),
            ("a:-2", &[("a", 0), ("a", 1)], &[("a", 2)]),
            (":1", &[("a", 1), ("b", 1)], &[("a", 0)]),
            ("a.*:0,b", &[("ax", 0), ("b", 5)], &[("ax", 1)]),
        ] {
            let rules = Rule::list(text).expect(text);
            let takes = |(topic, partition): &(&str, i32)| rules.iter().any(|rule| rule.takes(topic, *partition));
            assert!(yes.iter().all(takes) && !no.iter().any(takes), "{text}");
        }
        for text in ["a:x", "a:1-x", "a:1:2", "a:+1"] {
            assert!(Rule::list(text).is_err(), "{text}");
        }
    }
}

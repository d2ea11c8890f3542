//! The values that configuration keys take: their type, the rule they obey and the check of both. Kafka's counterpart
//! is `ConfigDef` in its clients library.

use std::fmt;

/// The type of a configuration value, with Kafka's number for it in DescribeConfigs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum Kind {
    /// `true` or `false`, in any case.
    Boolean = 1,
    /// Free text, unless the rule says more.
    String = 2,
    /// A signed 32-bit number.
    Int = 3,
    /// A signed 16-bit number.
    Short = 4,
    /// A signed 64-bit number.
    Long = 5,
    /// A floating-point number.
    Double = 6,
    /// Comma-separated words.
    List = 7,
    /// The name of a Java class.
    Class = 8,
    /// A secret; never shown.
    Password = 9,
}

/// What a value must satisfy beyond its type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Nothing.
    Any,
    /// A number of at least this.
    Min(i64),
    /// A number between these, both included.
    Range(i64, i64),
    /// A fraction between these, both included.
    Fraction(f64, f64),
    /// `-1` (the codec's own default) or a number between these.
    DefaultOr(i64, i64),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Any of these words, each at most once; the list may be empty.
    AnyOf(&'static [&'static str]),
    /// `*`, nothing, or `partition:broker` pairs.
    Replicas,
    /// Not empty.
    NonEmpty,
}

/// A value that its key does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid value {value} for configuration {key}: {allowed}")]
pub struct Refusal {
    /// The key.
    pub key: String,
    /// The value as it was given.
    pub value: String,
    /// What would have been taken.
    pub allowed: String,
}

impl Refusal {
    /// A refusal that says what is allowed.
    pub fn new(key: &str, value: &str, allowed: impl fmt::Display) -> Self {
        Self { key: key.to_owned(), value: value.to_owned(), allowed: allowed.to_string() }
    }
}

/// Checks `value` against type and rule of `key`.
pub fn check(key: &str, kind: Kind, rule: Rule, value: &str) -> Result<(), Refusal> {
    let value = value.trim();
    let fits = match kind {
        Kind::Boolean => boolean(value).is_some(),
        Kind::Int => value.parse::<i32>().is_ok() && obeys(rule, value),
        Kind::Short => value.parse::<i16>().is_ok() && obeys(rule, value),
        Kind::Long => value.parse::<i64>().is_ok() && obeys(rule, value),
        Kind::Double => value.parse::<f64>().is_ok_and(|number| !number.is_nan()) && obeys(rule, value),
        Kind::String | Kind::List | Kind::Class | Kind::Password => obeys(rule, value),
    };
    if fits { Ok(()) } else { Err(Refusal::new(key, value, Allowed(kind, rule))) }
}

fn obeys(rule: Rule, value: &str) -> bool {
    let number = value.parse::<i64>();
    match rule {
        Rule::Any => true,
        Rule::Min(min) => number.is_ok_and(|n| n >= min),
        Rule::Range(min, max) => number.is_ok_and(|n| (min..=max).contains(&n)),
        Rule::DefaultOr(min, max) => number.is_ok_and(|n| n == -1 || (min..=max).contains(&n)),
        Rule::Fraction(min, max) => value.parse::<f64>().is_ok_and(|x| x >= min && x <= max),
        Rule::OneOf(words) => words.contains(&value),
        Rule::AnyOf(words) => {
            let given: Vec<&str> = words_of(value).collect();
            given.iter().enumerate().all(|(i, word)| words.contains(word) && !given[..i].contains(word))
        }
        Rule::Replicas => value.is_empty() || value == "*" || value.split(',').all(is_replica_pair),
        Rule::NonEmpty => !value.is_empty(),
    }
}

fn is_replica_pair(pair: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    pair.trim().split_once(':').is_some_and(|(partition, broker)| digits(partition) && digits(broker))
}

/// The words of a list value, trimmed; empty ones are left out.
pub fn words_of(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty())
}

/// A boolean as Kafka reads one.
pub fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// Says in words what a type and rule allow.
#[derive(Clone, Copy, Debug)]
pub struct Allowed(pub Kind, pub Rule);

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = match self.0 {
            Kind::Boolean => return f.write_str("true or false is allowed"),
            Kind::Int => "a 32-bit number",
            Kind::Short => "a 16-bit number",
            Kind::Long => "a 64-bit number",
            Kind::Double => "a decimal number",
            Kind::List => "a comma-separated list",
            Kind::Class => "a class name",
            Kind::String | Kind::Password => "text",
        };
        match self.1 {
            Rule::Any => write!(f, "{noun} is allowed"),
            Rule::Min(min) => write!(f, "{noun} of at least {min} is allowed"),
            Rule::Range(min, max) => write!(f, "{noun} from {min} to {max} is allowed"),
            Rule::DefaultOr(min, max) => write!(f, "-1 or {noun} from {min} to {max} is allowed"),
            Rule::Fraction(min, max) => write!(f, "{noun} from {min} to {max} is allowed"),
            Rule::OneOf(words) => write!(f, "one of {} is allowed", words.join(", ")),
            Rule::AnyOf(words) => write!(f, "a list of {} is allowed, each at most once", words.join(", ")),
            Rule::Replicas => f.write_str("* or a list of partition:broker is allowed"),
            Rule::NonEmpty => write!(f, "{noun} that is not empty is allowed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_takes_and_refuses() {
        use Kind::*;
        for (kind, rule, good, bad) in [
            (Boolean, Rule::Any, &["true", "FALSE"][..], &["yes", "1", ""][..]),
            (Int, Rule::Min(1), &["1", "2147483647"], &["0", "2147483648", "x", ""]),
            (Short, Rule::Any, &["-1", "32767"], &["32768"]),
            (Long, Rule::Range(-1, 9), &["-1", "9"], &["-2", "10", "1.5"]),
            (Int, Rule::DefaultOr(1, 9), &["-1", "1", "9"], &["0", "10"]),
            (Double, Rule::Fraction(0.0, 1.0), &["0", "0.5", "1"], &["1.1", "NaN", "-0.1"]),
            (String, Rule::OneOf(&["a", "b"]), &["a"], &["c", "a,b", ""]),
            (List, Rule::AnyOf(&["a", "b"]), &["", "a", "b, a"], &["a,a", "c"]),
            (List, Rule::Replicas, &["", "*", "0:1,1:2"], &["0", "0:", "a:1"]),
            (String, Rule::NonEmpty, &["x"], &[""]),
        ] {
            for value in good {
                assert_eq!(check("k", kind, rule, value), Ok(()), "{value}");
            }
            for value in bad {
                let refusal = check("k", kind, rule, value).expect_err(value);
                assert!(refusal.to_string().contains("allowed"), "{refusal}");
            }
        }
    }
}

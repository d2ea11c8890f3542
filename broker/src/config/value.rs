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
    /// Any of these words; the list may be empty, and a word that is repeated counts once.
    AnyOf(&'static [&'static str]),
    /// `*`, nothing, or `partition:broker` pairs.
    Replicas,
    /// Not empty.
    NonEmpty,
}

/// A value that its key does not take, said twice: as Kafka says it, which tools show and look for, and as a whole sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The key.
    pub key: String,
    /// The value as it was given.
    pub value: String,
    /// What Kafka tells a client.
    pub message: String,
    /// What would have been taken.
    pub allowed: String,
}

impl Refusal {
    /// A refusal that says what is allowed.
    pub fn new(key: &str, value: &str, allowed: impl fmt::Display) -> Self {
        let message = format!("Invalid value {value} for configuration {key}: {allowed}");
        Self::saying(key, value, message, allowed)
    }

    /// A refusal in these words.
    pub fn saying(key: &str, value: &str, message: impl Into<String>, allowed: impl fmt::Display) -> Self {
        Self { key: key.to_owned(), value: value.to_owned(), message: message.into(), allowed: allowed.to_string() }
    }
}

/// Checks `value` against type and rule of `key`.
pub fn check(key: &str, kind: Kind, rule: Rule, value: &str) -> Result<(), Refusal> {
    let value = value.trim();
    fault(key, kind, rule, value)
        .map_or(Ok(()), |message| Err(Refusal::saying(key, value, message, Allowed(kind, rule))))
}

/// What Kafka says is wrong with a value.
fn fault(key: &str, kind: Kind, rule: Rule, value: &str) -> Option<String> {
    let wrong = |shown: &str, why: &str| Some(format!("Invalid value {shown} for configuration {key}: {why}"));
    let typed = match kind {
        Kind::Int => value.parse::<i32>().is_ok(),
        Kind::Short => value.parse::<i16>().is_ok(),
        Kind::Long => value.parse::<i64>().is_ok(),
        Kind::Double => value.parse::<f64>().is_ok_and(|number| !number.is_nan()),
        Kind::Boolean if boolean(value).is_none() => {
            return wrong(value, "Expected value to be either true or false");
        }
        Kind::Boolean | Kind::String | Kind::List | Kind::Class | Kind::Password => true,
    };
    if !typed {
        return wrong(value, &format!("Not a number of type {}", format!("{kind:?}").to_uppercase()));
    }
    match rule {
        Rule::Any => None,
        Rule::Min(min) => below(value, min).and_then(|why| wrong(value, &why)),
        Rule::Range(min, max) => below(value, min).or(above(value, max)).and_then(|why| wrong(value, &why)),
        Rule::DefaultOr(min, max) => {
            let outside = value != "-1" && below(value, min).or(above(value, max)).is_some();
            let why = format!("Value must be between {min} and {max} or equal to -1");
            if outside { wrong(value, &why) } else { None }
        }
        Rule::Fraction(min, max) => {
            let number = value.parse::<f64>().unwrap_or(f64::NAN);
            let low = (number < min).then(|| format!("Value must be at least {min}"));
            let high = (number > max).then(|| format!("Value must be no more than {max}"));
            low.or(high).and_then(|why| wrong(&format!("{number:?}"), &why))
        }
        Rule::OneOf(words) if !words.contains(&value) => wrong(value, &one_of(words)),
        Rule::OneOf(_) => None,
        Rule::AnyOf(words) => match words_of(value).find(|word| !words.contains(word)) {
            Some(word) => wrong(word, &one_of(words)),
            None if has_empty_words(value) => Some(format!("Configuration '{key}' values must not be empty.")),
            None => None,
        },
        Rule::Replicas if value.is_empty() || value == "*" || value.split(',').all(is_replica_pair) => None,
        Rule::Replicas => wrong(
            &format!("[{}]", words_of(value).collect::<Vec<_>>().join(", ")),
            &format!(
                "{key} must be the literal '*' or a list of replicas in the following format: \
                 [partitionId]:[brokerId],[partitionId]:[brokerId],..."
            ),
        ),
        Rule::NonEmpty if value.is_empty() => wrong(value, "String must be non-empty"),
        Rule::NonEmpty => None,
    }
}

fn below(value: &str, min: i64) -> Option<String> {
    value.parse::<i64>().is_ok_and(|number| number < min).then(|| format!("Value must be at least {min}"))
}

fn above(value: &str, max: i64) -> Option<String> {
    value.parse::<i64>().is_ok_and(|number| number > max).then(|| format!("Value must be no more than {max}"))
}

fn one_of(words: &[&str]) -> String {
    format!("String must be one of: {}", words.join(", "))
}

/// An empty list is one without words; `a,` is a list with an empty one.
fn has_empty_words(list: &str) -> bool {
    !list.trim().is_empty() && list.split(',').any(|word| word.trim().is_empty())
}

/// A value as DescribeConfigs shows it: what was understood, rather than what was written.
pub fn shown(kind: Kind, value: &str) -> String {
    let value = value.trim();
    match kind {
        Kind::Boolean => value.to_ascii_lowercase(),
        Kind::Int | Kind::Short | Kind::Long => {
            value.parse::<i64>().map_or_else(|_| value.to_owned(), |number| number.to_string())
        }
        Kind::List => {
            let mut words: Vec<&str> = Vec::new();
            words_of(value).for_each(|word| {
                if !words.contains(&word) {
                    words.push(word)
                }
            });
            words.join(",")
        }
        Kind::Double | Kind::String | Kind::Class | Kind::Password => value.to_owned(),
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
            Rule::AnyOf(words) => write!(f, "a list of {} is allowed", words.join(", ")),
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
            (List, Rule::AnyOf(&["a", "b"]), &["", "a", "b, a", "a,a"], &["c", "a,", ",a", "a,,b"]),
            (List, Rule::Replicas, &["", "*", "0:1,1:2"], &["0", "0:", "a:1"]),
            (String, Rule::NonEmpty, &["x"], &[""]),
        ] {
            for value in good {
                assert_eq!(check("k", kind, rule, value), Ok(()), "{value}");
            }
            for value in bad {
                let refusal = check("k", kind, rule, value).expect_err(value);
                assert!(refusal.allowed.contains("allowed"), "{refusal:?}");
            }
        }
    }

    #[test]
    fn refusals_are_worded_as_tools_know_them() {
        for (kind, rule, value, message) in [
            (Kind::Long, Rule::Any, "x", "Invalid value x for configuration k: Not a number of type LONG"),
            (Kind::Int, Rule::Min(4), "3", "Invalid value 3 for configuration k: Value must be at least 4"),
            (Kind::Int, Rule::Range(1, 9), "10", "Invalid value 10 for configuration k: Value must be no more than 9"),
            (
                Kind::Int,
                Rule::DefaultOr(1, 9),
                "0",
                "Invalid value 0 for configuration k: Value must be between 1 and 9 or equal to -1",
            ),
            (
                Kind::Double,
                Rule::Fraction(0.0, 1.0),
                "2",
                "Invalid value 2.0 for configuration k: Value must be no more than 1",
            ),
            (
                Kind::List,
                Rule::AnyOf(&["a", "b"]),
                "a,c",
                "Invalid value c for configuration k: String must be one of: a, b",
            ),
            (Kind::List, Rule::AnyOf(&["a", "b"]), "a,", "Configuration 'k' values must not be empty."),
            (
                Kind::Boolean,
                Rule::Any,
                "yes",
                "Invalid value yes for configuration k: Expected value to be either true or false",
            ),
        ] {
            assert_eq!(check("k", kind, rule, value).expect_err(value).to_string(), message);
        }
    }

    #[test]
    fn values_are_shown_as_they_are_understood() {
        for (kind, value, expect) in [
            (Kind::Boolean, "TRUE", "true"),
            (Kind::Long, " +7 ", "7"),
            (Kind::List, " compact , delete,compact", "compact,delete"),
            (Kind::Double, "0.50", "0.50"),
            (Kind::String, " a b ", "a b"),
            (Kind::Int, "junk", "junk"),
        ] {
            assert_eq!(shown(kind, value), expect);
        }
    }
}

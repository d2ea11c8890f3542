//! Topics by regular expression, as Kafka's tools take them: `a,b` is `a|b`, quotes are ignored, the whole name must match.

use crate::failure::Failure;
use regex::Regex;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct TopicFilter {
    pattern: Regex,
}

impl TopicFilter {
    /// Compiles what stands behind `option`.
    ///
    /// # Errors
    /// A pattern that is none. Look-around and back-references, which Java has, are refused: nothing here can take exponential
    /// time.
    pub fn new(option: &str, text: &str) -> Result<Self, Failure> {
        let plain = text.trim().replace(',', "|").replace('"', "");
        let plain = plain.trim_matches('\'');
        let compiled = Regex::new(&format!("^(?:{plain})$"));
        let wrong = |error: regex::Error| {
            let text = format!("{option}: `{text}` is no regular expression: {}", last_line(&error));
            Failure::usage(text).hint(
                "a dot stands for any character, \\. for a dot; look-around and back-references are not supported",
            )
        };
        Ok(TopicFilter { pattern: compiled.map_err(wrong)? })
    }

    /// Whether the whole name matches.
    pub fn matches(&self, topic: &str) -> bool {
        self.pattern.is_match(topic)
    }
}

/// The crate draws the place over several lines and says what is wrong in the last.
fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_patterns() {
        for (pattern, yes, no) in [
            ("orders", &["orders"][..], &["orders2", "my-orders"][..]),
            ("orders.*", &["orders", "orders-eu"], &["my-orders"]),
            ("a,b", &["a", "b"], &["ab", "a,b"]),
            ("\"a\"", &["a"], &["\"a\""]),
            ("'a'", &["a"], &["'a'"]),
            ("a|b.", &["a", "bx"], &["ax"]),
            ("__consumer_offsets", &["__consumer_offsets"], &["x"]),
            (" a ", &["a"], &[" a "]),
        ] {
            let filter = TopicFilter::new("--topic", pattern).unwrap();
            yes.iter().for_each(|name| assert!(filter.matches(name), "{pattern} matches {name}"));
            no.iter().for_each(|name| assert!(!filter.matches(name), "{pattern} does not match {name}"));
        }
    }

    #[test]
    fn patterns_that_are_none() {
        for pattern in ["*", "a(", "(?=a)b"] {
            let failure = TopicFilter::new("--topic", pattern).unwrap_err();
            assert!(failure.message.starts_with("--topic: `"), "{}", failure.message);
            assert!(!failure.message.contains('\n'), "{}", failure.message);
        }
    }
}

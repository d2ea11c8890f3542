//! Subscriptions by regular expression, with the semantics of RE2: no backreferences, no lookaround, time linear in the text
//! whatever the pattern. A topic must match as a whole.
//!
//! Deviation: what Rust's `regex` accepts beyond RE2 (such as `[a&&b]`) is accepted.

use crate::group::limits::{PATTERN_BYTES_MAX, PATTERN_PROGRAM_BYTES_MAX, PATTERN_UNICODE_PROGRAM_BYTES_MAX};
use regex::bytes::{Regex, RegexBuilder};

/// Why a pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadPattern {
    /// It is too long.
    #[error("the regular expression has {got} bytes; at most {PATTERN_BYTES_MAX} are taken")]
    Long {
        /// Its length.
        got: usize,
    },
    /// It is not a regular expression of RE2.
    #[error("the regular expression is not one of RE2: {why}")]
    Syntax {
        /// What is wrong.
        why: String,
    },
    /// Its repetitions multiply to too much.
    #[error(
        "the regular expression needs a program of more than {PATTERN_UNICODE_PROGRAM_BYTES_MAX} bytes; make its repetitions shorter"
    )]
    Large,
}

/// A checked pattern.
#[derive(Debug)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    /// Checks and compiles a pattern.
    pub(crate) fn new(text: &str) -> Result<Pattern, BadPattern> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(BadPattern::Long { got: text.len() });
        }
        // By itself first: within the brackets below, `a)(b` would be balanced.
        compile(text)?;
        // With `(?x)` a comment may run up to the end, and would take the bracket along.
        let whole = compile(&format!(r"\A(?:{text})\z")).or_else(|_| compile(&format!("\\A(?:{text}\n)\\z")))?;
        Ok(Pattern(whole))
    }

    /// Whether a topic's whole name matches.
    pub(crate) fn matches(&self, topic: &str) -> bool {
        self.0.is_match(topic.as_bytes())
    }
}

/// Names of topics are ASCII, and so are RE2's `\w` and `\d`; only patterns that name Unicode's classes need its tables.
fn compile(text: &str) -> Result<Regex, BadPattern> {
    build(text, false, PATTERN_PROGRAM_BYTES_MAX)
        .or_else(|_| build(text, true, PATTERN_UNICODE_PROGRAM_BYTES_MAX))
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => BadPattern::Large,
            other => BadPattern::Syntax { why: last_line(&other.to_string()) },
        })
}

fn build(text: &str, unicode: bool, size_max: usize) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).unicode(unicode).size_limit(size_max).dfa_size_limit(size_max).nest_limit(64).build()
}

/// The reason, behind the picture of the pattern that the error begins with.
fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_topic_matches_as_a_whole() {
        for (pattern, topic, expect) in [
            ("a|ab", "ab", true),
            ("a", "ab", false),
            ("b", "ab", false),
            (".*", "", true),
            ("metrics-.*", "metrics-cpu", true),
            (r"\w+-\d{2}", "x-07", true),
            (r"[[:alpha:]]+", "abc", true),
            (r"\pL+", "abc", true),
            ("(?i)ABC", "abc", true),
            ("(?x) a b # spaces do not count", "ab", true),
            ("^abc$", "abc", true),
        ] {
            assert_eq!(Pattern::new(pattern).unwrap().matches(topic), expect, "{pattern} on {topic}");
        }
    }

    #[test]
    fn what_re2_does_not_know_is_refused() {
        for bad in ["(", "a)(b", "[", "*a", r"(a)\1", "(?=a)b", "(?<!a)b", "a{2,1}", r"\8"] {
            assert!(matches!(Pattern::new(bad), Err(BadPattern::Syntax { .. })), "{bad}");
        }
        assert!(matches!(Pattern::new(&"a".repeat(5_000)), Err(BadPattern::Long { got: 5_000 })));
        assert!(matches!(Pattern::new("((a{100}){100}){100}"), Err(BadPattern::Large)));
        assert!(Pattern::new(&"(".repeat(2_000)).is_err());
    }

    #[test]
    fn patterns_that_explode_elsewhere_do_not() {
        let name = format!("{}!", "a".repeat(248));
        let begun = Instant::now();
        for pattern in ["(a+)+$", "(a|aa)+", "(a|a?)+", "(.*a){20}", "([a-z]+)*x"] {
            assert!(!Pattern::new(pattern).unwrap().matches(&name), "{pattern}");
        }
        assert!(begun.elapsed().as_secs() < 10);
    }
}

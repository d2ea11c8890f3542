//! `--add-config`'s grammar: pairs with commas between them, square brackets around values that have commas of their own.

/// What is wrong with a list of settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum GrammarError {
    /// A part that is no pair.
    #[error("`{got}` is no setting; expected NAME=VALUE, or NAME=[A,B] for a value with commas")]
    Pair {
        /// The part.
        got: String,
    },
    /// A name with characters that no setting's name has.
    #[error("`{name}` is no setting's name; expected letters, digits and any of $ . _ -")]
    Name {
        /// The name.
        name: String,
    },
}

/// Reads a list of pairs; of pairs with the same name the last one counts.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, GrammarError> {
    let mut pairs = Vec::new();
    for part in split(text, ',') {
        let wrong = || GrammarError::Pair { got: part.to_owned() };
        let [name, value] = split(part, '=')[..] else { return Err(wrong()) };
        let value: String = value.chars().filter(|c| !matches!(c, '[' | ']')).collect();
        pairs.push((checked_name(name.trim())?, value.trim().to_owned()));
    }
    Ok(last_of_each(pairs))
}

/// A name, if it is one.
pub(super) fn checked_name(name: &str) -> Result<String, GrammarError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "$._-".contains(c);
    if name.chars().all(fits) { Ok(name.to_owned()) } else { Err(GrammarError::Name { name: name.to_owned() }) }
}

/// Of pairs with the same name, the last, at the place of the first.
pub(super) fn last_of_each(pairs: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut kept: Vec<(String, String)> = Vec::new();
    for (name, value) in pairs {
        match kept.iter_mut().find(|(known, _)| *known == name) {
            Some(pair) => pair.1 = value,
            None => kept.push((name, value)),
        }
    }
    kept
}

/// Splits at `at` where the next bracket behind it is not a closing one: outside brackets, in a list that closes what it opens.
fn split(text: &str, at: char) -> Vec<&str> {
    let is_outside = |place: usize| text[place..].chars().find(|c| matches!(c, '[' | ']')) != Some(']');
    let mut parts = Vec::new();
    let mut start = 0;
    for (place, _) in text.match_indices(at).filter(|(place, _)| is_outside(*place)) {
        parts.push(&text[start..place]);
        start = place + at.len_utf8();
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, GrammarError> {
        let pairs = parse(text)?.into_iter().map(|(name, value)| format!("{name}→{value}"));
        Ok(pairs.collect::<Vec<_>>().join(" | "))
    }

    #[test]
    fn lists_of_settings() {
        for (text, expect) in [
            ("a=1", "a→1"),
            ("a=1,b=2", "a→1 | b→2"),
            (" a = 1 , b=2 ", "a→1 | b→2"),
            ("a=[x,y],b=2", "a→x,y | b→2"),
            ("b=2,a=[x,y]", "b→2 | a→x,y"),
            ("a=[x=1,y=2]", "a→x=1,y=2"),
            ("a=[3]", "a→3"),
            ("a=", "a→"),
            ("a=1,a=2", "a→2"),
            ("cleanup.policy=[compact,delete],retention.ms=5", "cleanup.policy→compact,delete | retention.ms→5"),
        ] {
            assert_eq!(parsed(text).as_deref(), Ok(expect), "{text}");
        }
    }

    #[test]
    fn lists_that_are_none() {
        for text in ["a", "", "a=1,", "a=1=2", "a=x,y"] {
            assert!(matches!(parsed(text), Err(GrammarError::Pair { .. })), "{text}");
        }
        assert!(matches!(parsed("re tention=1"), Err(GrammarError::Name { .. })));
    }
}

//! Java's `.properties` syntax, as Kafka's files are written in (`java.util.Properties.load`): comments with `#` and `!`, keys that
//! end at `=`, `:` or white space, `\` to go on in the next line or to take the next character as it is, `\uXXXX`.
//!
//! What the keys mean is decided in the parent module.

/// One setting of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The line that it starts on, from 1.
    pub line: usize,
    /// Its key.
    pub key: String,
    /// Its value, without white space around it.
    pub value: String,
}

/// A `\u` without four hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\\u is followed by four hexadecimal digits")]
pub struct SyntaxError {
    /// The line, from 1.
    pub line: usize,
}

/// Reads a whole file. Bytes that are not UTF-8 count as Latin-1, which is what Java takes them for.
pub fn parse(bytes: &[u8]) -> Result<Vec<Entry>, SyntaxError> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.trim_start_matches('\u{feff}').to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    };
    let mut entries = Vec::new();
    for (line, logical) in logical_lines(&text) {
        let (key, value) = split(&logical);
        let unescaped = |raw: &str| unescape(raw).ok_or(SyntaxError { line });
        entries.push(Entry { line, key: unescaped(key)?, value: unescaped(value)?.trim().to_owned() });
    }
    Ok(entries)
}

/// Java's white space: blank, tab and form feed.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

/// Lines with their continuations joined, comments and empty ones left out, and the number of the line they start on.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let unix = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in (1..).zip(unix.split('\n')) {
        let line = line.trim_start_matches(is_space);
        if open.is_none() && (line.is_empty() || line.starts_with(['#', '!'])) {
            continue;
        }
        let (start, mut joined) = open.take().unwrap_or((number, String::new()));
        let slashes = line.len() - line.trim_end_matches('\\').len();
        if slashes % 2 == 1 {
            joined.push_str(&line[..line.len() - 1]);
            open = Some((start, joined));
        } else {
            joined.push_str(line);
            lines.push((start, joined));
        }
    }
    lines.extend(open);
    lines
}

/// Splits at the first `=`, `:` or white space that is not escaped; one `=` or `:` may stand among the white space.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|c: char| {
        let ends = !escaped && (is_space(c) || c == '=' || c == ':');
        escaped = c == '\\' && !escaped;
        ends
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start_matches(is_space);
    (key, rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start_matches(is_space))
}

fn unescape(raw: &str) -> Option<String> {
    let mut units: Vec<u16> = Vec::with_capacity(raw.len());
    let mut letter = [0; 2];
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        let plain = match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('t')) => '\t',
            ('\\', Some('n')) => '\n',
            ('\\', Some('r')) => '\r',
            ('\\', Some('f')) => '\u{c}',
            ('\\', Some('u')) => {
                let digits = chars.as_str().get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
                units.push(u16::from_str_radix(digits, 16).ok()?);
                chars = chars.as_str()[4..].chars();
                continue;
            }
            ('\\', Some(other)) => other,
            ('\\', None) => continue,
            (other, _) => other,
        };
        units.extend_from_slice(plain.encode_utf16(&mut letter));
    }
    Some(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn javas_rules() {
        for (text, expect) in [
            ("a=b", &[(1, "a", "b")][..]),
            ("a = b ", &[(1, "a", "b")]),
            ("a:b", &[(1, "a", "b")]),
            ("a b c", &[(1, "a", "b c")]),
            ("a\tb", &[(1, "a", "b")]),
            ("a", &[(1, "a", "")]),
            ("a==b", &[(1, "a", "=b")]),
            ("# c\n! c\n\n  # c\na=b", &[(5, "a", "b")]),
            ("a=b\\\n   c\nd=e", &[(1, "a", "bc"), (3, "d", "e")]),
            ("a=b\\\\\nc=d", &[(1, "a", "b\\"), (2, "c", "d")]),
            ("a=b\\\n# not a comment", &[(1, "a", "b# not a comment")]),
            ("# no \\\na=b", &[(2, "a", "b")]),
            ("a\\=b=c\\:d", &[(1, "a=b", "c:d")]),
            ("a\\ b=c", &[(1, "a b", "c")]),
            ("a=\\u00e4\\tx\\q", &[(1, "a", "ä\txq")]),
            ("a=\\ud83d\\ude00", &[(1, "a", "😀")]),
            ("a=b\r\nc=d\re=f", &[(1, "a", "b"), (2, "c", "d"), (3, "e", "f")]),
            ("a=b\\", &[(1, "a", "b")]),
            ("listeners=PLAINTEXT://:9092", &[(1, "listeners", "PLAINTEXT://:9092")]),
            ("", &[]),
        ] {
            let got = parse(text.as_bytes()).expect(text);
            let got: Vec<(usize, &str, &str)> =
                got.iter().map(|entry| (entry.line, entry.key.as_str(), entry.value.as_str())).collect();
            assert_eq!(got, expect, "{text:?}");
        }
    }

    #[test]
    fn what_is_refused_and_what_is_latin_1() {
        for text in ["a=\\u12", "a=\\uxyzw", "a=\\u12ä4"] {
            assert_eq!(parse(format!("#\n{text}").as_bytes()), Err(SyntaxError { line: 2 }), "{text}");
        }
        assert_eq!(parse(b"a=\xe4").expect("Latin-1")[0].value, "ä");
    }
}

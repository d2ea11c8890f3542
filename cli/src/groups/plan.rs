//! What a reset is about: which partitions, which offsets, and the CSV that carries both from one run to another.

use thiserror::Error;

/// A partition by the name of its topic.
pub(crate) type Place = (String, i32);

/// A topic that was asked for, with some of its partitions or all.
pub(crate) type Asked = (String, Option<Vec<i32>>);

/// Why a plan cannot be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum PlanError {
    /// `topic:partitions` that is not.
    #[error("Invalid topic arg '{arg}', expected topic name and partitions")]
    TopicArg { arg: String },
    /// A partition that is no number.
    #[error("Invalid partition '{partition}' specified in topic arg '{arg}''")]
    Partition { partition: String, arg: String },
    /// A line of the file that is no row.
    #[error("line {line} of the plan, '{text}': expected {expected}")]
    Row { line: usize, text: String, expected: &'static str },
    /// The file names groups that were not asked for.
    #[error("the plan's lines name no group, but several were asked for: expected group,topic,partition,offset")]
    GroupMissing,
}

/// The partitions of `topic:0,1`; none for a topic without any, which means all of them.
pub(crate) fn parse_topic(arg: &str) -> Result<Asked, PlanError> {
    if !arg.contains(':') {
        return Ok((arg.to_owned(), None));
    }
    let parts: Vec<_> = arg.split(':').collect();
    let [topic, partitions] = parts[..] else { return Err(PlanError::TopicArg { arg: arg.to_owned() }) };
    if partitions.is_empty() {
        return Err(PlanError::TopicArg { arg: arg.to_owned() });
    }
    let number =
        |text: &str| text.parse().map_err(|_| PlanError::Partition { partition: text.to_owned(), arg: arg.to_owned() });
    Ok((topic.to_owned(), Some(partitions.split(',').map(number).collect::<Result<_, _>>()?)))
}

/// One row of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The group, where the row names it.
    pub(crate) group: Option<String>,
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// Reads `topic,partition,offset` or `group,topic,partition,offset`, a line each.
pub(crate) fn parse_csv(text: &str) -> Result<Vec<Row>, PlanError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(at, line)| parse_row(line, at + 1)).collect()
}

fn parse_row(line: &str, number: usize) -> Result<Row, PlanError> {
    let wrong = |expected| PlanError::Row { line: number, text: line.to_owned(), expected };
    let fields = fields(line).ok_or_else(|| wrong("quotes that are closed"))?;
    let (group, rest) = match fields.len() {
        3 => (None, &fields[..]),
        4 => (Some(fields[0].clone()), &fields[1..]),
        _ => return Err(wrong("topic,partition,offset or group,topic,partition,offset")),
    };
    let partition = rest[1].trim().parse().map_err(|_| wrong("a number for the partition"))?;
    let offset = rest[2].trim().parse().map_err(|_| wrong("a number for the offset"))?;
    Ok(Row { group, topic: rest[0].clone(), partition, offset })
}

/// The fields of a line; those in quotes may hold commas, and quotes when doubled.
fn fields(line: &str) -> Option<Vec<String>> {
    let mut fields = vec![String::new()];
    let mut chars = line.chars().peekable();
    let mut is_quoted = false;
    while let Some(c) = chars.next() {
        let last = fields.len() - 1;
        match c {
            '"' if is_quoted && chars.peek() == Some(&'"') => {
                chars.next();
                fields[last].push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(String::new()),
            c => fields[last].push(c),
        }
    }
    (!is_quoted).then_some(fields)
}

/// A field as it goes into a line. A topic's name never needs quotes, a group's may.
pub(crate) fn quote(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r', ' ']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

/// The offset that a reset may set: what was asked for, but no lower than the log begins and no higher than it ends. The
/// second value says which of the two was in the way.
pub(crate) fn clamp(asked: i64, begin: i64, end: i64) -> (i64, Option<&'static str>) {
    if asked > end {
        (end, Some("higher than latest offset"))
    } else if asked < begin {
        (begin, Some("lower than earliest offset"))
    } else {
        (asked, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_with_and_without_partitions() {
        assert_eq!(parse_topic("abc"), Ok(("abc".into(), None)));
        assert_eq!(parse_topic("abc:0,2"), Ok(("abc".into(), Some(vec![0, 2]))));
        let wrong = |arg| parse_topic(arg).expect_err("wrong").to_string();
        assert_eq!(wrong("abc:x"), "Invalid partition 'x' specified in topic arg 'abc:x''");
        assert_eq!(wrong("a:b:c"), "Invalid topic arg 'a:b:c', expected topic name and partitions");
        assert_eq!(wrong("abc:"), "Invalid topic arg 'abc:', expected topic name and partitions");
    }

    #[test]
    fn plans() {
        let rows = parse_csv("abc,0,1\n\"g,\"\"1\",abc,2,5\r\n\n").expect("a plan");
        let row = |group: Option<&str>, partition, offset| Row {
            group: group.map(str::to_owned),
            topic: "abc".into(),
            partition,
            offset,
        };
        assert_eq!(rows, [row(None, 0, 1), row(Some("g,\"1"), 2, 5)]);
        assert_eq!(quote("g,\"1"), "\"g,\"\"1\"");
        for (text, expect) in [
            ("abc,0", "line 1 of the plan, 'abc,0': expected topic,partition,offset or group,topic,partition,offset"),
            ("a,0,1\nabc,x,1", "line 2 of the plan, 'abc,x,1': expected a number for the partition"),
            ("\"abc,0,1", "line 1 of the plan, '\"abc,0,1': expected quotes that are closed"),
        ] {
            assert_eq!(parse_csv(text).expect_err("wrong").to_string(), expect);
        }
    }

    #[test]
    fn offsets_stay_within_the_log() {
        assert_eq!(clamp(5, 2, 9), (5, None));
        assert_eq!(clamp(1, 2, 9), (2, Some("lower than earliest offset")));
        assert_eq!(clamp(10, 2, 9), (9, Some("higher than latest offset")));
    }
}

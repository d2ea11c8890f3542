//! The file that says up to where: JSON in Kafka's form.
//!
//! ```json
//! {"version": 1, "partitions": [{"topic": "orders", "partition": 0, "offset": 42}]}
//! ```

use serde_json::Value;
use std::path::{Path, PathBuf};

/// A partition, and the offset that becomes its first. −1 stands for its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Until {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
}

/// Why a file is no plan.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlanError {
    #[error("{}: {cause}", .path.display())]
    File { path: PathBuf, cause: std::io::Error },
    #[error("no JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("version {got}: only 1 is known")]
    Version { got: Value },
    #[error("{place}: expected {expected}{}", .got.as_ref().map_or_else(String::new, |got| format!(", got {got}")))]
    Field { place: String, expected: &'static str, got: Option<Value> },
    #[error("{} named twice: {}", if .partitions.len() == 1 { "a partition is" } else { "partitions are" }, .partitions.join(", "))]
    Twice { partitions: Vec<String> },
}

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<Vec<Until>, PlanError> {
    let bytes = std::fs::read(path).map_err(|cause| PlanError::File { path: path.to_owned(), cause })?;
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Result<Vec<Until>, PlanError> {
    let document: Value = serde_json::from_slice(bytes)?;
    if let Some(version) = document.get("version").filter(|version| version.as_i64() != Some(1)) {
        return Err(PlanError::Version { got: version.clone() });
    }
    let missing = || PlanError::Field {
        place: "partitions".into(),
        expected: "an array",
        got: document.get("partitions").cloned(),
    };
    let rows = document.get("partitions").and_then(Value::as_array).ok_or_else(missing)?;
    let plan = rows.iter().enumerate().map(|(at, row)| until(at, row)).collect::<Result<Vec<_>, _>>()?;
    refuse_doubles(&plan)?;
    Ok(plan)
}

fn until(at: usize, row: &Value) -> Result<Until, PlanError> {
    let wrong = |field: &str, expected| PlanError::Field {
        place: format!("partitions[{at}].{field}"),
        expected,
        got: row.get(field).cloned(),
    };
    let number = |field: &str| row.get(field).and_then(Value::as_i64);
    let topic = row.get("topic").and_then(Value::as_str).ok_or_else(|| wrong("topic", "a topic's name"))?;
    let partition = number("partition").and_then(|number| i32::try_from(number).ok()).filter(|number| *number >= 0);
    let offset = number("offset").filter(|number| *number >= -1);
    Ok(Until {
        topic: topic.to_owned(),
        partition: partition.ok_or_else(|| wrong("partition", "a partition's number"))?,
        offset: offset.ok_or_else(|| wrong("offset", "an offset, or -1 for the end"))?,
    })
}

fn refuse_doubles(plan: &[Until]) -> Result<(), PlanError> {
    let mut names: Vec<String> = plan.iter().map(|until| format!("{}-{}", until.topic, until.partition)).collect();
    names.sort_unstable();
    let mut twice: Vec<String> =
        names.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone()).collect();
    twice.dedup();
    if twice.is_empty() { Ok(()) } else { Err(PlanError::Twice { partitions: twice }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans() {
        let row = |partition, offset| Until { topic: "a".into(), partition, offset };
        let text = br#"{"version": 1, "partitions": [{"topic": "a", "partition": 0, "offset": 42}, {"topic": "a", "partition": 1, "offset": -1}]}"#;
        assert_eq!(parse(text).unwrap(), [row(0, 42), row(1, -1)]);
        assert_eq!(parse(br#"{"partitions": []}"#).unwrap(), []);
    }

    #[test]
    fn files_that_are_no_plans() {
        for (text, expect) in [
            ("{", "no JSON: "),
            ("{}", "partitions: expected an array"),
            (r#"{"version": 2, "partitions": []}"#, "version 2: only 1 is known"),
            (r#"{"partitions": [{"partition": 0, "offset": 1}]}"#, "partitions[0].topic: expected a topic's name"),
            (
                r#"{"partitions": [{"topic": "a", "partition": "0", "offset": 1}]}"#,
                "partitions[0].partition: expected a partition's number, got \"0\"",
            ),
            (
                r#"{"partitions": [{"topic": "a", "partition": 0, "offset": -2}]}"#,
                "partitions[0].offset: expected an offset, or -1 for the end, got -2",
            ),
            (
                r#"{"partitions": [{"topic": "a", "partition": 0, "offset": 1}, {"topic": "a", "partition": 0, "offset": 2}]}"#,
                "a partition is named twice: a-0",
            ),
        ] {
            let error = parse(text.as_bytes()).expect_err(text).to_string();
            assert!(error.starts_with(expect), "{text}: {error}");
        }
    }
}
